"""Segments of a client to label values and back."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from equireg.errors import EquiregError
from equireg.imaging.labels import LabelTable
from equireg.serving import describing
from equireg.serving.labels import in_own_values, label_names, segment_names, tell_other_labels

LABELS = LabelTable((0, 1, 2, 4), ("background", "core", "edema", "rim"))


def test_segments_become_label_values_by_their_names():
    mask = np.array([[[0, 1, 2, 3]]])
    assert in_own_values(mask, {1: "rim", 2: "core", 3: "edema"}, LABELS)[0].tolist() == [[[0, 4, 1, 2]]]
    assert in_own_values(mask, {}, LABELS)[0] is mask
    nothing_known = LabelTable((0,), ("background",))
    names = {1: "a", 2: "b", 3: "c", 4: "d"}
    assert in_own_values(mask, names, nothing_known) == (mask, names)
    assert in_own_values(mask, {1: "a", 2: "A"}, nothing_known) == (mask, {})


@pytest.mark.parametrize(("names", "shown"), [(["rim", "vessel"], "'vessel'"), (["rim"], "'number 2'")])
def test_a_segment_that_the_data_set_does_not_know_is_refused(names: list[str], shown: str):
    with pytest.raises(EquiregError, match=f"shows the segment {shown}; expected some of core, edema, rim"):
        in_own_values(np.array([[[0, 1, 2]]]), dict(enumerate(names, 1)), LABELS)
    turned, _ = in_own_values(np.array([[[0, 1]]]), dict(enumerate(names, 1)), LABELS)
    assert turned.max() == 4  # an empty segment may have any name


def test_names_go_with_the_values_that_are_there():
    assert label_names(LABELS, [4, 1]) == {"core": 1, "rim": 4}
    assert segment_names({"label_info": [{"name": "rim", "idx": 1}]}) == {1: "rim"}
    for odd in (None, [], {"label_info": "rim"}, {"label_info": [{"idx": 1}]}, {"label_info": ["rim"]}):
        assert segment_names(odd) == {}


def test_numbers_are_places_unless_the_client_says_others():
    """Slicer counts a background that it removed, so its numbers may begin at 2 and leave some out."""
    rising = {"label_info": [{"name": "rim", "idx": 2}, {"name": "core", "idx": 4}]}
    assert segment_names(rising) == segment_names(rising, {1, 2}) == {1: "rim", 2: "core"}
    assert segment_names(rising, {2, 4}) == {2: "rim", 4: "core"}
    falling = {"label_info": [{"name": "rim", "idx": 2}, {"name": "core", "idx": 1}]}
    assert segment_names(falling) == {2: "rim", 1: "core"}
    whole = {"label_info": [{"name": "background", "idx": 0}, {"name": "rim", "idx": 1}]}
    assert segment_names(whole) == {1: "rim"}
    twice = {"label_info": [{"name": "rim", "idx": 2}, {"name": "core", "idx": 2}]}
    assert segment_names(twice) == {1: "rim", 2: "core"}


def test_spellings_and_voxels_that_nobody_annotated_are_known():
    labels = LabelTable((0, 1, 4), ("background", "core", "left rim"), ignore=9)
    names = {1: "Left_Rim ", 2: "Ignore", 3: "CORE"}
    assert in_own_values(np.array([[[1, 2, 3]]]), names, labels)[0].tolist() == [[[4, 9, 1]]]
    both = LabelTable((0, 1, 2), ("background", "core", "Core"))
    assert in_own_values(np.array([[[1, 2]]]), {1: "Core", 2: "core"}, both)[0].tolist() == [[[2, 1]]]
    with pytest.raises(EquiregError, match="shows the segment 'CORE'"):
        in_own_values(np.array([[[1]]]), {1: "CORE"}, both)


def test_an_only_label_may_be_called_otherwise(caplog: pytest.LogCaptureFixture):
    labels = LabelTable((0, 4), ("background", "liver"), ignore=9)
    turned, _ = in_own_values(np.array([[[0, 1, 2]]]), {1: "ignore", 2: "hepar"}, labels)
    assert turned.tolist() == [[[0, 9, 4]]]
    assert "masks call a segment 'hepar', the only label is 'liver'" in caplog.text
    for shown, names in (([1, 2], {1: "liver", 2: "hepar"}), ([1, 2], {1: "a", 2: "b"}), ([3], {1: "hepar"})):
        with pytest.raises(EquiregError, match="expected some of liver, ignore"):
            in_own_values(np.array([[shown]]), names, labels)


def test_a_new_segment_is_a_label_where_labels_are_open():
    labels = LabelTable((0, 2), ("background", "liver"))
    names = {1: "Liver", 2: "tumour", 3: "vessel"}
    turned, brought = in_own_values(np.array([[[0, 1, 2]]]), names, labels, open_=True)
    assert (turned.tolist(), brought) == ([[[0, 2, 3]]], {3: "tumour"})
    with pytest.raises(EquiregError, match="'number 4'"):
        in_own_values(np.array([[[4]]]), names, LABELS, open_=True)
    with pytest.raises(EquiregError, match="'Segment_1'"):  # Slicer's own name means nothing
        in_own_values(np.array([[[1]]]), {1: "Segment_1"}, LABELS, open_=True)


@pytest.mark.parametrize(
    ("values", "names", "told"),
    [
        ((0, 7), ("background", "core"), "core = 7;"),
        ((0, 1, 2), ("background", "edema", "core"), "edema = 1, core = 2;"),
        ((0, 1, 4), ("background", "label 1", "Rim"), None),
    ],
)
def test_a_model_of_other_labels_than_the_folder_is_told(
    values: tuple[int, ...], names: tuple[str, ...], told: str | None, caplog: pytest.LogCaptureFixture
):
    drawn = LabelTable(values, names)
    for labels in (LABELS, LabelTable((0,), ("background",))):  # a folder without any mask takes what comes
        data: Any = SimpleNamespace(root=Path("prepared"), manifest=SimpleNamespace(labels=labels))
        tell_other_labels(Path("run"), drawn, data)
    assert [told in text for text in caplog.messages if told] == ([True] if told else [])
    assert len(caplog.messages) == (told is not None)


def test_a_model_is_described_by_its_own_labels(tmp_path: Path):
    facts = SimpleNamespace(labels=LabelTable((0, 7), ("background", "liver")), dataset="ct", channels=("CT",))
    model = SimpleNamespace(facts=facts, run=tmp_path)
    config = SimpleNamespace(train_config=None, train_minutes=1)
    desk: Any = SimpleNamespace(name="run", labels=LABELS, newest_model=lambda: model, has_folder=False, config=config)
    told = describing.info(desk)
    assert told["labels"] == ["core", "edema", "rim"]
    assert told["models"]["run"]["labels"] == ["liver"]
