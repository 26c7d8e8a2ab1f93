"""A results folder of nnU-Net (version 2), with which its own commands predict."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from equireg.disk import disk_errors, write_json
from equireg.errors import EquiregError
from equireg.exporting.leaving import Leaving
from equireg.exporting.nnunet_fit import check_fit
from equireg.model import ModelFacts
from equireg.networks.nnunet_names import Found
from equireg.networks.nnunet_tensors import to_nnunet
from equireg.preparation.normalise import scheme_of

_TRAINER, _PLANS = "nnUNetTrainer", "nnUNetPlans"
_CONFIGURATIONS = {2: "2d", 3: "3d_fullres"}
_SCHEMES = {"zscore": "ZScoreNormalization", "ct": "CTNormalization", "none": "NoNormalization"}
_NETWORKS = {
    "unet": ("unet.PlainConvUNet", "n_conv_per_stage"),
    "resenc": ("unet.ResidualEncoderUNet", "n_blocks_per_stage"),
}
"""Name of our network to nnU-Net's class, and what it calls the convolutions or blocks of its encoder."""
_NEEDS_IMPORT = ("conv_op", "norm_op", "dropout_op", "nonlin")
_READER = "NibabelIOWithReorient"
"""nnU-Net's reader that turns scans as we do: each axis to right, anterior and superior."""
_USE = """
    nnUNetv2_predict_from_modelfolder -i SCANS -o MASKS -m {model} -f {folds}

or, with this folder as `nnUNet_results`:

    nnUNetv2_predict -i SCANS -o MASKS -d {number} -c {configuration} -f {folds}

SCANS holds a file a channel, `CASE_0000.nii.gz`, `CASE_0001.nii.gz` and so on, in the order of `channel_names` in
`dataset.json`. `--disable_tta` leaves out mirrored views.

The network is the same, tensor for tensor. Scans are turned, resampled and normalised as equireg does it: {compared}
A scan of another kind, such as one with a wide background, would be normalised otherwise. nnU-Net averages logits where
equireg averages probabilities, places windows otherwise and pads with 0: masks may differ in a few voxels of a border.
"""


def export_nnunet(folder: Path, leaving: Leaving) -> None:
    """Write a results folder: a data set's folder, in it the model's, in it a fold for each member.

    Raises:
        EquiregError: if nnU-Net could not give our masks with it; says why.
    """
    compared = check_fit(leaving)
    model = leaving.first
    try:
        weights, found = zip(*(to_nnunet(one.predictor) for one in leaving.trained.models), strict=True)
    except EquiregError as error:
        raise EquiregError(f"{leaving.trained.root}: {error}. Export with --to onnx or monai.") from error
    number = leaving.config.dataset_id
    dataset = f"Dataset{number:03d}_{re.sub(r'[^A-Za-z0-9]', '', leaving.name) or 'equireg'}"
    configuration = _CONFIGURATIONS[model.config.spatial_dims]
    place = folder / dataset / f"{_TRAINER}__{_PLANS}__{configuration}"
    plans, described = plans_of(model.facts, found[0], dataset), dataset_json(model.facts, leaving)
    place.mkdir(parents=True)
    write_json(place / "plans.json", plans)
    write_json(place / "dataset.json", described)
    for fold, tensors in enumerate(weights):
        content = {
            "network_weights": tensors,
            "optimizer_state": {},
            "grad_scaler_state": None,
            "logging": {},
            "_best_ema": None,
            "current_epoch": 0,
            "init_args": {"plans": plans, "configuration": configuration, "fold": fold, "dataset_json": described},
            "trainer_name": _TRAINER,
            "inference_allowed_mirroring_axes": leaving.flip_axes(model) or None,
        }
        path = place / f"fold_{fold}" / "checkpoint_final.pth"
        with disk_errors(path):
            path.parent.mkdir()
            torch.save(content, path)
    folds = " ".join(map(str, range(len(weights))))
    where = f"{dataset}/{place.name}"
    use = _USE.format(model=where, folds=folds, number=number, configuration=configuration, compared=compared)
    leaving.write_card(folder, use)


def dataset_json(facts: ModelFacts, leaving: Leaving) -> dict[str, Any]:
    """Return the content of ``dataset.json``."""
    names = facts.labels.names[1:]
    return {
        "name": leaving.name,
        "licence": leaving.config.licence or "",
        "channel_names": {str(index): name for index, name in enumerate(facts.channels)},
        "labels": {"background": 0, **{name: index for index, name in enumerate(names, start=1)}},
        "numTraining": leaving.trained.runs[0].labelled_cases or 0,
        "file_ending": ".nii.gz",
        "overwrite_image_reader_writer": _READER,
    }


def plans_of(facts: ModelFacts, found: Found, dataset: str) -> dict[str, Any]:
    """Return the content of ``plans.json``, with one configuration.

    Args:
        facts: of the training data.
        found: the network, as its tensors show it.
        dataset: name of the data set's folder.
    """
    forward = ["zyx".index(axis) for axis in facts.axes]
    spacing = dict(zip("xyz", facts.spacing_mm or (1.0, 1.0, 1.0), strict=True))
    turned = [spacing[axis] for axis in facts.axes]
    return {
        "dataset_name": dataset,
        "plans_name": _PLANS,
        "original_median_spacing_after_transp": turned,
        "original_median_shape_after_transp": [0, 0, 0],
        "image_reader_writer": _READER,
        "transpose_forward": forward,
        "transpose_backward": [forward.index(axis) for axis in range(3)],
        "experiment_planner_used": "equireg",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": _intensities(facts),
        "configurations": {_CONFIGURATIONS[found.spatial_dims]: _configuration(facts, found, turned)},
    }


def _configuration(facts: ModelFacts, found: Found, spacing: list[float]) -> dict[str, Any]:
    schemes = [_SCHEMES[scheme_of(facts.normalisation, index)] for index in range(len(facts.channels))]
    resampling = {}
    for what, is_seg in (("data", False), ("seg", True), ("probabilities", False)):
        fixed = facts.spacing_mm is None
        resampling[f"resampling_fn_{what}"] = "no_resampling_hack" if fixed else "resample_data_or_seg_to_shape"
        linear = {"is_seg": is_seg, "order": 1, "order_z": 0, "force_separate_z": False}
        resampling[f"resampling_fn_{what}_kwargs"] = {} if fixed else linear
    return {
        "data_identifier": f"{_PLANS}_{_CONFIGURATIONS[found.spatial_dims]}",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": list(facts.patch_size),
        "median_image_size_in_voxels": list(facts.patch_size),
        "spacing": spacing,
        "normalization_schemes": schemes,
        "use_mask_for_norm": [False] * len(facts.channels),
        **resampling,
        "architecture": _architecture(found),
        "batch_dice": False,
    }


def _architecture(found: Found) -> dict[str, Any]:
    network: Mapping[str, Any] = vars(found.network)
    kind, encoder = _NETWORKS[network["name"]]
    stages, dims = len(network["strides"]), found.spatial_dims
    blocks = network.get("blocks")
    return {
        "network_class_name": f"dynamic_network_architectures.architectures.{kind}",
        "arch_kwargs": {
            "n_stages": stages,
            "features_per_stage": [min(network["features"] * 2**i, network["max_features"]) for i in range(stages)],
            "conv_op": f"torch.nn.modules.conv.Conv{dims}d",
            "kernel_sizes": [list(kernel) for kernel in network["kernels"]],
            "strides": [list(stride) for stride in network["strides"]],
            encoder: list(blocks) if blocks else [2] * stages,
            "n_conv_per_stage_decoder": [1 if blocks else 2] * (stages - 1),
            "conv_bias": True,
            "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dims}d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": list(_NEEDS_IMPORT),
    }


def _intensities(facts: ModelFacts) -> dict[str, Any]:
    """Return the numbers by which nnU-Net scales CT; for other scans they do nothing."""
    rule: Mapping[str, Any] = facts.normalisation
    found = {}
    for index in range(len(facts.channels)):
        low, high, mean, std = (
            (float(rule[key][index]) for key in ("low", "high", "mean", "std"))
            if scheme_of(rule, index) == "ct"
            else (0.0, 0.0, 0.0, 1.0)
        )
        found[str(index)] = {
            **{"mean": mean, "median": mean, "std": std, "min": low, "max": high},
            **{"percentile_00_5": low, "percentile_99_5": high},
        }
    return found
