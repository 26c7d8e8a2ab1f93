"""A model that predicts arrays: the same as the network says, or an error that says what is wrong with them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from equireg.errors import EquiregError, UsageError
from equireg.imaging.labels import LabelTable
from equireg.model import ENTRY, ModelFacts, config_from, entry, new_method, seal
from equireg.prediction.ensemble import ensemble
from equireg.prediction.load import LoadedModel, load
from equireg.prediction.predict import predict

AFFINE = np.diag([-1.0, -1.0, 2.0, 1.0])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = config_from({"method": {"name": "supervised"}})
    labels = LabelTable((0, 4), ("background", "rim"))
    facts = ModelFacts("made up", ("t1", "t2"), labels, "zyx", None, {"name": "zscore"}, (16, 16), (1,))
    method = new_method(config, facts)
    weights = {f"method.{name}": value for name, value in method.state_dict().items()}
    content: dict[str, Any] = {"state_dict": weights, "global_step": 3, ENTRY: entry(config, facts)}
    seal(content)
    path = tmp_path_factory.mktemp("load") / "a.ckpt"
    torch.save(content, path)
    return path


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> LoadedModel:
    return load(checkpoint, device="cpu", precision="32")


def scan(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 500, size=shape).astype(np.int16)


def test_labels_and_probabilities_in_the_scans_own_voxels(model: LoadedModel) -> None:
    assert (model.channels, model.labels.values, model.step) == (("t1", "t2"), (0, 4), 3)
    array = scan(2, 18, 20, 5)
    made = model.predict(array, AFFINE)
    assert made.labels.shape == (18, 20, 5)
    assert made.probabilities is not None
    assert made.probabilities.shape == (2, 18, 20, 5)
    np.testing.assert_allclose(made.probabilities.sum(axis=0), 1, atol=1e-5)
    np.testing.assert_array_equal(made.labels, np.array([0, 4])[made.probabilities.argmax(axis=0)])
    assert {0, 4} == set(np.unique(made.labels))
    alone = model.predict(array, AFFINE, probabilities=False)
    assert alone.probabilities is None
    np.testing.assert_array_equal(alone.labels, made.labels)
    assert made.quality == alone.quality
    assert made.quality is not None
    assert 0 < made.quality < 1
    np.testing.assert_array_equal(array, scan(2, 18, 20, 5))


def test_two_random_views_doubt_a_prediction_by_default(checkpoint: Path) -> None:
    made = [
        load(checkpoint, device="cpu", precision="32", quality_views=views).predict(scan(2, 18, 20, 5), AFFINE)
        for views in (0, 2)
    ]
    np.testing.assert_array_equal(made[0].labels, made[1].labels)
    assert made[0].quality != made[1].quality
    by_default = load(checkpoint, device="cpu", precision="32").predict(scan(2, 18, 20, 5), AFFINE)
    assert by_default.quality == made[1].quality


def test_one_view_has_no_quality(checkpoint: Path) -> None:
    alone = load(checkpoint, device="cpu", precision="32", test_time="none", quality_views=0)
    assert alone.predict(scan(2, 18, 20, 5), AFFINE).quality is None


@pytest.mark.parametrize("shape", [(2, 1, 20, 18), (2, 20, 1, 18), (2, 2, 2, 2), (2, 1, 1, 2)])
def test_flat_and_tiny_scans(model: LoadedModel, shape: tuple[int, ...]) -> None:
    assert model.predict(scan(*shape), AFFINE).labels.shape == shape[1:]


@pytest.mark.parametrize(
    ("array", "affine", "words"),
    [
        (scan(18, 20, 5), AFFINE, "2 channels t1, t2"),
        (scan(18, 20, 5, 2), AFFINE, "2 channels t1, t2"),
        (scan(2, 18, 20), AFFINE, "shape"),
        (np.full((2, 4, 4, 4), np.nan), AFFINE, "channel t1 holds values that are NaN"),
        (np.ones((2, 4, 4, 4)), AFFINE, "channel t1 is empty"),
        (np.full((2, 4, 4, 4), "a"), AFFINE, "real numbers"),
        (scan(2, 4, 4, 4), np.eye(3), "affine"),
        (scan(2, 4, 4, 4), np.zeros((4, 4)), "affine"),
        (scan(2, 4, 4, 4), "x", "got 'x'; expected an array of numbers"),
        ([[1.0], [1.0, 2.0]], AFFINE, "expected an array of numbers"),
    ],
)
def test_what_does_not_fit_is_refused(model: LoadedModel, array: Any, affine: Any, words: str) -> None:
    with pytest.raises(EquiregError, match=words):
        model.predict(array, affine)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((2, 60, 70), r"shape \(2, 60, 70\); expected \[rows, columns, 2\] .*Move the channels to the last axis\."),
        ((60, 70, 4), r"shape \(60, 70, 4\); expected \[rows, columns, 2\] .*Keep these channels alone\."),
    ],
)
def test_a_picture_of_other_channels_is_refused_in_its_own_shape(model, shape, words) -> None:
    with pytest.raises(EquiregError, match=words):
        model.predict_picture(np.ones(shape, np.uint8))


def test_an_empty_channel_beside_others_is_told(model: LoadedModel, caplog: pytest.LogCaptureFixture) -> None:
    image = scan(2, 18, 20, 5)
    image[1] = 0
    assert model.predict(image, AFFINE).labels.shape == (18, 20, 5)
    assert "channel t2 is empty, every voxel is the same" in caplog.text


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EquiregError, match="no such file or folder"):
        load(tmp_path / "none")
    with pytest.raises(EquiregError, match=str(tmp_path)):
        load(tmp_path)


@pytest.mark.parametrize("given", [[], None, 5, b"run", [None]])
@pytest.mark.parametrize("verb", [load, lambda given: predict(given, "s", "o"), lambda given: ensemble(given, "o")])
def test_what_is_no_run_is_refused_by_every_verb(verb: Any, given: Any) -> None:
    with pytest.raises(UsageError, match=r"the runs are .*; expected the path of a run, or a list of such paths"):
        verb(given)


def test_one_run_may_be_given_as_text(tmp_path: Path) -> None:
    with pytest.raises(EquiregError, match=f"{tmp_path}: "):
        ensemble(str(tmp_path), tmp_path / "new")
