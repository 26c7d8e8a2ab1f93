"""Checkpoints of nnU-Net: what is read, without running code, and what is refused with its reason."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from equireg import disk
from equireg.config import ResEncConfig, UNetConfig
from equireg.errors import EquiregError
from equireg.warm_start import read_source
from nnunet_made_up import Plan, state_dict, write_checkpoint

PLAN = Plan(strides=((1, 1), (2, 2), (2, 2)), kernels=((3, 3),) * 3)


def test_a_checkpoint_says_what_it_was_trained_on(tmp_path: Path) -> None:
    source = read_source(write_checkpoint(tmp_path / "checkpoint_final.pth", PLAN))
    assert source.network == UNetConfig(
        features=4, max_features=16, strides=PLAN.strides, kernels=PLAN.kernels, trans_bias=True
    )
    assert (source.spatial_dims, source.channels) == (2, ("T1", "T2"))
    assert source.labels is not None
    assert (source.labels.names, source.labels.values) == (("background", "rim", "core"), (0, 1, 2))
    assert source.record == f"checkpoint_final@{source.digest}"
    assert str(tmp_path) not in source.record


def test_a_residual_encoder_is_ours(tmp_path: Path) -> None:
    source = read_source(write_checkpoint(tmp_path / "a.pth", PLAN, (1, 2, 1)))
    assert isinstance(source.network, ResEncConfig)
    assert source.network.blocks == (1, 2, 1)


def test_the_spacing_of_volumes_is_turned(tmp_path: Path) -> None:
    plan = Plan(strides=((1, 1, 1), (1, 2, 2), (2, 2, 2)), kernels=((1, 3, 3), (3, 3, 3), (3, 3, 3)))
    assert read_source(write_checkpoint(tmp_path / "a.pth", plan)).spacing_mm == (1.0, 1.0, 2.0)
    made = torch.load(tmp_path / "a.pth", weights_only=False)["init_args"]["plans"]
    for forward, expected in (([2, 0, 1], (2.0, 3.0, 1.0)), ("none", (3.0, 1.0, 2.0))):
        base = {**made["configurations"]["base"], "spacing": [2.0, 1.0, 3.0]}
        plans = {**made, "transpose_forward": forward, "configurations": {**made["configurations"], "base": base}}
        assert read_source(write_checkpoint(tmp_path / "b.pth", plan, plans=plans)).spacing_mm == expected


def test_plans_and_data_set_may_stand_beside_it(tmp_path: Path) -> None:
    model = tmp_path / "nnUNetTrainer__nnUNetPlans__2d"
    path = write_checkpoint(model / "fold_0" / "checkpoint_final.pth", PLAN, init_args=None)
    assert read_source(path).channels == ("channel_0", "channel_1")
    disk.write_json(model / "dataset.json", {"channel_names": {"0": "CT", "1": "PET"}, "labels": {"background": 0}})
    assert read_source(path).channels == ("CT", "PET")
    architecture = {"network_class_name": "some.Primus"}
    disk.write_json(model / "plans.json", {"configurations": {"2d": {"architecture": architecture}}})
    with pytest.raises(EquiregError, match=r"its plans are for a Primus; expected a PlainConvUNet"):
        read_source(path)


@pytest.mark.parametrize("where", ["fold_0/checkpoint_final.pth", "fold_0", "."])
def test_the_file_its_fold_or_the_trained_folder_may_be_given(tmp_path: Path, where: str) -> None:
    path = write_checkpoint(tmp_path / "model" / "fold_0" / "checkpoint_final.pth", PLAN)
    write_checkpoint(path.with_name("checkpoint_best.pth"), PLAN)
    assert read_source(tmp_path / "model" / where).path == path


def test_of_several_folds_one_is_to_be_given(tmp_path: Path) -> None:
    for fold in (0, 1):
        write_checkpoint(tmp_path / f"fold_{fold}" / "checkpoint_final.pth", PLAN)
    with pytest.raises(EquiregError, match=r"the checkpoints of 2 folds .* Give one of them, such as .*fold_0"):
        read_source(tmp_path)


@pytest.mark.parametrize(
    "labels", [{"background": 0, "whole": [1, 2], "core": 2}, {"background": 0, "rim": 1}, None, ["background"]]
)
def test_a_head_of_regions_or_of_unknown_labels_has_no_classes(tmp_path: Path, labels: Any) -> None:
    described = {"labels": labels} if labels is not None else {}
    assert read_source(write_checkpoint(tmp_path / "a.pth", PLAN, dataset_json=described)).labels is None


def test_labels_with_an_ignore_label(tmp_path: Path) -> None:
    labels = {"background": 0, "rim": 1, "core": 2, "ignore": 3}
    source = read_source(write_checkpoint(tmp_path / "a.pth", PLAN, dataset_json={"labels": labels}))
    assert source.labels is not None
    assert source.labels.names == ("background", "rim", "core")


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("nonlin", "torch.nn.ReLU", "its plans have nonlin ReLU; expected LeakyReLU"),
        ("norm_op", "torch.nn.BatchNorm2d", "its plans have norm_op BatchNorm2d; expected InstanceNorm2d"),
        ("strides", [[2, 2], [2, 2], [2, 2]], r"its plans begin with the stride \[2, 2\]"),
    ],
)
def test_what_the_tensors_do_not_show_is_checked_in_the_plans(
    tmp_path: Path, key: str, value: Any, reason: str
) -> None:
    architecture = {"network_class_name": "a.PlainConvUNet", "arch_kwargs": {key: value}}
    plans = {"configurations": {"own": {"architecture": architecture}}}
    with pytest.raises(EquiregError, match=rf"a\.pth: {reason}"):
        read_source(write_checkpoint(tmp_path / "a.pth", PLAN, plans=plans))


@pytest.mark.parametrize("arguments", [{"strides": [["x", [1]]]}, ["strides"], 3])
def test_plans_of_another_kind_are_told(tmp_path: Path, arguments: Any) -> None:
    architecture = {"network_class_name": "a.PlainConvUNet", "arch_kwargs": arguments}
    plans = {"configurations": {"own": {"architecture": architecture}}}
    with pytest.raises(EquiregError, match=r"a\.pth: its plans, or those beside it, hold values of other kinds"):
        read_source(write_checkpoint(tmp_path / "a.pth", PLAN, plans=plans))


def test_labels_that_cannot_be_name_the_file(tmp_path: Path) -> None:
    labels = {"background": 0, "rim": 0, "core": 2}
    with pytest.raises(EquiregError, match=r"a\.pth: labels \(0, 0, 2\)"):
        read_source(write_checkpoint(tmp_path / "a.pth", PLAN, dataset_json={"labels": labels}))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    weights = state_dict(PLAN)
    weights["decoder.seg_layers.1.bias"][0] = value
    with pytest.raises(EquiregError, match=r"weights that are NaN or infinite \(1 of \d+ tensors, such as decoder"):
        read_source(write_checkpoint(tmp_path / "a.pth", PLAN, network_weights=weights))


@pytest.mark.parametrize("weights", [None, {}, {"a": 1}, [1, 2]])
def test_a_file_without_weights_is_refused(tmp_path: Path, weights: Any) -> None:
    path = write_checkpoint(tmp_path / "a.pth", PLAN, network_weights=weights)
    with pytest.raises(EquiregError, match=r"holds no weights of nnU-Net"):
        read_source(path)


class Code:
    """What runs a command where a pickle is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.touch, (self.marker,)


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    path = write_checkpoint(tmp_path / "a.pth", PLAN, logging=Code(marker))
    with pytest.raises(EquiregError, match=r"cannot be read as a checkpoint of nnU-Net") as caught:
        read_source(path)
    assert not marker.exists()
    assert "\n" not in str(caught.value)


def test_a_damaged_file_and_another_programs_are_refused(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "a.pth", PLAN)
    path.write_bytes(path.read_bytes()[:2000])
    (tmp_path / "pickle.pth").write_bytes(pickle.dumps({"network_weights": {}}))
    with zipfile.ZipFile(tmp_path / "zip.pth", "w") as archive:
        archive.writestr("a.txt", "text")
    for name in ("a", "pickle", "zip"):
        with pytest.raises(EquiregError, match=rf"{name}\.pth: cannot be read as a checkpoint of nnU-Net"):
            read_source(tmp_path / f"{name}.pth")


def test_numbers_written_by_numpy_1_are_read(tmp_path: Path) -> None:
    """Its pickles name the module that numpy 2 renamed."""
    written = io.BytesIO()
    torch.save({"value": np.float64(0.25)}, written)
    content = zipfile.ZipFile(written)
    path = write_checkpoint(tmp_path / "a.pth", PLAN)
    assert b"numpy._core.multiarray" in content.read("archive/data.pkl")
    old = tmp_path / "old.pth"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(old, "w") as target:
        for name in source.namelist():
            data = source.read(name).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
            target.writestr(name, data)
    assert read_source(old).channels == ("T1", "T2")
