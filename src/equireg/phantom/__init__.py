"""Procedural phantom glioma scans with their masks, written as BraTS 2019 lays its cases out.

A phantom is a skull-stripped head in four contrasts (T1, T1 with contrast agent, T2, FLAIR): folded cortex,
white matter, ventricles, deep grey nuclei, cerebellum, and a tumour of core, enhancing rim and oedema that
pushes its surroundings aside. White-matter lesions, vessels, noise, bias field and contrasts that differ
from scan to scan take a tumour's intensities elsewhere too, so that it is found by shape and place, not by a
threshold.

All lengths are in the millimetres of a standard head (132 x 164 x 104 mm), which shrinks with the field of
view where that is too small for it. Arrays are [X, Y, Z] unless a docstring says otherwise.
"""

from equireg.phantom.scans import CONTRASTS, Phantom, PhantomConfig, make_case, write_dataset
from equireg.phantom.tumour import ENHANCING, NECROSIS, OEDEMA

__all__ = [
    "CONTRASTS",
    "ENHANCING",
    "NECROSIS",
    "OEDEMA",
    "Phantom",
    "PhantomConfig",
    "make_case",
    "write_dataset",
]
