import json
from pathlib import Path

import numpy as np
import pytest

from equireg import folders
from equireg.comparing.naming import distinct_titles
from equireg.comparing.privacy import LEFT_OUT, last_part, without_paths
from equireg.comparing.sources import read_sources
from equireg.errors import EquiregError
from equireg.folders.run_facts import RunFacts
from reporting_made_up import LABELS, Training, write_evaluation, write_picture, write_run

ONE = {("a", "whole"): {"dice": 0.5}}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", Training("run"))


@pytest.fixture
def evaluation(tmp_path: Path) -> Path:
    return write_evaluation(tmp_path / "evaluation", Training().facts(), ONE)


def test_sources_are_reported_apart_by_their_verb(run: Path, evaluation: Path) -> None:
    runs, evaluations, _, _ = read_sources([evaluation, run])
    assert [source.title for source in runs] == ["run"]
    assert [source.title for source in evaluations] == ["supervised-42"]
    known = {"method": "supervised", "labelled_cases": 3, "unlabelled_cases": 21, "seed": 42, "dataset": "phantom"}
    assert evaluations[0].facts == RunFacts("supervised-42", repeat=0, **known)
    assert {name: getattr(runs[0].facts, name) for name in known} == known


def test_a_folder_given_twice_counts_once(run: Path) -> None:
    runs = read_sources([run, run.parent / "." / "run"]).runs
    assert len(runs) == 1


def test_scalars_are_sparse(run: Path) -> None:
    [found] = read_sources([run]).runs
    assert found.last_step == 1000
    assert found.scalars["val/dice"].shape == (11, 2)
    assert found.scalars["train/total"].shape == (201, 2)


def test_regions_stand_in_the_data_sets_order(tmp_path: Path) -> None:
    scores = {("a", region): {"dice": 0.5} for region in ("extra", "enhancing", "whole")}
    [found] = read_sources([write_evaluation(tmp_path / "e", None, scores)]).evaluations
    assert found.regions == ("whole", "enhancing", "extra")
    assert list(LABELS.judged_regions()) == ["whole", "core", "enhancing"]


def test_no_source_is_an_error() -> None:
    with pytest.raises(EquiregError, match="no folder given"):
        read_sources([])


def test_an_unsigned_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EquiregError, match=rf"{tmp_path}: has no made_by.json.*equireg train"):
        read_sources([tmp_path])


def test_another_verb_is_refused(tmp_path: Path) -> None:
    folders.sign(tmp_path, "suggest", {})
    with pytest.raises(EquiregError, match=rf"{tmp_path}: was made by `equireg suggest`; expected.*evaluate"):
        read_sources([tmp_path])


@pytest.mark.parametrize("content", ["[]", "{}", '"train"'])
def test_a_signature_without_a_verb_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "made_by.json").write_text(content)
    with pytest.raises(EquiregError, match=r"made_by.json: (names no verb|is damaged)"):
        read_sources([tmp_path])


def test_another_format_is_refused(run: Path) -> None:
    signature = json.loads((run / "made_by.json").read_text())
    (run / "made_by.json").write_text(json.dumps(signature | {"format_version": 99}))
    with pytest.raises(EquiregError, match="format version 99"):
        read_sources([run])


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("", "is empty"),
        ("step,train/total\n", "has no rows"),
        ("epoch,train/total\n1,2\n", "has no column step"),
        ("step,train/total\n1,much\n", "line 2, column train/total is 'much'"),
        ("step,train/total\n,2\n", "line 2 has no step"),
    ],
)
def test_broken_curves_are_named(run: Path, content: str, found: str) -> None:
    (run / "metrics.csv").write_text(content)
    with pytest.raises(EquiregError) as caught:
        read_sources([run])
    assert f"{run / 'metrics.csv'}" in str(caught.value)
    assert found in str(caught.value)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("", "is empty"),
        ("case,region,value\na,whole,1\n", "has no column metric"),
        ("case,region,metric,value\na,whole,nsd,1\n", "expected one of them"),
        ("case,region,metric,value\na,,dice,1\n", "line 2 lacks"),
        (
            "case,region,metric,value\na,whole,dice,1\na,whole,dice,1\n",
            "line 3 gives dice of a, whole a second time",
        ),
        ("case,region,metric,value\na,whole,dice,good\n", "column value is 'good'"),
    ],
)
def test_broken_scores_are_named(evaluation: Path, content: str, found: str) -> None:
    (evaluation / "metrics.csv").write_text(content)
    with pytest.raises(EquiregError) as caught:
        read_sources([evaluation])
    assert f"{evaluation / 'metrics.csv'}" in str(caught.value)
    assert found in str(caught.value)


@pytest.mark.parametrize("name", ["metrics.csv", "labels.json"])
def test_an_absent_file_is_named(evaluation: Path, name: str) -> None:
    (evaluation / name).unlink()
    with pytest.raises(EquiregError, match=rf"{evaluation / name}: no such file"):
        read_sources([evaluation])


def test_a_broken_label_table_is_named(evaluation: Path) -> None:
    (evaluation / "labels.json").write_text("{}")
    with pytest.raises(EquiregError, match=r"labels.json: is not a table of labels"):
        read_sources([evaluation])


@pytest.mark.parametrize("content", ["a: [", "- 1\n"])
def test_a_broken_configuration_is_named(run: Path, content: str) -> None:
    (run / "config.yaml").write_text(content)
    with pytest.raises(EquiregError, match=r"config.yaml: "):
        read_sources([run])


def test_pictures_come_best_first(evaluation: Path) -> None:
    for case, role in (("a", "worst"), ("b", "median"), ("c", "best")):
        write_picture(evaluation / "pictures", case, role, 0.5)
    [found] = read_sources([evaluation]).evaluations
    assert [picture.role for picture in found.pictures] == ["best", "median", "worst"]


def test_a_broken_picture_is_named(evaluation: Path) -> None:
    (evaluation / "pictures" / "a.npz").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(EquiregError, match=r"a.npz: is not a picture"):
        read_sources([evaluation])


def test_a_picture_of_unlike_shapes_is_named(evaluation: Path) -> None:
    path = evaluation / "pictures" / "a.npz"
    arrays = {"scan": np.zeros((1, 4, 4)), "reference": np.zeros((4, 4)), "prediction": np.zeros((4, 5))}
    np.savez(path, **arrays, spacing_mm=np.ones(2), role="best", mean_dice=0.5)
    with pytest.raises(EquiregError, match=rf"{path}.*\(4, 5\)"):
        read_sources([evaluation])


def test_repeated_names_get_as_few_folder_names_as_it_takes() -> None:
    assert distinct_titles([("a", Path("/x/a")), ("b", Path("/x/b"))]) == ["a", "b"]
    assert distinct_titles([("run", Path("/x/val")), ("run", Path("/x/test"))]) == ["run (val)", "run (test)"]
    assert distinct_titles([("run", Path("/x/one/run")), ("run", Path("/x/two/run"))]) == [
        "one/run",
        "two/run",
    ]
    assert distinct_titles([("r", Path("/x/1/e")), ("r", Path("/x/2/e"))]) == ["r (1/e)", "r (2/e)"]
    assert distinct_titles([("r", Path("/x/1/e")), ("r", Path("/y/1/e"))]) == ["r (1/e)", "r (1/e) #2"]


@pytest.mark.parametrize(
    "path", ["/home/anna/x", "~/x", "../anna", "anna/scans", r"C:\anna", r"\\host\anna", "file:///anna"]
)
def test_paths_are_left_out(path: str) -> None:
    assert without_paths({"a": [path, {"b": path}], path: 1}) == {
        "a": [LEFT_OUT, {"b": LEFT_OUT}],
        LEFT_OUT: 1,
    }


def test_plain_values_stay() -> None:
    config = {
        "method": {"name": "ce+dice", "weight": 0.5},
        "patch_size": [64, 64],
        "split": None,
        "resume": False,
    }
    assert without_paths(config) == config


@pytest.mark.parametrize("name", ["/home/anna/run", r"C:\anna\run", "run", "anna/run/"])
def test_a_name_keeps_its_last_part(name: str) -> None:
    assert last_part(name) == "run"


def test_a_run_that_logged_nothing_yet_is_left_out_where_others_remain(
    run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stopped = write_run(tmp_path / "stopped", Training("stopped"))
    (stopped / "metrics.csv").unlink()
    assert [source.title for source in read_sources([stopped, run]).runs] == ["run"]
    assert f"{stopped}: is left out" in caplog.text
    with pytest.raises(EquiregError, match=r"metrics\.csv: no such file"):
        read_sources([stopped])
