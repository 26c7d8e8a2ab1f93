"""Label values and class indices, there and back."""

import json

import numpy as np
import pytest

from equireg.errors import EquiregError
from equireg.imaging.labels import IGNORED, LabelTable

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


@pytest.mark.parametrize(("values", "names"), [((0, 1), ("a",)), ((0, 0), ("a", "b"))])
def test_a_table_that_does_not_fit_is_refused(values: tuple[int, ...], names: tuple[str, ...]) -> None:
    with pytest.raises(EquiregError, match="expected one name a value, none twice"):
        LabelTable(values, names)
