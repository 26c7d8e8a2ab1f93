"""Label values and class indices, there and back."""

import json

import numpy as np
import pytest

from equireg.errors import EquiregError
from equireg.imaging import labels
from equireg.imaging.labels import IGNORED, LabelTable, distinct, smallest_integer

BRATS = LabelTable((0, 1, 2, 4), ("background", "core", "oedema", "enhancing"), {"whole": (1, 2, 4)}, ignore=9)


def test_values_become_classes_and_come_back() -> None:
    values = np.array([[4, 0], [2, 1]])
    classes = BRATS.to_classes(values)
    assert classes.tolist() == [[3, 0], [2, 1]]
    assert classes.dtype == np.uint8
    back = BRATS.to_values(classes)
    assert back.tolist() == values.tolist()
    assert back.dtype == np.uint8


def test_large_values_keep_their_type() -> None:
    table = LabelTable((0, 1000), ("background", "a"))
    assert table.to_values(np.array([1, 0])).tolist() == [1000, 0]


def test_the_ignore_label_is_no_class() -> None:
    assert BRATS.to_classes(np.array([9, 4])).tolist() == [IGNORED, 3]
    assert BRATS.classes == 4


def test_an_unknown_value_is_named_with_the_known() -> None:
    with pytest.raises(EquiregError, match=r"has the label values \[3\]; expected some of \[0, 1, 2, 4, 9\]"):
        BRATS.to_classes(np.array([0, 3]))


def test_regions_are_judged_else_each_label() -> None:
    assert BRATS.judged_regions() == {"whole": (1, 2, 4)}
    assert LabelTable((0, 3), ("background", "a")).judged_regions() == {"a": (3,)}


def test_json_there_and_back() -> None:
    assert LabelTable.from_dict(json.loads(json.dumps(BRATS.as_dict()))) == BRATS


@pytest.mark.parametrize(("values", "names"), [((0, 1), ("a",)), ((0, 0), ("a", "b")), ((0, 1), ("a", "a"))])
def test_a_table_that_does_not_fit_is_refused(values: tuple[int, ...], names: tuple[str, ...]) -> None:
    with pytest.raises(EquiregError, match="expected one name a value, none twice"):
        LabelTable(values, names)


ATLAS = LabelTable((0, 614454276, 614454277, 2**40), ("background", "a", "b", "c"), ignore=-1)


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_ids_beyond_32_bits_floats_stay_apart(dtype: str) -> None:
    values = np.array([0, 614454277, 614454276, 2**40], dtype=dtype)
    assert ATLAS.to_classes(values).tolist() == [0, 2, 1, 3]
    assert ATLAS.to_values(ATLAS.to_classes(values)).tolist() == values.tolist()


def test_negative_values_keep_their_sign() -> None:
    table = LabelTable((0, -3, 200), ("background", "a", "b"))
    values = np.array([[-3, 0], [200, -3]], dtype=np.int16)
    assert table.to_classes(values).tolist() == [[1, 0], [2, 1]]
    assert table.to_values(table.to_classes(values)).tolist() == values.tolist()
    assert ATLAS.to_classes(np.array([-1, 0])).tolist() == [IGNORED, 0]


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "uint32", "uint64"])
def test_a_value_that_the_type_cannot_hold_matches_nothing(dtype: str) -> None:
    table = LabelTable((0, 1, 300, 2**40, -1), ("background", "a", "b", "c", "d"))
    assert table.to_classes(np.array([0, 1], dtype=dtype)).tolist() == [0, 1]
    with pytest.raises(EquiregError, match=r"values \[44\]"):
        table.to_classes(np.array([0, 44], dtype=dtype))  # 300 wraps round to 44 in 8 bits


def test_a_mask_is_worked_on_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "_PART", 5)
    values = np.random.default_rng(0).choice([0, 1, 2, 4, 9], size=(7, 3, 2))
    expected = [[[{9: IGNORED, 4: 3}.get(v, v) for v in row] for row in plane] for plane in values.tolist()]
    assert BRATS.to_classes(values).tolist() == expected
    assert distinct(values) == [0, 1, 2, 4, 9]
    with pytest.raises(EquiregError, match=r"values \[3, 7\]"):
        BRATS.to_classes(np.where(values == 1, 3, np.where(values == 4, 7, values)))


def test_many_unknown_values_are_counted() -> None:
    with pytest.raises(EquiregError, match="and 480 more; expected"):
        BRATS.to_classes(np.arange(100, 600))


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [(0, 255, "uint8"), (-1, 100, "int8"), (-1, 200, "int16"), (0, 2**32, "uint64"), (-1, 2**40, "int64")],
)
def test_the_smallest_integer_holds_both_ends(low: int, high: int, dtype: str) -> None:
    assert smallest_integer(low, high) == dtype


def test_an_empty_mask_has_no_classes() -> None:
    assert BRATS.to_classes(np.zeros((0, 2), dtype=np.uint8)).shape == (0, 2)
    assert int(BRATS.to_classes(np.array(4))) == 3
