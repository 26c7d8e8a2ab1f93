"""A package outside the tree that adds a method, a network, a layout and a metric to equireg."""
