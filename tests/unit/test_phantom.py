"""The phantom scans: reproducible, varied, valid BraTS files, and not separable voxel by voxel."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from nibabel.loadsave import load
from nibabel.nifti1 import Nifti1Image
from numpy.testing import assert_array_equal

from equireg.errors import EquiregError
from equireg.phantom import CONTRASTS, ENHANCING, NECROSIS, OEDEMA, Phantom, PhantomConfig, make_case, write_dataset

SMALL = PhantomConfig(cases=3, shape=(32, 32, 16), spacing_mm=(6.0, 6.0, 8.0), seed=7)
THRESHOLD_DICE = 0.55
"""No threshold on a per-voxel logistic regression may find whole tumours better than this."""


@pytest.fixture(scope="module")
def phantoms() -> list[Phantom]:
    """Return half of the default cases."""
    config = PhantomConfig()
    return [make_case(config, index) for index in range(config.cases // 2)]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("phantom") / "raw", SMALL)


def opened(path: Path) -> Nifti1Image:
    image = load(path)
    assert isinstance(image, Nifti1Image)
    return image


def cases_in(folder: Path) -> list[Path]:
    return sorted((folder / "MICCAI_BraTS_2019_Data_Training" / "HGG").iterdir())


def masked_in(folder: Path) -> set[str]:
    return {case.name for case in cases_in(folder) if (case / f"{case.name}_seg.nii.gz").exists()}


def test_case_is_a_function_of_seed_and_index():
    first, again = make_case(SMALL, 1), make_case(SMALL, 1)
    assert_array_equal(first.images, again.images)
    assert_array_equal(first.label, again.label)
    longer = PhantomConfig(cases=9, shape=SMALL.shape, spacing_mm=SMALL.spacing_mm, seed=7)
    assert_array_equal(first.images, make_case(longer, 1).images)


def test_case_neither_reads_nor_moves_global_random_state():
    np.random.seed(0)
    first, after = make_case(SMALL, 0), np.random.random()
    np.random.seed(0)
    assert after == np.random.random()
    assert_array_equal(first.images, make_case(SMALL, 0).images)


def test_no_two_heads_or_tumours_alike(phantoms: list[Phantom]):
    for index, one in enumerate(phantoms):
        for other in phantoms[index + 1 :]:
            assert np.mean((one.images[0] > 0) != (other.images[0] > 0)) > 0.005
            assert np.any(one.label != other.label)
    other_seed = make_case(PhantomConfig(seed=43), 0)
    assert np.any(other_seed.label != phantoms[0].label)


def test_shapes_types_and_values(phantoms: list[Phantom]):
    for phantom in phantoms:
        assert phantom.images.shape == (4, 64, 64, 24)
        assert phantom.images.dtype == np.float32
        assert phantom.label.dtype == np.uint8
        assert set(np.unique(phantom.label)) <= {0, NECROSIS, OEDEMA, ENHANCING}
        brain = phantom.images[0] > 0
        assert 0.17 < brain.mean() < 0.4
        for image in phantom.images:
            assert_array_equal(image > 0, brain)  # skull-stripped: the same voxels in all contrasts
        assert brain[phantom.label > 0].all()
        assert not any(np.take(brain, (0, -1), axis).any() for axis in range(3))  # the head fits


def test_every_tumour_can_be_seen_and_all_regions_occur(phantoms: list[Phantom]):
    wholes = [int((phantom.label > 0).sum()) for phantom in phantoms]
    assert min(wholes) > 100
    counts = {v: sum(bool((p.label == v).sum() > 10) for p in phantoms) for v in (NECROSIS, OEDEMA, ENHANCING)}
    assert counts[OEDEMA] == 12
    assert 6 < counts[NECROSIS] < 12  # now and then a tumour has no necrosis or no rim
    assert 6 < counts[ENHANCING] < 12


def test_contrasts_differ_as_mri_contrasts_do(phantoms: list[Phantom]):
    """Fluid is dark in T1 and FLAIR and bright in T2; oedema is bright in FLAIR; the rim in T1ce alone."""
    for phantom in phantoms:
        scaled, brain = normalised(phantom)
        t1, t1ce, t2, flair = scaled
        healthy = brain & (phantom.label == 0)
        assert np.corrcoef(t1[healthy], t2[healthy])[0, 1] < -0.15
        assert flair[phantom.label == OEDEMA].mean() > flair[healthy].mean() + 0.4
        rim = phantom.label == ENHANCING
        if rim.sum() > 50:
            assert (t1ce - t1)[rim].mean() > 0.8


def test_small_field_of_view_holds_the_whole_head():
    config = PhantomConfig(shape=(24, 40, 20), spacing_mm=(3.0, 2.0, 4.0))
    phantom = make_case(config, 0)
    brain = phantom.images[0] > 0
    assert 0.1 < brain.mean() < 0.4
    assert not brain[[0, -1]].any()
    assert (phantom.label > 0).any()


@pytest.mark.parametrize(
    "wrong", [{"cases": 0}, {"seed": -1}, {"shape": (64, 64, 4)}, {"spacing_mm": (1, 0, 1)}, {"masked": 25}]
)
def test_wrong_config_is_refused(wrong: dict):
    with pytest.raises(EquiregError, match=next(iter(wrong))):
        PhantomConfig(**wrong)


def test_written_files_are_one_brats_grid(written: Path):
    cases = cases_in(written)
    assert [case.name for case in cases] == ["Phantom_0001_1", "Phantom_0002_1", "Phantom_0003_1"]
    for index, case in enumerate(cases):
        phantom = make_case(SMALL, index)
        names = {f"{case.name}_{part}.nii.gz" for part in (*CONTRASTS, "seg")}
        assert {file.name for file in case.iterdir()} == names
        for file in case.iterdir():
            image = opened(file)
            assert image.shape == SMALL.shape
            assert image.header.get_zooms() == pytest.approx(SMALL.spacing_mm)
            assert image.affine is not None
            assert_array_equal(image.affine, [[-6, 0, 0, 0], [0, -6, 0, 31 * 6], [0, 0, 8, 0], [0, 0, 0, 1]])
        t2 = np.asanyarray(opened(case / f"{case.name}_t2.nii.gz").dataobj)
        assert t2.dtype == np.int16
        assert_array_equal(t2, np.rint(phantom.images[CONTRASTS.index("t2")]))
        assert_array_equal(np.asanyarray(opened(case / f"{case.name}_seg.nii.gz").dataobj), phantom.label)


def test_writing_again_gives_the_same_bytes(written: Path, tmp_path: Path):
    again = write_dataset(tmp_path / "again", SMALL)
    for file in written.rglob("*.nii.gz"):
        assert (again / file.relative_to(written)).read_bytes() == file.read_bytes()


@pytest.mark.parametrize(("masked", "expected"), [(None, 3), (2, 2), (0, 0)])
def test_only_the_asked_number_of_cases_gets_a_mask(tmp_path: Path, masked: int | None, expected: int):
    folder = write_dataset(tmp_path / "raw", PhantomConfig(3, SMALL.shape, SMALL.spacing_mm, 7, masked))
    assert len(masked_in(folder)) == expected
    assert len(cases_in(folder)) == 3


def test_held_out_cases_follow_with_masks_where_brats_keeps_its_validation_data(tmp_path: Path):
    small = {"shape": (16, 16, 16), "spacing_mm": (12.0, 12.0, 8.0), "masked": 1}
    folder = write_dataset(tmp_path / "raw", PhantomConfig(cases=2, held_out=2, **small))
    apart = folder / "MICCAI_BraTS_2019_Data_Validation"
    assert sorted(path.name for path in apart.iterdir()) == ["Phantom_0003_1", "Phantom_0004_1"]
    assert len(list(apart.rglob("*_seg.nii.gz"))) == 2
    assert len(masked_in(folder)) == 1
    alone = write_dataset(tmp_path / "alone", PhantomConfig(cases=2, **small))
    for file in alone.rglob("*.nii.gz"):
        assert (folder / file.relative_to(alone)).read_bytes() == file.read_bytes(), "the others stay as they are"


def test_a_count_below_0_is_refused():
    with pytest.raises(EquiregError, match="held_out=-1"):
        PhantomConfig(held_out=-1)


def test_fewer_masks_are_a_part_of_more_masks(tmp_path: Path):
    few, more = (
        masked_in(write_dataset(tmp_path / str(masked), PhantomConfig(4, (16, 16, 16), (12, 12, 8), 3, masked)))
        for masked in (1, 3)
    )
    assert few < more


def test_an_existing_folder_is_refused_and_kept(tmp_path: Path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "mine.txt").write_text("keep")
    with pytest.raises(EquiregError, match="raw"):
        write_dataset(tmp_path / "raw", SMALL)
    assert [path.name for path in tmp_path.rglob("*")] == ["raw", "mine.txt"]


def test_a_stopped_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def stop_at_the_second(config: PhantomConfig, index: int) -> Phantom:
        if index == 1:
            raise KeyboardInterrupt
        return make_case(config, index)

    monkeypatch.setattr("equireg.phantom.scans.make_case", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path / "raw", SMALL)
    assert list(tmp_path.iterdir()) == []


def normalised(phantom: Phantom) -> tuple[np.ndarray, np.ndarray]:
    """Return the contrasts z-scored inside the brain [4, X, Y, Z] and the brain [X, Y, Z]."""
    brain = phantom.images[0] > 0
    inside = phantom.images[:, brain]
    scaled = np.zeros_like(phantom.images)
    scaled[:, brain] = (inside - inside.mean(1, keepdims=True)) / inside.std(1, keepdims=True)
    return scaled, brain


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())


def parts(phantoms: Sequence[Phantom]) -> tuple[slice, slice]:
    """Return which of the cases train, and which test."""
    cut = 2 * len(phantoms) // 3
    return slice(0, cut), slice(cut, None)


def voxelwise_dice(phantoms: Sequence[Phantom], squares: bool) -> float:
    """Fit a logistic regression on the training cases' voxels; return the test cases' mean whole-tumour Dice.

    The threshold is the best one on the training cases.
    """

    def voxels(phantom: Phantom) -> torch.Tensor:
        scaled, brain = normalised(phantom)
        linear = torch.from_numpy(scaled[:, brain].T.copy())
        pairs = [linear[:, i] * linear[:, j] for i in range(4) for j in range(i + 1)] if squares else []
        return torch.column_stack([torch.ones(len(linear)), linear, *pairs])

    training, testing = parts(phantoms)
    features = [voxels(phantom) for phantom in phantoms]
    tumours = [phantom.label[phantom.images[0] > 0] > 0 for phantom in phantoms]
    known, wanted = torch.cat(features[training]), torch.from_numpy(np.concatenate(tumours[training])).float()
    weights = torch.zeros(known.shape[1], requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=40)

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = torch.nn.functional.binary_cross_entropy_with_logits(known @ weights, wanted)
        value.backward()
        return value

    optimiser.step(loss)
    scores = [(voxel @ weights).sigmoid().detach().numpy() for voxel in features]

    def mean_dice(threshold: float, part: slice) -> float:
        pairs = zip(scores[part], tumours[part], strict=True)
        return float(np.mean([dice(score > threshold, tumour) for score, tumour in pairs]))

    best = max(np.linspace(0.05, 0.9, 35), key=lambda threshold: mean_dice(threshold, training))
    return mean_dice(best, testing)


@pytest.mark.parametrize("squares", [False, True])
def test_no_threshold_finds_the_tumours(phantoms: list[Phantom], squares: bool):
    """Neither the contrasts nor their squares and products tell tumour from brain; yet they say something."""
    assert 0.2 < voxelwise_dice(phantoms, squares) < THRESHOLD_DICE


@pytest.mark.slow
def test_a_small_unet_finds_the_tumours(phantoms: list[Phantom]):
    """A small U-Net on slices, a minute or two on one core, is far better than the best threshold."""
    phantoms = [*phantoms, *(make_case(PhantomConfig(), index) for index in range(len(phantoms), 24))]
    training, testing = parts(phantoms)
    predict = trained_unet(phantoms[training], steps=1500)
    found = float(np.mean([dice(predict(phantom), phantom.label > 0) for phantom in phantoms[testing]]))
    assert 0.75 < found < 0.95
    assert found > voxelwise_dice(phantoms, squares=False) + 0.2


def trained_unet(training: Sequence[Phantom], steps: int) -> Callable[[Phantom], np.ndarray]:
    from monai.losses.dice import DiceCELoss
    from monai.networks.nets.unet import UNet

    def slices(phantom: Phantom) -> torch.Tensor:
        return torch.from_numpy(normalised(phantom)[0]).permute(3, 0, 1, 2)

    images = torch.cat([slices(phantom) for phantom in training])
    labels = torch.cat([torch.from_numpy(phantom.label > 0).permute(2, 0, 1)[:, None] for phantom in training])
    holding = torch.nonzero(labels.flatten(1).any(1))[:, 0]
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = UNet(2, 4, 2, (16, 32, 64, 128), (2, 2, 2), num_res_units=1, norm="instance")
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    criterion = DiceCELoss(to_onehot_y=True, softmax=True, include_background=False, batch=True)
    for _ in range(steps):
        drawn = torch.randint(len(holding), (5,), generator=generator)
        chosen = torch.cat([holding[drawn], torch.randint(len(images), (3,), generator=generator)])
        image, label = images[chosen], labels[chosen].float()
        if torch.rand((), generator=generator) < 0.5:
            image, label = image.flip(2), label.flip(2)
        shift = torch.randint(-6, 7, (2,), generator=generator).tolist()
        image, label = image.roll(shift, (2, 3)), label.roll(shift, (2, 3))
        image = image * (1 + 0.1 * torch.randn(8, 4, 1, 1, generator=generator))
        optimiser.zero_grad()
        criterion(network(image), label).backward()
        optimiser.step()
        schedule.step()
    network.eval()

    def predict(phantom: Phantom) -> np.ndarray:
        with torch.no_grad():
            return network(slices(phantom)).argmax(1).permute(1, 2, 0).numpy() == 1

    return predict
