"""Signs of life while others work."""

import logging
import time
from pathlib import Path

import pytest

from equireg import folders
from equireg.pipeline.heartbeat import heartbeat, how_far


def test_lines_come_within_the_block_and_end_with_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "equireg")
    with heartbeat(lambda: "step 3", every_s=0.02):
        end = time.monotonic() + 10
        while len(caplog.messages) < 2 and time.monotonic() < end:
            time.sleep(0.01)
    count = len(caplog.messages)
    assert count >= 2
    assert caplog.messages[0].startswith("step 3 (")
    time.sleep(0.06)
    assert len(caplog.messages) == count


def test_how_far_each_run_is(tmp_path: Path) -> None:
    runs = {name: tmp_path / "runs" / name for name in "abcde"}
    evaluations = {name: tmp_path / "evaluations" / name for name in "abcde"}
    for name in "bcde":
        runs[name].mkdir(parents=True)
    (runs["b"] / "metrics.csv").write_text("step,lr\n25,0.1\n50,0.2\n")
    (runs["c"] / "metrics.csv").write_text("step,lr\n2x5,0.1\n")
    for folder, finished in ((runs["b"], False), (runs["d"], True), (runs["e"], True), (evaluations["e"], True)):
        folder.mkdir(parents=True, exist_ok=True)
        folders.sign(folder, "train", {}, finished=finished)
    told = how_far(runs, evaluations, 80)
    assert told == "a: begins, b: step 50 of 80, c: begins, d: trained, predicts, e: done"
