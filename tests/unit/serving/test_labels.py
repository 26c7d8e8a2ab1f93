"""Segments of a client to label values and back."""

import numpy as np
import pytest

from equireg.errors import EquiregError
from equireg.imaging.labels import LabelTable
from equireg.serving.labels import in_own_values, label_names, segment_names

LABELS = LabelTable((0, 1, 2, 4), ("background", "core", "edema", "rim"))


def test_segments_become_label_values_by_their_names():
    mask = np.array([[[0, 1, 2, 3]]])
    assert in_own_values(mask, ["rim", "core", "edema"], LABELS).tolist() == [[[0, 4, 1, 2]]]
    assert in_own_values(mask, [], LABELS) is mask
    nothing_known = LabelTable((0,), ("background",))
    assert in_own_values(mask, ["a", "b", "c"], nothing_known) is mask


@pytest.mark.parametrize(("names", "shown"), [(["rim", "vessel"], "'vessel'"), (["rim"], "'number 2'")])
def test_a_segment_that_the_data_set_does_not_know_is_refused(names: list[str], shown: str):
    with pytest.raises(EquiregError, match=f"shows the segment {shown}; expected some of core, edema, rim"):
        in_own_values(np.array([[[0, 1, 2]]]), names, LABELS)
    assert in_own_values(np.array([[[0, 1]]]), names, LABELS).max() == 4  # an empty segment may have any name


def test_names_go_with_the_values_that_are_there():
    assert label_names(LABELS, [4, 1]) == {"core": 1, "rim": 4}
    assert segment_names({"label_info": [{"name": "rim", "idx": 1}]}) == ["rim"]
    for odd in (None, [], {"label_info": "rim"}, {"label_info": [{"idx": 1}]}, {"label_info": ["rim"]}):
        assert segment_names(odd) == []
