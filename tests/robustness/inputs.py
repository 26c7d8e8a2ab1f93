"""The table of bad input: what a user may get wrong in each verb, and what the one line of the error must say."""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import yaml
from PIL import Image

import dicom_inputs as dicom
from pictures_made_up import disc, photo, save
from scans import MASK, VOXELS, nifti


@dataclass(frozen=True)
class Bad:
    """One kind of bad input."""

    command: str
    """Words with the places ``{raw}``, ``{prepared}``, ``{run}``, ``{predictions}``, ``{masks}``, ``{evaluation}``,
    ``{files}`` and ``{out}``."""
    words: tuple[str, ...]
    """What the error, or the refusal of the case, must say: file, finding, remedy."""
    spoil: Callable[[Path], object] = lambda root: None
    """Makes the input bad; gets the folder of all places."""
    code: int = 1
    """Exit code; 0 where one case is refused and the rest goes on."""


def put(inside: str, content: bytes | str) -> Callable[[Path], object]:
    """Return what replaces a file."""
    return lambda root: (root / inside).write_bytes(content.encode() if isinstance(content, str) else content)


def cut(inside: str, size: int = -20) -> Callable[[Path], object]:
    """Return what cuts a file short."""
    return lambda root: (root / inside).write_bytes((root / inside).read_bytes()[:size])


def gone(inside: str) -> Callable[[Path], object]:
    """Return what removes a file."""
    return lambda root: (root / inside).unlink()


def scan(inside: str, voxels: np.ndarray, affine: Any = None) -> Callable[[Path], object]:
    """Return what replaces a scan or a mask by another."""
    given = np.diag([1.0, 2.0, 3.0, 1.0]) if affine is None else affine
    return put(inside, nib.Nifti1Image(voxels, given).to_bytes())


def key(inside: str, *way: Any, value: Any) -> Callable[[Path], object]:
    """Return what changes a value in a JSON file."""

    def change(root: Path) -> None:
        content = json.loads((root / inside).read_text())
        place = content
        for step in way[:-1]:
            place = place[step]
        place[way[-1]] = value
        (root / inside).write_text(json.dumps(content))

    return change


def options(**values: Any) -> Callable[[Path], object]:
    """Return what writes a file of options."""
    return put("files/options.yaml", yaml.safe_dump(values))


_A, _A_MASK = "raw/imagesTr/a.nii", "raw/labelsTr/a.nii"
_JSON = "raw/dataset.json"
_PREPARE = "prepare {raw} --out {out} --jobs 1"
_DICOM = f"prepare {{root}}/{dicom.FOLDER} --out {{out}} --jobs 1"
_TRAIN = "train {prepared} --out {out} --device cpu"
_PREDICT = "predict {run} {raw}/imagesTs --out {out} --device cpu"
_EVALUATE = "evaluate {predictions} {masks} --out {out} --jobs 1"
_OPTIONS = f"{_TRAIN} --config {{files}}/options.yaml"
_SWEEP = "sweep {files}/sweep.yaml --out {out}"
_AGAIN = ("Run the same `equireg prepare` again",)
_TWICE = {"image": "./imagesTr/a.nii", "label": "./labelsTr/a.nii"}
_FIVE_AXES = VOXELS[..., None, None].repeat(2, -1)
_FLOATS = VOXELS.astype(np.float32)


def _sweep(**values: Any) -> Callable[[Path], object]:
    return put("files/sweep.yaml", yaml.safe_dump(values))


def _with_nan() -> np.ndarray:
    voxels = _FLOATS.copy()
    voxels[3, 3, 3] = np.nan
    return voxels


def _picture(inside: str = "", pixels: Any = None, **saving: Any) -> Callable[[Path], object]:
    """Return what makes a folder of two pictures with masks, and spoils one of its files."""

    def make(root: Path) -> None:
        home = root / "files/pictures"
        for name in "ab":
            save(home, f"images/{name}.png", photo(disc(), ord(name)))
            save(home, f"masks/{name}.png", disc() * np.uint8(255))
        if inside:
            for same in (home / inside).parent.glob(f"{Path(inside).stem}.*"):
                same.unlink()
            save(home, inside, pixels, **saving)

    return make


_PHOTO, _DISC = photo(disc()), disc()
_CLEAR = np.dstack([_PHOTO, np.full(_DISC.shape, 9, np.uint8)])
_PAGES = [Image.fromarray(_PHOTO)] * 2
_PICTURES = "prepare {files}/pictures --out {out} --jobs 1"

INPUTS: dict[str, Bad] = {
    # prepare: pictures
    "picture with alpha": Bad(_PICTURES, ("a.png", "1280 pixels", "alpha"), _picture("images/a.png", _CLEAR), 0),
    "picture of pages": Bad(
        _PICTURES,
        ("a.tif", "3 pages", "one volume"),
        _picture("images/a.tif", _PHOTO, save_all=True, append_images=_PAGES),
        0,
    ),
    "picture cut short": Bad(
        _PICTURES,
        ("images/a.png", "Copy it again"),
        lambda root: (_picture()(root), cut("files/pictures/images/a.png")(root)),
        0,
    ),
    "picture of one colour": Bad(_PICTURES, ("every pixel is 7",), _picture("images/a.png", _PHOTO * 0 + 7), 0),
    "picture mask of another size": Bad(
        _PICTURES, ("masks/a.png", "32 x 40 pixels; expected 40 x 32"), _picture("masks/a.png", _DISC.T * 255), 0
    ),
    "picture mask in colour": Bad(_PICTURES, ("masks/a.png", "--colours FILE"), _picture("masks/a.png", _PHOTO), 0),
    "picture mask in no table": Bad(
        f"{_PICTURES} --colours {{files}}/colours.csv",
        ("masks/a.png", "#0a141e in no table"),
        lambda root: (
            _picture("masks/a.png", np.array([[0, 0, 0], [10, 20, 30]], np.uint8)[_DISC])(root),
            put("files/colours.csv", "colour,value,name\n#ffffff,1,polyp\n")(root),
        ),
        0,
    ),
    "picture mask lossy": Bad(_PICTURES, ("masks/a.jpg", "as PNG"), _picture("masks/a.jpg", _DISC * 90), 0),
    "picture masks of two kinds": Bad(_PICTURES, ("a.png", "Save the masks alike"), _picture("masks/a.png", _DISC)),
    "table of colours missing": Bad(f"{_PICTURES} --colours {{files}}/no.csv", ("files/no.csv",), _picture()),
    "table of colours damaged": Bad(
        f"{_PICTURES} --colours {{files}}/colours.csv",
        ("colours.csv", "row 1 has no colour"),
        lambda root: (_picture()(root), put("files/colours.csv", "colour,value\nred,1\n")(root)),
    ),
    "colours of volumes": Bad(f"{_PREPARE} --colours {{files}}/no.csv", ("--colours is for pictures",), code=2),
    "size of a pixel too small": Bad(f"{_PICTURES} --pixel_mm 0", ("--pixel_mm", "0.0001"), _picture(), 2),
    "codes without DICOM": Bad(f"{_PREDICT} --format nrrd --codes c.csv", ("--codes", "--format dicom-seg"), code=2),
    # prepare: scans
    "scan cut short": Bad(_PREPARE, (_A, "cut short", "Copy it again"), cut(_A), 0),
    "scan empty": Bad(_PREPARE, (_A, "cannot be read as an image", "Copy it again"), put(_A, b""), 0),
    "scan is text": Bad(_PREPARE, (_A, "cannot be read as an image", "Copy it again"), put(_A, "hello" * 99), 0),
    "scan missing": Bad(_PREPARE, ("imagesTr/a.nii", "no such file", "correct the list"), gone(_A), 0),
    "scan of zeros": Bad(_PREPARE, (_A, "every voxel is 0", "remove the case"), scan(_A, VOXELS * 0), 0),
    "scan constant": Bad(_PREPARE, (_A, "every voxel is 7"), scan(_A, VOXELS * 0 + 7), 0),
    "scan with NaN": Bad(_PREPARE, (_A, "1 voxels that are NaN", "Replace them"), scan(_A, _with_nan()), 0),
    "scan of two axes": Bad(_PREPARE, ("(11, 10, 1)", "the same grid"), scan(_A, VOXELS[:, :, 0]), 0),
    "scan of five axes": Bad(_PREPARE, (_A, "2 channels; expected 1"), scan(_A, _FIVE_AXES), 0),
    "spacing of 0": Bad(_PREPARE, (_A, "spacing"), scan(_A, VOXELS, np.diag([1e-6, 1.0, 1.0, 1.0])), 0),
    "spacing of 1 km": Bad(_PREPARE, (_A, "spacing"), scan(_A, VOXELS, np.diag([1e6, 1.0, 1.0, 1.0])), 0),
    "header claims more": Bad(
        _PREPARE, (_A, "its header claims 32767"), put(_A, nifti()[:42] + b"\xff\x7f\xff\x7f" + nifti()[46:]), 0
    ),
    # prepare: masks
    "mask cut short": Bad(_PREPARE, (_A_MASK, "cut short", "Copy it again"), cut(_A_MASK), 0),
    "mask of another shape": Bad(_PREPARE, (_A_MASK, "(11, 10, 8)", "the same grid"), scan(_A_MASK, MASK[..., :8]), 0),
    "mask elsewhere": Bad(_PREPARE, (_A_MASK, "affine"), scan(_A_MASK, MASK, np.diag([1.0, 2.0, 4.0, 1.0])), 0),
    "mask of fractions": Bad(_PREPARE, (_A_MASK, "not whole numbers"), scan(_A_MASK, MASK * np.float32(0.5)), 0),
    "mask of another value": Bad(_PREPARE, (_A_MASK, "[3]", "declare"), scan(_A_MASK, MASK * 3), 0),
    "mask of negative values": Bad(_PREPARE, (_A_MASK, "-1"), scan(_A_MASK, -MASK.astype(np.int16)), 0),
    # prepare: DICOM
    "DICOM without a slice": Bad(
        _DICOM, ("/1/IM", "1 slice is missing", "Export the whole"), dicom.beside_a_good_one(dicom.without_a_slice()), 0
    ),
    "DICOM of two sizes": Bad(
        _DICOM, ("/1/IM", "of another size", "Move the images"), dicom.beside_a_good_one(dicom.of_two_sizes()), 0
    ),
    "DICOM of two echoes": Bad(
        _DICOM, ("/1/IM", "differ in EchoTime", "Keep one image"), dicom.beside_a_good_one(dicom.of_two_echoes()), 0
    ),
    "DICOM tilted": Bad(_DICOM, ("/1/IM", "gantry tilt", "dcm2niix"), dicom.beside_a_good_one(dicom.tilted()), 0),
    "two masks of a DICOM series": Bad(
        _DICOM,
        ("/1/IM", "one of 2 masks of its series", "--mask_series"),
        dicom.beside_a_good_one(dicom.with_masks("BINARY", "BINARY")),
        0,
    ),
    "fractional DICOM mask": Bad(
        _DICOM, ("fractional", "Threshold it"), dicom.beside_a_good_one(dicom.with_masks("FRACTIONAL")), 0
    ),
    "DICOM cut short": Bad(_DICOM, ("/1/IM", "its pixels cannot be read", "Export"), dicom.cut_short, 0),
    "DICOM encrypted": Bad(
        _DICOM, ("locked.dcm", "it is encrypted", "Export it again unencrypted"), dicom.encrypted, 0
    ),
    "channel without a pattern": Bad(f"{_PREPARE} --channel flair", ("--channel", "flair", "NAME=PATTERN"), code=2),
    # prepare: dataset.json
    "dataset.json cut short": Bad(_PREPARE, (_JSON, "not valid JSON", "Correct it there"), cut(_JSON)),
    "dataset.json nested": Bad(_PREPARE, (_JSON, "nested too deeply"), put(_JSON, "[" * 100_000)),
    "dataset.json is a list": Bad(_PREPARE, (_JSON,), put(_JSON, "[]")),
    "dataset.json without labels": Bad(_PREPARE, (_JSON, "labels"), key(_JSON, "labels", value=3)),
    "case outside of the folder": Bad(
        f"{_PREPARE} --follow_links false", ("passwd",), key(_JSON, "training", 0, "image", value="/etc/passwd"), 0
    ),
    "case listed twice": Bad(
        _PREPARE, ("dataset.json names 1 scans more than once",), key(_JSON, "training", 1, value=_TWICE), 0
    ),
    # prepare: command
    "prepare of nothing": Bad("prepare {files}/no --out {out}", ("files/no: no such folder", "Check the path")),
    "prepare of a file": Bad(f"prepare {{root}}/{_A} --out {{out}}", (_A, "is a file; expected a folder")),
    "prepare of an empty folder": Bad("prepare {out} --out {files}/x", ("out",), lambda root: (root / "out").mkdir()),
    "prepare into another's folder": Bad("prepare {raw} --out {masks}", ("masks", "choose another --out")),
    "unknown layout": Bad(f"{_PREPARE} --layout mystery", ("--layout", "mystery", "decathlon"), code=2),
    "fraction above 1": Bad(f"{_PREPARE} --val_fraction 1.5", ("--val_fraction", "1.5"), code=2),
    "split file damaged": Bad(
        f"{_PREPARE} --split {{files}}/split.json", ("split.json", "not valid JSON"), put("files/split.json", "{")
    ),
    "split of unknown cases": Bad(
        f"{_PREPARE} --split {{files}}/split.json", ("split.json", "'z'"), put("files/split.json", '{"val": ["z"]}')
    ),
    "split of lists in lists": Bad(
        f"{_PREPARE} --split {{files}}/split.json", ("split.json", "lists"), put("files/split.json", '{"val": [["a"]]}')
    ),
    # train
    "manifest cut short": Bad(_TRAIN, ("manifest.json", "make the folder again"), cut("prepared/manifest.json")),
    "manifest changed": Bad(_TRAIN, ("manifest.json", *_AGAIN), key("prepared/manifest.json", "flips", value="xyz")),
    "signature is a list": Bad(_TRAIN, ("made_by.json", "damaged"), put("prepared/made_by.json", "[]")),
    "signature missing": Bad(_TRAIN, ("prepared", "made_by.json"), gone("prepared/made_by.json")),
    "another format": Bad(_TRAIN, ("format version 9",), key("prepared/made_by.json", "format_version", value=9)),
    "folder of another verb": Bad("train {predictions} --out {out}", ("predictions", "equireg predict")),
    "array damaged": Bad(_TRAIN, ("image.b2nd", *_AGAIN), cut("prepared/cases/a/image.b2nd")),
    "array missing": Bad(_TRAIN, ("label.b2nd", *_AGAIN), gone("prepared/cases/a/label.b2nd")),
    "more cases than there are": Bad(f"{_TRAIN} --sup_cases 99", ("sup_cases", "99")),
    "fraction and number": Bad(f"{_TRAIN} --sup_cases 1 --sup_cut 0.5", ("sup_cases", "sup_cut"), code=2),
    "unknown method": Bad(f"{_TRAIN} --method.name magic", ("magic", "equireg"), code=2),
    "unknown option": Bad(f"{_TRAIN} --max_step 3", ("'max_step'", "max_steps"), code=2),
    "steps below 1": Bad(f"{_TRAIN} --max_steps 0", ("--max_steps", "0"), code=2),
    "no run to resume": Bad(f"{_TRAIN} --resume", ("out", "no such folder")),
    "options missing": Bad(_OPTIONS, ("options.yaml", "no such file")),
    "options unknown": Bad(_OPTIONS, ("options.yaml", "botch_size", "batch_size"), options(botch_size=3), 2),
    "options of a wrong kind": Bad(_OPTIONS, ("options.yaml", "--batch_size"), options(batch_size="many"), 2),
    "options no YAML": Bad(_OPTIONS, ("options.yaml", "YAML"), put("files/options.yaml", "a: ["), 2),
    "options a list": Bad(_OPTIONS, ("options.yaml", "holds a list"), put("files/options.yaml", "[1]"), 2),
    "options given twice": Bad(_OPTIONS, ("options.yaml", "twice"), put("files/options.yaml", "seed: 1\nseed: 2\n"), 2),
    "options of aliases": Bad(_OPTIONS, ("options.yaml",), put("files/options.yaml", "a: &a [*a]\n"), 2),
    # predict
    "predict without a run": Bad("predict {files}/no {raw} --out {out}", ("files/no", "Check the path")),
    "run without a checkpoint": Bad(
        _PREDICT,
        ("checkpoints", "best or last.ckpt", "Train first"),
        lambda root: [path.unlink() for path in (root / "run/checkpoints").iterdir()],
    ),
    "checkpoint cut short": Bad(_PREDICT, ("best.ckpt", "Copy it again"), cut("run/checkpoints/best.ckpt")),
    "checkpoint is text": Bad(_PREDICT, ("best.ckpt", "Copy it again"), put("run/checkpoints/best.ckpt", "hello")),
    "checkpoint of a stranger": Bad(
        _PREDICT,
        ("best.ckpt", "expected one that `equireg train` wrote"),
        lambda root: __import__("torch").save({"a": 1}, root / "run/checkpoints/best.ckpt"),
    ),
    "no scans": Bad("predict {run} {files} --out {out}", ("files",)),
    "scans of other channels": Bad(_PREDICT, ("channel",)),
    # evaluate
    "prediction missing": Bad(_EVALUATE, ("b",), gone("predictions/b.nii.gz")),
    "prediction cut short": Bad(_EVALUATE, ("predictions/a.nii.gz",), cut("predictions/a.nii.gz")),
    "prediction of another shape": Bad(
        _EVALUATE, ("a.nii.gz", "(11, 10, 8)"), put("predictions/a.nii.gz", gzip.compress(nifti(MASK[..., :8])))
    ),
    "reference missing": Bad("evaluate {predictions} {files}/no --out {out}", ("files/no", "Check the path")),
    "references empty": Bad("evaluate {predictions} {files} --out {out}", ("files",)),
    "labels of the predictions damaged": Bad(
        _EVALUATE, ("labels.json", "Restore"), put("predictions/labels.json", "[]")
    ),
    "tolerance below 0": Bad(f"{_EVALUATE} --tolerance_mm -1", ("--tolerance_mm", "-1"), code=2),
    # report, view, sweep, command
    "report of nothing": Bad("report {files}/no --out {out}", ("files/no", "no such folder")),
    "report of a stranger": Bad("report {masks} --out {out}", ("masks", "made_by.json")),
    "scores damaged": Bad(
        "report {evaluation} --out {out}", ("metrics.csv",), put("evaluation/metrics.csv", "a,b\n1,2\n")
    ),
    "score no number": Bad(
        "report {evaluation} --out {out}",
        ("metrics.csv", "line 2"),
        put("evaluation/metrics.csv", "case,region,metric,value\na,tumour,dice,many\n"),
    ),
    "view of another case": Bad("view {predictions} --case nobody --out {out}", ("nobody", "predictions")),
    "sweep missing": Bad(_SWEEP, ("sweep.yaml", "no such file")),
    "sweep without runs": Bad(_SWEEP, ("sweep.yaml", "grid"), _sweep(prepared="p")),
    "sweep of unknown keys": Bad(_SWEEP, ("sweep.yaml", "grit", "grid"), _sweep(prepared="p", grit={"seed": [1]}), 2),
    "sweep of unknown options": Bad(
        _SWEEP, ("sweep.yaml", "seat", "did you mean"), _sweep(prepared="p", grid={"seat": [1, 2]}), 2
    ),
    "sweep of the same run": Bad(_SWEEP, ("sweep.yaml", "twice"), _sweep(prepared="p", grid={"seed": [1, 1]})),
    "unknown verb": Bad("trane {prepared}", ("trane", "train"), code=2),
    "no output": Bad("train {prepared}", ("--out",), code=2),
}
"""Name of a kind of bad input to what it is."""
