"""DICOM: headers to series, series to voxels on one grid, segmentations and contours to masks."""
