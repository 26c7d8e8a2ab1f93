"""First targets for unlabelled scans: the masks of labelled ones, carried over by registration."""
