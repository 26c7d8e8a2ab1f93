"""`equireg suggest` from a prepared folder to what an annotator opens."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from equireg.folders.suggestions import read_suggestions


@pytest.fixture(scope="module")
def suggested(phantom_prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from equireg.annotation.suggest import suggest

    out = tmp_path_factory.mktemp("suggested") / "next"
    suggest(phantom_prepared, out, count=2)
    return out


def test_the_scans_without_a_mask_are_ranked(suggested: Path, phantom_prepared: Path):
    from equireg.folders.prepared import PreparedSet

    cases = PreparedSet(phantom_prepared).by_name
    found = read_suggestions(suggested)
    assert [one.rank for one in found] == [1, 2]
    assert found[0].score >= found[1].score > 0
    assert {one.case for one in found} == {name for name, case in cases.items() if not case.labelled}
    assert all(re.search(r"the closest chosen scan for \d of 4", one.why) for one in found)


def test_the_annotator_finds_scans_and_pictures(suggested: Path):
    page = (suggested / "index.html").read_text()
    for one in read_suggestions(suggested):
        links = [path for path in (suggested / "scans").iterdir() if path.name.startswith(one.case)]
        assert len(links) == 4  # one a channel
        assert all(link.resolve().is_file() for link in links)
        assert one.case in page
    assert page.count("data:image/png;base64,") == 6
    assert "Content-Security-Policy" in page
    assert "Save each mask as" in page


def test_what_cannot_be_suggested_is_refused_and_leaves_nothing(equireg, phantom_prepared: Path, tmp_path: Path):
    many = equireg("suggest", phantom_prepared, "--count", 3, "--out", tmp_path / "many")
    assert many.code == 2
    assert "--count is 3; expected at most 2" in many.error
    gone = equireg("suggest", phantom_prepared, "--scans", tmp_path / "gone", "--out", tmp_path / "next")
    assert gone.code == 1
    assert "gone" in gone.error
    assert list(tmp_path.iterdir()) == []


def test_without_the_raw_folder_there_are_suggestions_all_the_same(equireg, phantom_prepared, phantom_raw, tmp_path):
    moved = shutil.move(phantom_raw, phantom_raw.with_name("moved"))
    try:
        told = equireg("suggest", phantom_prepared, "--out", tmp_path / "next")
    finally:
        shutil.move(moved, phantom_raw)
    assert told.code == 0
    assert "Give it as --scans" in told.err
    assert len(read_suggestions(tmp_path / "next")) == 1


def test_with_a_model_its_doubt_counts_and_drafts_lie_ready(equireg, phantom_prepared, phantom_run, tmp_path: Path):
    from equireg.folders.prepared import PreparedSet
    from equireg.imaging.volume import read_label

    out = tmp_path / "next"
    assert equireg("suggest", phantom_prepared, "--count", 2, "--run", phantom_run, "--out", out).code == 0
    data = PreparedSet(phantom_prepared)
    found = read_suggestions(out)
    assert all("the model is" in one.why for one in found)
    page = (out / "index.html").read_text()
    assert "Correct the model's drafts" in page
    assert all(name in page for name in data.manifest.labels.names[1:])  # the legend of the drafts' colours
    assert page.count("with its mask, ") == 3 * len(found)
    for one in found:
        native = data.by_name[one.case].working_grid().native
        draft, mask = (read_label(out / name / f"{one.case}.nii.gz", native) for name in ("drafts", "masks"))
        assert (draft == mask).all()
        assert set(draft.ravel().tolist()) <= {0, 1, 2, 4}


def test_a_scan_in_which_the_model_finds_nothing_is_doubted_fully(phantom_prepared, phantom_run, monkeypatch):
    from equireg.annotation.drafting import Drafter
    from equireg.config import SuggestConfig
    from equireg.folders.prepared import PreparedSet
    from equireg.prediction.segment import Predictor

    data = PreparedSet(phantom_prepared)
    names = [case.name for case in data.manifest.cases if not case.labelled]
    drafter = Drafter(data, SuggestConfig(run=(str(phantom_run),)))
    assert all(0 <= doubt < 1 for doubt in drafter.doubts(names).values())
    monkeypatch.setattr(Predictor, "values", lambda _self, classes, _geometry: np.zeros_like(classes))
    assert set(drafter.doubts(names).values()) == {1.0}  # all views agree on nothing, and that is no reason for trust


def test_a_model_is_asked_in_a_process_of_64_bits(phantom_prepared: Path, phantom_run: Path) -> None:
    import torch

    from equireg.annotation.drafting import Drafter
    from equireg.config import SuggestConfig
    from equireg.folders.prepared import PreparedSet

    data = PreparedSet(phantom_prepared)
    name = next(case.name for case in data.manifest.cases if not case.labelled)
    torch.set_default_dtype(torch.float64)
    try:
        found = Drafter(data, SuggestConfig(run=(str(phantom_run),))).doubts([name])
    finally:
        torch.set_default_dtype(torch.float32)
    assert 0 <= found[name] <= 1


def test_a_run_that_is_none_leaves_nothing(equireg, phantom_prepared: Path, tmp_path: Path):
    told = equireg("suggest", phantom_prepared, "--run", tmp_path / "gone", "--out", tmp_path / "next")
    assert told.code == 1
    assert "gone: no such folder" in told.error
    assert list(tmp_path.iterdir()) == []


def test_scans_that_are_others_by_now_are_not_suggested(equireg, phantom_prepared, phantom_raw, tmp_path: Path):
    from equireg.folders.prepared import PreparedSet

    first, second = (case.name for case in PreparedSet(phantom_prepared).manifest.cases if not case.labelled)
    raw = Path(shutil.copytree(phantom_raw, tmp_path / "raw"))
    folders = {path.name: path for path in raw.rglob("*") if path.is_dir()}

    def replace(case: str) -> None:
        other = next(
            path for name, path in folders.items() if name not in (first, second) and list(path.glob("*.nii*"))
        )
        for new in other.glob("*_flair.nii.gz"):
            shutil.copy(new, folders[case] / new.name.replace(other.name, case))

    replace(first)
    told = equireg("suggest", phantom_prepared, "--scans", raw, "--out", tmp_path / "one")
    assert told.code == 0
    assert f"not those that were prepared: {first}. Run `equireg prepare` again" in told.err
    assert [one.case for one in read_suggestions(tmp_path / "one")] == [second]
    replace(second)
    told = equireg("suggest", phantom_prepared, "--scans", raw, "--out", tmp_path / "none")
    assert told.code == 1
    assert f"{first}, {second}. Run" in told.error
