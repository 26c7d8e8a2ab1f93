"""`equireg selftrain`: rounds of training, drafting and training on drafts; the last models are an ensemble."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from equireg import disk, folders
from equireg.folders.ensemble import read_ensemble
from equireg.folders.prepared import PreparedSet
from equireg.folders.run import RunFolder
from equireg.model import ENTRY, read_checkpoint

Command = Callable[..., Any]


def options(tiny: tuple[str, ...]) -> tuple[str, ...]:
    return (*tiny, "--sup_cases", "1", "--logger", "none")


def test_what_cannot_be_done_is_refused_before_anything_is_trained(
    equireg: Command, phantom_prepared: Path, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    begin = ("selftrain", phantom_prepared, "--out", tmp_path / "out", *tiny)
    assert "no training case is left to draft" in equireg(*begin, "--unsup_cases", "0").error
    assert "--keep is 0.0; expected a fraction above 0" in equireg(*begin, "--keep", "0").error
    assert "drafts are made within one split" in equireg(*begin, "--fold", "0/2").error
    assert "holds no self-training to resume" in equireg(*begin, "--resume").error
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_rounds_end_in_an_ensemble_and_are_resumed_to_the_same(
    equireg: Command, phantom_prepared: Path, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    begin = ("selftrain", phantom_prepared, "--out", out, *options(tiny), "--rounds", "1", "--members", "2")
    assert equireg(*begin, "--continued", "true", "--keep", "1").code == 0
    made = PreparedSet(out / "round1" / "prepared")
    masked = [case for case in made.manifest.cases if case.labelled and case.split == "train"]
    drafted = [case.name for case in made.manifest.cases if case.drafted]
    assert len(masked) == 1
    assert len(drafted) == 3  # one of them has a mask, which was not to be used
    assert sorted(line.split(",")[1] for line in (out / "drafts.csv").read_text().splitlines()[1:]) == drafted
    runs = [RunFolder(out / "round1" / f"member{member}") for member in (1, 2)]
    assert [run.facts().repeat for run in runs] == [0, 1]
    assert runs[0].read_config()["init"].startswith("member1")
    assert len(read_ensemble(out).members) == 2
    assert equireg("predict", out, phantom_prepared, "--split", "test", "--out", tmp_path / "pred").code == 0
    assert (out / "report" / "index.html").is_file()

    weights = [read_checkpoint(member.path(out))[ENTRY]["digest"] for member in read_ensemble(out).members]
    begun = folders.read_content(out)["config"]
    (out / folders.SIGNATURE).unlink()
    disk.write_json(out / folders.UNFINISHED, begun)
    shutil.rmtree(runs[1].root)
    resume = ("selftrain", phantom_prepared, "--out", out, "--resume")
    assert "other options for keep" in equireg(*resume, "--keep", "0.5").error
    assert equireg(*resume).code == 0
    again = [read_checkpoint(member.path(out))[ENTRY]["digest"] for member in read_ensemble(out).members]
    assert again == weights
    assert equireg(*resume).code == 0
