"""Components are removed as a step says, and nothing else changes."""

import numpy as np
import pytest

from equireg.folders.schema import SchemaError
from equireg.imaging.labels import LabelTable
from equireg.postprocessing import PostProcessing, Step, applied, majority

LABELS = LabelTable((0, 1, 2), ("background", "left", "right"))
BRATS = LabelTable(
    (0, 1, 2, 4),
    ("background", "necrosis", "oedema", "enhancing"),
    {"whole": (1, 2, 4), "core": (1, 4), "enhancing": (4,)},
)


def classes_of(*boxes: tuple[int, tuple[slice, slice, slice]]) -> np.ndarray:
    classes = np.zeros((8, 9, 10), dtype=np.uint8)
    for index, box in boxes:
        classes[box] = index
    return classes


BIG = np.s_[0:4, 0:4, 0:4]
SMALL = np.s_[6:8, 6:8, 6:8]
SPECK = np.s_[6:7, 0:1, 0:1]


def test_the_largest_component_of_a_region_stays_alone() -> None:
    classes = classes_of((1, BIG), (1, SMALL), (2, SPECK), (2, np.s_[6:7, 8:9, 0:1]))
    before = classes.copy()
    found = applied(PostProcessing((Step("left"),)), classes, LABELS, 1.0)
    np.testing.assert_array_equal(found, classes_of((1, BIG), (2, SPECK), (2, np.s_[6:7, 8:9, 0:1])))
    np.testing.assert_array_equal(classes, before)


def test_components_below_a_volume_go_and_that_volume_is_in_mm3() -> None:
    classes = classes_of((1, BIG), (1, SMALL), (1, SPECK))
    step = PostProcessing((Step("left", smallest_mm3=8.0),))
    np.testing.assert_array_equal(applied(step, classes, LABELS, 1.0), classes_of((1, BIG), (1, SMALL)))
    np.testing.assert_array_equal(applied(step, classes, LABELS, 0.9), classes_of((1, BIG)))
    np.testing.assert_array_equal(applied(step, classes, LABELS, 8.0), classes)


def test_voxels_that_share_a_corner_are_connected() -> None:
    classes = classes_of((1, BIG), (1, np.s_[4:5, 4:5, 4:5]))
    np.testing.assert_array_equal(applied(PostProcessing((Step("left"),)), classes, LABELS, 1.0), classes)


def test_what_is_removed_becomes_what_the_next_larger_region_adds() -> None:
    classes = classes_of((2, BIG), (1, np.s_[0:3, 0:3, 0:3]), (3, np.s_[0:1, 0:1, 0:1]), (3, SMALL))
    enhancing = applied(PostProcessing((Step("enhancing", 2.0),)), classes, BRATS, 1.0)
    assert enhancing[0, 0, 0] == 1, "necrosis: the rest of the core"
    assert (enhancing[SMALL] == 3).all()
    core = applied(PostProcessing((Step("core", 9.0),)), classes, BRATS, 1.0)
    assert (core[SMALL] == 2).all(), "oedema: the rest of the whole tumour"
    assert (applied(PostProcessing((Step("whole"),)), classes, BRATS, 1.0)[SMALL] == 0).all()


def test_an_empty_prediction_stays_empty() -> None:
    steps = PostProcessing((Step("left"), Step("right", 5.0)))
    assert not applied(steps, classes_of(), LABELS, 1.0).any()


def test_an_ensemble_does_what_most_of_its_members_do() -> None:
    largest, some, more = (PostProcessing((Step("left", volume),)) for volume in (None, 4.0, 8.0))
    nothing = PostProcessing()
    assert majority([largest, largest, nothing]).steps == (Step("left"),)
    assert majority([some, more, nothing]).steps == (Step("left", 6.0),)
    assert majority([largest, some, nothing]).steps == (Step("left", 4.0),)
    assert majority([some, nothing]).steps == ()


def test_plain_values_come_back_and_damaged_ones_are_refused() -> None:
    post = PostProcessing((Step("left", 3.5, 0.5, 0.1, 0.01), Step("right")), 7, 9)
    assert PostProcessing.from_dict(post.as_dict(), LABELS) == post
    assert PostProcessing.from_dict(None, LABELS) == PostProcessing()
    for content in (
        {"steps": [{"region": "heart"}]},
        {"steps": [{"region": "left", "smallest_mm3": -1.0}]},
        {"stops": []},
    ):
        with pytest.raises(SchemaError):
            PostProcessing.from_dict(content, LABELS)
