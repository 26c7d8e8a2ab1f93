"""The folder of predictions: its names stay inside it, and what is read back is what was written."""

import zipfile
from pathlib import Path

import pytest

from equireg import disk, folders
from equireg.errors import EquiregError
from equireg.folders import predictions
from equireg.imaging.labels import LabelTable

LABELS = LabelTable((0, 1, 4), ("background", "core", "rim"), {"whole": (1, 4)})


@pytest.mark.parametrize("case", ["", ".", "..", "../a", "/etc/a", "a/b", "a\\b", "a\nb", "a\0b", ".hidden"])
def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path, case: str) -> None:
    for name in (predictions.prediction_file, predictions.probabilities_file, predictions.Files.of):
        with pytest.raises(EquiregError, match="is no name for a prediction"):
            name(tmp_path, case)
    with pytest.raises(EquiregError, match="is no name for a prediction"):
        predictions.write_portal_zip(tmp_path, [case])


def test_names_of_a_case(tmp_path: Path) -> None:
    assert predictions.prediction_file(tmp_path, "a.b c").name == "a.b c.nii.gz"
    assert predictions.probabilities_file(tmp_path, "a").name == "a_probabilities.nii.gz"
    assert predictions.Files.of(tmp_path, "a").transformed_scan == tmp_path / "equivariance/a_transformed_scan.nii.gz"
    assert predictions.is_probabilities("a_probabilities", {"a": 1})
    assert not predictions.is_probabilities("a_probabilities", {"b": 1})
    assert predictions.case_of("Mu\u0308ller.nii.gz") == "Müller"


def test_labels_and_times_there_and_back(tmp_path: Path) -> None:
    assert predictions.read_labels(tmp_path) is None
    assert predictions.read_times(tmp_path) == {}
    predictions.write_labels(tmp_path, LABELS)
    predictions.write_times(tmp_path, {'a "b", c': 1.25, "=d": 0.0})
    assert predictions.read_labels(tmp_path) == LABELS
    assert predictions.read_times(tmp_path) == {'a "b", c': 1.25, "=d": 0.0}
    predictions.write_times(tmp_path, {})
    assert predictions.read_times(tmp_path) == {}


@pytest.mark.parametrize("content", ["[]", '{"labels": 3}', '{"labels": {}}', "no json"])
def test_a_damaged_label_table_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / predictions.LABELS).write_text(content)
    with pytest.raises(EquiregError, match=r"labels\.json"):
        predictions.read_labels(tmp_path)


@pytest.mark.parametrize("content", ["case\na\n", "case,seconds\na,x\n", "seconds\n3\n"])
def test_damaged_times_are_named(tmp_path: Path, content: str) -> None:
    (tmp_path / predictions.TIMES).write_text(content)
    with pytest.raises(EquiregError, match=r"times\.csv.* Remove it"):
        predictions.read_times(tmp_path)


def test_the_zip_is_flat_and_the_same_every_time(tmp_path: Path) -> None:
    for case in ("a", "b"):
        predictions.prediction_file(tmp_path, case).write_bytes(case.encode())
    packed = []
    for _ in range(2):
        predictions.write_portal_zip(tmp_path, ["a", "b"])
        packed.append((tmp_path / predictions.PORTAL_ZIP).read_bytes())
    assert packed[0] == packed[1]
    with zipfile.ZipFile(tmp_path / predictions.PORTAL_ZIP) as archive:
        assert archive.namelist() == ["a.nii.gz", "b.nii.gz"]


def test_facts_are_checked(tmp_path: Path) -> None:
    folders.sign(tmp_path, "predict", {}, cases=["a"], run={"name": "R"})
    assert predictions.read_facts(tmp_path)["cases"] == ["a"]
    disk.write_json(tmp_path / folders.UNFINISHED, {})
    with pytest.raises(EquiregError, match="is not finished"):
        predictions.read_facts(tmp_path)
    (tmp_path / folders.UNFINISHED).unlink()
    folders.sign(tmp_path, "predict", {}, cases="a", run={})
    with pytest.raises(EquiregError, match=r"made_by\.json: is damaged"):
        predictions.read_facts(tmp_path)
