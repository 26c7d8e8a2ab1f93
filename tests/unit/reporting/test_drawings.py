import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from equireg.comparing.arms import Arms
from equireg.comparing.cohorts import cohorts
from equireg.comparing.sources import read_sources
from equireg.drawing.scans import REGION_COLOURS, shown_channels
from equireg.drawing.svg import INK, draw
from equireg.folders.evaluation import Picture, read_pictures
from equireg.imaging.labels import LabelTable
from equireg.reporting.drawing.panels import Panel, panels
from equireg.reporting.sections.curves import learning_curves
from equireg.reporting.sections.labels import dice_by_labels
from equireg.reporting.sections.volumes import section
from reporting_made_up import LABELS, Training, write_evaluation, write_picture, write_run


@pytest.fixture
def picture(tmp_path: Path) -> Picture:
    (tmp_path / "pictures").mkdir()
    write_picture(tmp_path / "pictures", "case", "best", 0.8)
    return read_pictures(tmp_path)[0]


def pixels(panel: Panel) -> np.ndarray:
    return matplotlib.image.imread(io.BytesIO(base64.b64decode(panel.png.split(",")[1])))[..., :3]


def test_two_channels_then_both_masks_are_shown(picture: Picture) -> None:
    assert [panel.caption for panel in panels(picture, LABELS)] == [
        "FLAIR",
        "T1ce",
        "reference",
        "prediction",
    ]


def test_without_a_scan_the_masks_are_shown(picture: Picture) -> None:
    bare = replace(picture, scan=np.zeros((1, *picture.reference.shape), np.float32), channels=())
    assert [panel.caption for panel in panels(bare, LABELS)] == ["reference", "prediction"]


def test_panels_keep_the_voxels_aspect(picture: Picture) -> None:
    square = panels(picture, LABELS)[0]
    stretched = panels(replace(picture, spacing_mm=(3.0, 1.5)), LABELS)[0]
    assert stretched.aspect == pytest.approx(square.aspect / 2)
    height, width, _ = pixels(stretched).shape
    assert width / height == pytest.approx(stretched.aspect, rel=0.02)


@pytest.mark.parametrize(
    ("errors_ml", "said"),
    [
        ((0.002, 0.0026), "+0.00230"),
        ((-0.04, -0.04), "-0.0400"),
        ((12.34, 12.34), "+12.3"),
        ((1234.0,), "+1234"),
        ((0.1, 0.2, -0.3), "0"),
        ((0.0,), "0"),
    ],
)
def test_small_volumes_are_not_rounded_away(tmp_path: Path, errors_ml: tuple[float, ...], said: str) -> None:
    scores = {
        (f"c{place}", "whole"): {"dice": 0.5, "volume_ml": 2000.0 + error, "reference_volume_ml": 2000.0}
        for place, error in enumerate(errors_ml)
    }
    found = read_sources([write_evaluation(tmp_path / "e", Training().facts(), scores)]).evaluations
    [drawing] = section(cohorts(found, Arms(found))[0]).content["drawings"]
    assert drawing.note.endswith(
        f"supervised {said} ml".replace(" ", "\N{NO-BREAK SPACE}").replace("-", "\N{MINUS SIGN}")
    )


def test_each_region_is_outlined_in_its_colour(picture: Picture) -> None:
    reference = pixels(panels(picture, LABELS)[2])
    scan = pixels(panels(picture, LABELS)[0])
    for colour in REGION_COLOURS[:3]:
        near = np.abs(reference - to_rgb(colour)).max(axis=-1) < 0.15
        assert near.sum() > 20, colour
        assert not (np.abs(scan - to_rgb(colour)).max(axis=-1) < 0.15).any()


def test_outlines_lie_where_the_mask_is() -> None:
    mask = np.zeros((40, 40), np.uint8)
    mask[4:10, 20:36] = 1
    scan = np.random.default_rng(0).random((1, 40, 40), np.float32)
    picture = Picture("case", "best", mask, np.zeros_like(mask), (1.0, 1.0), 0.0, scan)
    [reference] = [
        panel for panel in panels(picture, LabelTable((0, 1), ("background", "whole"))) if panel.caption == "reference"
    ]
    shown = pixels(reference)
    rows, columns = np.nonzero(np.abs(shown - to_rgb(REGION_COLOURS[0])).max(axis=-1) < 0.15)
    scale = shown.shape[0] / 40
    assert (rows.min() / scale, rows.max() / scale) == pytest.approx((4, 10), abs=0.6)
    assert (columns.min() / scale, columns.max() / scale) == pytest.approx((20, 36), abs=0.6)


@pytest.mark.parametrize(
    ("names", "channels", "shown"),
    [
        (("t1", "t1ce", "t2", "flair"), 4, [3, 1]),
        (("t1n", "t1c", "t2w", "t2f"), 4, [3, 1]),
        (("ct",), 1, [0]),
        ((), 3, [2, 0]),
        (("pre", "FLAIR", "post"), 3, [1, 0]),
        (("red", "green", "blue"), 3, [1]),
    ],
)
def test_channels_are_chosen_by_meaning(names: tuple[str, ...], channels: int, shown: list[int]) -> None:
    assert shown_channels(names, channels) == shown


def test_a_drawing_takes_its_ink_from_the_page() -> None:
    def plot(axes: Axes) -> None:
        axes.text(0.5, 0.5, "a $b$ <script>", color=INK)

    svg = str(draw(plot, width=2, height=2, label='"quoted"'))
    assert INK not in svg
    assert "var(--ink)" in svg
    assert "a $b$ &lt;script&gt;" in svg
    assert 'aria-label="&#34;quoted&#34;"' in svg
    identities = re.findall(r'\bid="([^"]+)"', svg)
    assert len(set(identities)) == len(identities)
    assert {name.split("-")[0] for name in identities} == {identities[0].split("-")[0]}


def test_curves_start_with_validation_and_name_a_log_scale(tmp_path: Path) -> None:
    runs = read_sources([write_run(tmp_path / "r", Training("r", "equireg"))]).runs
    drawn = learning_curves(runs, Arms(runs))
    assert [drawing.title for drawing in drawn] == [
        "Validation Dice",
        "Training loss: total",
        "Training loss: supervised",
        "Training loss: unsupervised",
        "Validation Dice: whole",
        "Validation Dice: core",
        "Validation Dice: enhancing",
        "Learning rate",
    ]
    assert [drawing.note for drawing in drawn[1:3]] == ["", "logarithmic scale"]


def test_dice_by_labels_needs_two_counts(tmp_path: Path) -> None:
    folders = [
        write_evaluation(
            tmp_path / str(count), Training(f"s{count}", labelled=count).facts(), {("a", "x"): {"dice": 0.5}}
        )
        for count in (3, 9)
    ]
    both = read_sources(folders).evaluations
    for found, drawn in ((both, True), (both[:1], False)):
        [cohort] = cohorts(found, Arms(found))
        assert bool(dice_by_labels(cohort)) == drawn
