"""Places of each class: the same as of a plain permutation, for less memory."""

import tracemalloc

import numpy as np

from equireg.preparation.places import count_classes, draw_places, extent_of


def plainly(working: np.ndarray, classes: int) -> dict[int, np.ndarray]:
    """Draw places with 24 bytes a voxel."""
    rng, places = np.random.default_rng(working.size), {}
    for index in range(classes):
        found = np.argwhere(working == index)
        if len(found):
            chosen = rng.permutation(len(found))[:1000]
            places[index] = found[np.sort(chosen)].astype(np.int16)
    return places


def test_the_places_of_a_plain_permutation() -> None:
    working = np.random.default_rng(0).choice([0, 1, 3, 255], size=(12, 40, 41), p=[0.9, 0.06, 0.01, 0.03])
    working = working.astype(np.uint8)
    counts = count_classes(working, 4)
    np.testing.assert_array_equal(counts.sum(axis=0), [np.count_nonzero(working == index) for index in range(4)])
    found, expected = draw_places(working, counts), plainly(working, 4)
    assert found.keys() == expected.keys()
    for index, places in expected.items():
        assert found[index].dtype == np.int16
        np.testing.assert_array_equal(found[index], places)


def test_places_take_few_bytes_a_voxel() -> None:
    working = np.zeros((50, 100, 100), dtype=np.uint8)
    tracemalloc.start()
    draw_places(working, count_classes(working, 2))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * working.size


def test_how_far_the_classes_reach() -> None:
    working = np.zeros((6, 10, 12), dtype=np.uint8)
    working[1, 2:5, 3] = 1
    working[2:4, 4, 3:9] = 2
    working[5, 9, 11] = 255  # nobody annotated it
    found = extent_of(working, count_classes(working, 4))
    assert found == {"class_slices": (6, 1, 2, 0), "labelled_box": (3, 3, 6)}
    empty = np.zeros((2, 3, 4), dtype=np.uint8)
    assert extent_of(empty, count_classes(empty, 3)) == {"class_slices": (2, 0, 0), "labelled_box": (0, 0, 0)}
