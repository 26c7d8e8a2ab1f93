"""One scan and its mask, without a data set: files, geometry, working grid, label values."""
