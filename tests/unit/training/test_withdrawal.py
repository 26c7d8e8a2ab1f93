"""What a run that was refused or interrupted leaves."""

from pathlib import Path

import pytest

from equireg.training.withdrawal import telling_what_is_kept


def text_of_interruption(out: Path) -> str:
    with pytest.raises(KeyboardInterrupt) as stopped, telling_what_is_kept(out):
        raise KeyboardInterrupt
    return str(stopped.value)


def test_an_interrupted_run_says_whether_it_has_a_checkpoint(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert text_of_interruption(out) == ""
    (out / "checkpoints").mkdir(parents=True)
    (out / "config.yaml").write_text("max_steps: 9")
    assert text_of_interruption(out) == "run has no checkpoint yet, so it would start again"
    (out / "checkpoints" / "last.ckpt").touch()
    assert text_of_interruption(out) == "run has its last checkpoint"
