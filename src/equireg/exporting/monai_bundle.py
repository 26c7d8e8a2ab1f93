"""A MONAI bundle: a network as TorchScript, and configurations by which MONAI's own command predicts with it."""

import importlib.metadata
from pathlib import Path
from typing import Any

import numpy as np

from equireg._version import __version__
from equireg.disk import write_atomic, write_json
from equireg.errors import EquiregError
from equireg.exporting.card import NO_LICENCE
from equireg.exporting.graphs import Averaged, checked, run_torchscript, torchscript_bytes
from equireg.exporting.leaving import Leaving, copy_standalone, example_image, write_facts

_SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
_VERSION = "0.1.0"
_WINDOWS = 4
"""Windows that go through the network at once."""
_KINDS = ("uint8", "int16", "int32")
"""Types that a mask is written in."""
_USE = """
    python -m monai.bundle run --config_file configs/inference.json --dataset_dir SCANS --output_dir MASKS

in the bundle's folder. It needs torch and `pip install monai nibabel fire pytorch-ignite`: MONAI's command line asks
for `fire`, and its evaluator for `pytorch-ignite`. It needs no equireg.

SCANS is a folder of `.nii.gz`: a file a scan, or `CASE_0000.nii.gz`, `CASE_0001.nii.gz` and so on, a file a channel,
in the order of `channel_def` in `configs/metadata.json`. MASKS gets a mask for each, in its scan's own voxels and the
label values of the training set. For a model of pictures, SCANS is a folder of PNG, JPEG, TIFF, BMP or WebP files and
MASKS gets PNG; Pillow reads and writes them.

| file | what |
| --- | --- |
| `models/model.ts` | from windows to probabilities, the mean over mirrored images and over members, as TorchScript |
| `configs/inference.json` | how MONAI predicts with it |
| `configs/metadata.json` | what MONAI wants to know of a model |
| `scripts/` | what is done to a scan before and after, in numpy |
"""


def export_monai(folder: Path, leaving: Leaving) -> None:
    """Write the bundle.

    Raises:
        EquiregError: if the model does what a bundle cannot.
    """
    leaving.check_normalisation()
    _check_members(leaving)
    first, models = leaving.first, leaving.trained.models
    for name in ("configs", "models", "docs", "scripts"):
        (folder / name).mkdir()
    network = Averaged([model.predictor for model in models], leaving.flip_axes(first)).eval()
    content = checked(network, example_image(first), torchscript_bytes, run_torchscript)
    write_atomic(folder / "models" / "model.ts", content)
    write_json(folder / "configs" / "inference.json", _inference(leaving))
    write_json(folder / "configs" / "metadata.json", _metadata(leaving))
    write_facts(folder / "scripts", leaving, ("../models/model.ts",) * len(models))
    components = ["components.py"] if leaving.post_process.steps else []
    copy_standalone(folder / "scripts", "transforms.py", "working.py", *components)
    write_atomic(folder / "scripts" / "__init__.py", '"""What is done to a scan before and after the network."""\n')
    write_atomic(folder / "LICENSE", (leaving.config.licence or NO_LICENCE) + "\n")
    leaving.write_card(folder / "docs", _USE)


def _check_members(leaving: Leaving) -> None:
    kinds = {(model.config.spatial_dims, model.facts.patch_size) for model in leaving.trained.models}
    flips = {leaving.flip_axes(model) for model in leaving.trained.models}
    if len(kinds) > 1 or len(flips) > 1:
        raise EquiregError(
            f"{leaving.trained.root}: its members see slices or volumes of different patches or mirror along different "
            "axes; a bundle has one network. Export the members one by one, or with --to onnx."
        )


def _inference(leaving: Leaving) -> dict[str, Any]:
    first = leaving.first
    windows = {
        "roi_size": list(first.facts.patch_size),
        "sw_batch_size": _WINDOWS,
        "overlap": 0.5,
        "mode": "gaussian",
        "sigma_scale": 0.125,
    }
    slices = {"_target_": "SliceInferer", "spatial_dim": 0, **windows}
    return {
        "imports": ["$import numpy as np", "$import torch", "$import scripts.transforms as scans"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/scans'",
        "output_dir": "$@bundle_root + '/masks'",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "datalist": "$scans.cases(@dataset_dir)",
        "network_def": "$torch.jit.load(@bundle_root + '/models/model.ts', map_location=@device).eval()",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [{"_target_": "scripts.transforms.Prepared", "keys": "image"}],
        },
        "dataset": {"_target_": "Dataset", "data": "@datalist", "transform": "@preprocessing"},
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "shuffle": False},
        "inferer": slices if first.config.spatial_dims == 2 else {"_target_": "SlidingWindowInferer", **windows},
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "scripts.transforms.Restored", "keys": "pred"},
                _saving(leaving),
            ],
        },
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network_def",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
            "amp": False,
        },
        "run": ["$@evaluator.run()"],
    }


def _saving(leaving: Leaving) -> dict[str, Any]:
    facts = leaving.first.facts
    written = {"_target_": "scripts.transforms.Written", "keys": "pred", "output_dir": "@output_dir"}
    if facts.pictures:
        return written
    low, high = min(facts.labels.values), max(facts.labels.values)
    kind = next((kind for kind in _KINDS if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max), None)
    if kind is None:
        raise EquiregError(
            f"{leaving.trained.root}: has label values from {low} to {high}; a bundle writes whole numbers of 32 bits. "
            "Export with --to onnx, or train with smaller label values."
        )
    return {**written, "output_dtype": f"$np.{kind}"}


def _metadata(leaving: Leaving) -> dict[str, Any]:
    facts = leaving.first.facts
    names = {str(index): name for index, name in enumerate(facts.labels.names)}
    shape = {"spatial_shape": list(facts.patch_size), "dtype": "float32", "is_patch_data": True}
    channels = {str(index): name for index, name in enumerate(facts.channels)}
    image = {"type": "image", "format": "magnitude", "num_channels": len(facts.channels), "value_range": [-1000, 1000]}
    pred = {"type": "image", "format": "segmentation", "num_channels": len(names), "value_range": [0, 1]}
    regions = ", ".join(facts.labels.judged_regions())
    return {
        "schema": _SCHEMA,
        "version": _VERSION,
        "changelog": {_VERSION: f"exported by equireg {__version__}"},
        "monai_version": importlib.metadata.version("monai"),
        "pytorch_version": importlib.metadata.version("torch").split("+")[0],
        "numpy_version": importlib.metadata.version("numpy"),
        "required_packages_version": {
            "nibabel": importlib.metadata.version("nibabel"),
            "fire": "0.7.0",
            "pytorch-ignite": "0.4.11",
        },
        "name": leaving.name,
        "task": f"segmentation of {regions}",
        "description": f"Segments {regions} in scans with the channels {', '.join(facts.channels)}.",
        "authors": "see docs/README.md",
        "copyright": leaving.config.licence or NO_LICENCE,
        "data_source": facts.dataset,
        "data_type": "nibabel",
        "image_classes": ", ".join(facts.channels),
        "label_classes": ", ".join(f"{v}: {n}" for n, v in zip(facts.labels.names, facts.labels.values, strict=True)),
        "pred_classes": "probabilities of the labels, in their order",
        "eval_metrics": {},
        "intended_use": "For research. No medical device.",
        "references": [],
        "network_data_format": {
            "inputs": {"image": {**image, **shape, "channel_def": channels}},
            "outputs": {"pred": {**pred, **shape, "channel_def": names}},
        },
    }
