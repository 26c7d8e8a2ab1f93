"""A package outside the tree that adds a method, a network, a layout, a metric and a logger to equireg."""
