"""Options of the verbs but `equireg train`; each says its unit and checks its values."""

import math
from dataclasses import dataclass
from typing import Literal

from equireg.config.checks import require
from equireg.config.cluster import ClusterOptions
from equireg.config.dicom import DicomOptions


@dataclass(frozen=True)
class LimitOptions:
    """What a scan's header may claim; the same for all verbs that read scans."""

    max_spacing_mm: float = 50.0
    """largest voxel spacing that a scan may have, mm; a larger one is mostly a wrong unit"""
    max_voxels: int = 2**31
    """most voxels that a file may hold, all channels together"""
    pixel_mm: float | None = None
    """size of a picture's pixel, mm; by default that of the pictures that a model was trained on, else 1. What a file
    states as its resolution is not looked at"""

    def __post_init__(self) -> None:
        require(0.0001 < self.max_spacing_mm < math.inf, "max_spacing_mm", self.max_spacing_mm, "more than 0.0001")
        require(self.max_voxels >= 1, "max_voxels", self.max_voxels, "a count from 1")
        size = self.pixel_mm
        require(size is None or 0.0001 <= size <= 50, "pixel_mm", size, "a size from 0.0001 to 50 mm")


@dataclass(frozen=True)
class ScanOptions(LimitOptions, DicomOptions):
    """What the verbs have in common that find scans in a raw folder."""

    def __post_init__(self) -> None:
        LimitOptions.__post_init__(self)
        DicomOptions.__post_init__(self)


@dataclass(frozen=True)
class PrepareConfig(ScanOptions, ClusterOptions):
    """Options of `equireg prepare`."""

    recipe: Literal["default", "thesis"] = "default"
    """thesis: cropping, bias field correction, histogram equalisation and split of Scholin 2020, for BraTS folders"""
    n4_shrink: int | None = None
    """factor by which the thesis recipe coarsens a scan to estimate its bias field, 4 by default; 1 for none, as the
    thesis did"""
    layout: str = "auto"
    """layout of the raw folder; auto: the first that fits"""
    colours: str | None = None
    """what the colours of masks mean that are pictures: a CSV or JSON file with a row of colour, value and name each"""
    spacing: str = "auto"
    """voxel spacing to resample to: auto (the median of the cases), none, or three numbers x,y,z in mm"""
    normalise: Literal["auto", "zscore", "ct", "none"] = "auto"
    """zscore inside the foreground, ct for a percentile clip and one scale for all cases, or none"""
    slice_axis: Literal["auto", "x", "y", "z"] = "auto"
    """axis across which slices are cut (x left-right, y back-front, z feet-head); auto: that of widest spacing"""
    flips: str = "auto"
    """axes along which a mirrored scan is still plausible: auto, none, or some of x,y,z"""
    val_fraction: float = 0.2
    """fraction of the cases with a mask that training validates on"""
    test_fraction: float = 0.0
    """fraction of the cases with a mask that training never reads"""
    split: str | None = None
    """JSON file with the lists train, val and test of case names, in place of the fractions"""
    split_seed: int = 42
    """seed of the split by patient"""
    patients: str | None = None
    """which scans are of one patient, where their names do not show it: a regular expression with one group (or a group
    named patient) that is searched in each case's name, or where none has it in each path below the raw folder; or a
    CSV file with the columns case and patient"""
    follow_links: bool = False
    """also use files outside the raw folder, to which links or the paths in dataset.json lead"""
    record_paths: bool = False
    """keep the paths of folders and files in made_by.json; without it their names, and the way to them from the new
    folder where no user's name is in it"""
    dry_run: bool = False
    """report what is found in the raw folder, and write nothing"""
    jobs: int = 0
    """cases prepared at once; 0: as many as cores and memory allow, on a cluster as many as fit"""

    def __post_init__(self) -> None:
        super().__post_init__()
        ClusterOptions.__post_init__(self)
        for name in ("val_fraction", "test_fraction"):
            require(0 <= getattr(self, name) < 1, name, getattr(self, name), "a fraction from 0 to below 1")
        require(self.val_fraction + self.test_fraction < 1, "val_fraction", self.val_fraction, "room for training")
        if self.n4_shrink is not None:
            require(self.recipe == "thesis", "n4_shrink", self.n4_shrink, "--recipe thesis beside it")
            require(1 <= self.n4_shrink <= 16, "n4_shrink", self.n4_shrink, "a factor from 1 to 16")
        require(self.jobs >= 0, "jobs", self.jobs, "a count from 0")
        require(self.split_seed >= 0, "split_seed", self.split_seed, "a number from 0")


@dataclass(frozen=True)
class PredictConfig(ScanOptions, ClusterOptions):
    """Options of `equireg predict`."""

    checkpoint: Literal["auto", "best", "last"] = "auto"
    """auto: best where training validated, else last"""
    split: Literal["train", "val", "test"] | None = None
    """which cases of a prepared folder"""
    test_time: Literal["none", "flips", "equivariance"] = "flips"
    """average over mirrored scans, or over them and random transforms, each undone on the prediction"""
    passes: int = 8
    """random transforms of `--test_time equivariance`, which alone has some"""
    overlap: float = 0.5
    """overlap of neighbouring windows where a scan is larger than the patch"""
    post_process: Literal["auto", "none"] = "auto"
    """auto: remove the small components that training found on its validation cases to be wrong, if any"""
    format: Literal["auto", "nifti", "nrrd", "png", "dicom-seg", "rtstruct"] = "auto"
    """format of the masks; auto: as the scan came in, NIfTI where that is none of these. dicom-seg and rtstruct lie in
    dicom/, beside NIfTI, and name the patient"""
    codes: str | None = None
    """SNOMED codes of the segments of --format dicom-seg: a CSV or JSON file with a row of name, code, meaning and
    category each"""
    probabilities: bool = False
    """write CASE_probabilities.nii.gz too, one volume a class"""
    quality_views: int = 2
    """random views, beside the mirrored ones that are predicted anyway, whose agreement tells how far a prediction is
    to be trusted; each costs one more pass, and changes no prediction"""
    calibration: str | None = None
    """evaluation of held-out cases of five or more patients that this model predicted with the same options;
    quality.csv then has an estimate of each Dice with its interval"""
    disagreement: bool = False
    """write disagreement/CASE.nii.gz (of pictures CASE.png) too: for each voxel the part of the views that contradict
    the prediction"""
    equivariance: bool = False
    """predict each scan of a prepared folder under its fixed transform too, for the equivariance Dice"""
    follow_links: bool = False
    """also use files outside the folder of scans, to which links or the paths in dataset.json lead"""
    verify: bool = True
    """check the files of a prepared folder against their digests when they are first opened"""
    record_paths: bool = False
    """keep the paths of folders and files in made_by.json; without it their names, and the way to them from the new
    folder where no user's name is in it"""
    portal_zip: bool = False
    """write portal.zip too: all predictions, as the evaluation portal of BraTS takes them"""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """where to compute"""
    precision: Literal["auto", "32", "bf16", "16"] = "auto"
    """auto: bfloat16 where the machine computes in it, 32 bits otherwise"""
    engine: Literal["auto", "torch", "openvino", "onnx"] = "auto"
    """what computes the network on a CPU in 32 bits; auto: the fastest that is installed and gives the same to 0.001,
    where the work is worth its start"""
    jobs: int = 0
    """cases predicted at once, each by a process of its own; 0: one, on a cluster as many as fit"""

    def __post_init__(self) -> None:
        super().__post_init__()
        ClusterOptions.__post_init__(self)
        require(self.jobs >= 0, "jobs", self.jobs, "a count from 0")
        require(self.passes >= 1, "passes", self.passes, "a count from 1")
        used = self.test_time == "equivariance" or self.passes == type(self).passes
        require(used, "passes", self.passes, "--test_time equivariance beside it")
        require(self.quality_views >= 0, "quality_views", self.quality_views, "a count from 0")
        require(0 <= self.overlap < 1, "overlap", self.overlap, "a fraction from 0 to below 1")
        fits = self.codes is None or self.format in ("auto", "dicom-seg")
        require(fits, "codes", self.codes, "--format dicom-seg beside it")
        if self.portal_zip:
            require(self.format in ("auto", "nifti"), "portal_zip", True, "--format nifti beside it")


@dataclass(frozen=True)
class EnsembleConfig:
    """Options of `equireg ensemble`."""

    checkpoint: Literal["auto", "best", "last"] = "auto"
    """checkpoint of each run; auto: best where training validated, else last"""


@dataclass(frozen=True)
class EvaluateConfig(ScanOptions):
    """Options of `equireg evaluate`."""

    tolerance_mm: float = 1.0
    """surfaces closer than this agree in the surface Dice, mm"""
    scans: str | None = None
    """raw folder of the scans that the pictures show; not needed where the reference holds them, or where the
    predictions lead to them"""
    pictures: tuple[str, ...] = ()
    """cases to keep a picture of, beside the best, the median and the worst; with commas between them"""
    colours: str | None = None
    """what the colours of masks mean that are pictures, as for `equireg prepare`; needed where another program made the
    predictions"""
    verify: bool = True
    """check the masks of a prepared folder against their digests before they are compared"""
    record_paths: bool = False
    """keep the paths of folders and files in made_by.json; without it their names, and the way to them from the new
    folder where no user's name is in it"""
    jobs: int = 0
    """cases compared at once; 0 for as many as cores and memory allow"""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.tolerance_mm < math.inf, "tolerance_mm", self.tolerance_mm, "0 mm or more")
        require(self.jobs >= 0, "jobs", self.jobs, "a count from 0")


@dataclass(frozen=True)
class ReportConfig:
    """Options of `equireg report`."""

    views: bool = True
    """write a page of the viewer beside the report for the cases that it shows, where their predictions are at hand"""


@dataclass(frozen=True)
class ViewConfig(LimitOptions):
    """Options of `equireg view`."""

    case: str = ""
    """names of the cases, with commas between them; by default those to be trusted least"""
    most: int = 20
    """cases that the page shows where none is named"""
    page_mb: float = 60.0
    """megabytes that scans and masks may take in the page; larger ones are shown with fewer voxels"""
    channel: str | None = None
    """channel to show; FLAIR by default, where there is one"""
    scans: str | None = None
    """raw or prepared folder of the scans; not needed where the predictions lead to it"""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.most >= 1, "most", self.most, "a count from 1")
        require(0 < self.page_mb < math.inf, "page_mb", self.page_mb, "megabytes, more than 0")


@dataclass(frozen=True)
class SweepOptions(ClusterOptions):
    """Options of `equireg sweep`, beside what its file holds."""

    dry_run: bool = False
    """list the runs and what remains to do"""
    jobs: int = 0
    """runs at once; 0: one, on a cluster as many as fit"""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.jobs >= 0, "jobs", self.jobs, "a count from 0")


@dataclass(frozen=True)
class DemoConfig:
    """Options of `equireg demo`."""

    cases: int = 18
    """phantom scans to train on"""
    labelled: int = 3
    """how many of them are used with their masks"""
    test_cases: int = 6
    """further phantom scans, with masks, to score on"""
    max_steps: int = 300
    """optimiser steps of each of the two runs"""
    features: int = 8
    """channels of the network's first stage"""
    seed: int = 42
    """seed of the phantoms and of training"""


@dataclass(frozen=True)
class DoctorConfig:
    """Options of `equireg doctor`."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """where networks are to compute; with cuda a GPU that cannot be used is a failure"""
    self_test: bool = True
    """prepare, train for 20 steps, predict and evaluate on small phantom scans too"""
    json: bool = False
    """print the findings as JSON"""
