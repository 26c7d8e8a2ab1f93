"""Two processes on one CPU train as one: the same loss curve, the same validation, one folder, one error."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from equireg.errors import UsageError
from equireg.losses import Averaging, cross_entropy, soft_dice_loss
from equireg.methods import Method
from equireg.model import read_checkpoint
from equireg.preparation.prepare import prepare
from equireg.processes import launching, ranks
from equireg.training.train import train

COMMON: dict[str, Any] = {
    "network.features": 4,
    "batch_size": 4,
    "unsup_ratio": 2,
    "val_every": 2,
    "max_steps": 4,
    "log_every": 1,
    "pictures_every": 2,
    "device": "cpu",
    "precision": "32",
}
COMPARED = ("supervised", "equireg")
STOPPED = {**COMMON, "method": "supervised", "max_steps": 6, "val_every": 2}
SCRIPT = "import sys; from equireg.cli import main; sys.exit(main(sys.argv[1:]))"
LIMIT_S = 300
"""Limit of what starts processes; they take a few seconds each on a core of their own."""


def loss_gradient(rows: slice) -> tuple[list[float], torch.Tensor]:
    """Return the losses and their gradient for some samples of a batch of which some voxels do not count."""
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn((4, 3, 6, 6), generator=generator)[rows].requires_grad_()
    target = torch.randint(3, (4, 1, 6, 6), generator=generator)[rows]
    # The ranks have different parts that count, down to a tenth.
    part = torch.tensor([0.9, 0.5, 0.1, 0.1]).view(-1, 1, 1, 1)
    valid = (torch.rand((4, 1, 6, 6), generator=generator) < part).float()[rows]
    losses = [
        cross_entropy(logits, target, valid),
        cross_entropy(logits, target, valid, Averaging(by_image=True)),
        soft_dice_loss(logits, target, valid),
    ]
    (gradient,) = torch.autograd.grad(losses[0] + 2 * losses[1] + 3 * losses[2], logits)
    return [loss.item() for loss in losses], gradient


def train_on_ranks(prepared: str, out: str, method: str, max_steps: int = 4) -> None:
    train(prepared, Path(out, method), method=method, devices=2, **{**COMMON, "max_steps": max_steps})


def rank_work(prepared: str, out: str) -> None:
    """Do, on each of two ranks, all that the tests below look at."""
    for method in COMPARED:
        train_on_ranks(prepared, out, method)
    rank = int(os.environ["RANK"])
    losses, gradient = loss_gradient(ranks.Rank(rank, 2).slice_of(2))
    found = {"losses": losses, "gradient": gradient, "listening": listening_addresses()}
    torch.save(found, Path(out, f"losses-{rank}.pt"))
    stopped_run(prepared, Path(out, "stopped"), devices=2)


def listening_addresses() -> list[str]:
    """Return the addresses at which this process waits for connections, in hexadecimal digits as Linux tells them."""
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        return []
    mine = {os.readlink(path) for path in folder.iterdir() if path.is_symlink() and os.path.lexists(path)}
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/self/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in mine:
                found.append(fields[1].split(":")[0])
    return found


def stopped_run(prepared: str | Path, out: Path, **options: Any) -> None:
    """Train, and break off behind a step that leaves no checkpoint."""

    def after_step(method: Method, step: int) -> None:
        if step == 2:
            raise InterruptedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Method, "after_step", after_step)
        with pytest.raises(InterruptedError):
            train(prepared, out, **STOPPED, **options)


def rows(run: Path) -> list[dict[str, float]]:
    with (run / "metrics.csv").open(newline="") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


def assert_same_curve(one: Path, other: Path) -> None:
    # Sums in another order differ by 1e-7 of their size in 32 bits; the optimiser's division by the gradient's own
    # size lets that grow by some tens in a few steps. Another batch, random number or weight differs by 1e-2 and more.
    assert len(rows(one)) == len(rows(other)) > 0
    for left, right in zip(rows(one), rows(other), strict=True):
        assert left.keys() == right.keys()
        for name in left:
            assert left[name] == pytest.approx(right[name], rel=1e-4, abs=1e-6), (left["step"], name)


@pytest.fixture(scope="module", autouse=True)
def _limit() -> Iterator[None]:
    """Break off where processes wait for each other."""

    def late(*_: object) -> None:
        raise TimeoutError("the ranks did not end")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(2 * LIMIT_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def prepared(phantom_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return phantoms with three cases to validate, which two ranks cannot share evenly."""
    out = tmp_path_factory.mktemp("distributed") / "prepared"
    prepare(phantom_raw, out, val_fraction=0.75, jobs=1)
    return out


@pytest.fixture(scope="module")
def pair(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what two ranks did; they are started once, for that takes longer than all they do."""
    out = tmp_path_factory.mktemp("pair")
    on_two_ranks("rank_work", prepared=str(prepared), out=str(out))
    return out


def on_two_ranks(work: str, **given: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        launching.launch(f"test_distributed:{work}", given, 2)


@pytest.mark.slow
@pytest.mark.parametrize("method", COMPARED)
def test_two_ranks_give_the_curve_of_one(pair: Path, prepared: Path, tmp_path: Path, method: str) -> None:
    assert_same_runs(pair / method, train(prepared, tmp_path / method, method=method, **COMMON))


@pytest.mark.slow
def test_two_networks_on_two_ranks_give_the_curve_of_one(prepared: Path, tmp_path: Path) -> None:
    # CPS teaches classes: where two are as good, a rounding decides, and sooner or later one does. Not in three steps.
    on_two_ranks("train_on_ranks", prepared=str(prepared), out=str(tmp_path), method="cps", max_steps=3)
    alone = train(prepared, tmp_path / "alone", method="cps", **{**COMMON, "max_steps": 3})
    assert_same_runs(tmp_path / "cps", alone, steps=3)


def assert_same_runs(pair: Path, alone: Path, steps: int = 4) -> None:
    assert_same_curve(pair, alone)
    one, other = (read_checkpoint(run / "checkpoints" / "last.ckpt") for run in (pair, alone))
    assert one["global_step"] == other["global_step"] == steps
    for name, value in one["state_dict"].items():
        # The optimiser divides by the gradient's own size, so a weight of next to no gradient may move a little more.
        torch.testing.assert_close(value, other["state_dict"][name], rtol=2e-3, atol=2e-4)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_ranks_listen_on_the_loopback_interface_alone(pair: Path) -> None:
    addresses = [address for rank in range(2) for address in torch.load(pair / f"losses-{rank}.pt")["listening"]]
    assert addresses, "what is looked at does listen"
    # 127.0.0.1; ::1 and ::ffff:127.0.0.1 of IPv6
    loopback = {"0100007F", "0" * 24 + "01000000", "0" * 16 + "FFFF00000100007F"}
    assert set(addresses) <= loopback


@pytest.mark.slow
def test_losses_and_gradients_are_those_of_the_whole_batch(pair: Path) -> None:
    losses, gradient = loss_gradient(slice(None))
    parts = [torch.load(pair / f"losses-{rank}.pt") for rank in range(2)]
    for part in parts:
        assert part["losses"] == pytest.approx(losses, rel=1e-5)
    # Of weights that all samples share, DDP takes the mean over the ranks: half of the sum.
    torch.testing.assert_close(torch.cat([part["gradient"] for part in parts]) / 2, gradient)


@pytest.mark.slow
def test_the_first_rank_alone_writes(pair: Path) -> None:
    run = pair / "equireg"
    names = {path.name for path in run.iterdir()}
    assert names == {"config.yaml", "log.txt", "made_by.json", "metrics.csv", "checkpoints", "tensorboard"}
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    (events,) = (run / "tensorboard").glob("events.out.tfevents.*")
    assert b"samples (scan" in events.read_bytes()
    log = (run / "log.txt").read_text()
    assert (log.count("3 to validate"), log.count("finished at step 4")) == (1, 1)
    assert json.loads((run / "made_by.json").read_text())["finished"] is True


@pytest.mark.slow
def test_one_rank_goes_on_where_two_stopped(pair: Path, prepared: Path, tmp_path: Path) -> None:
    run = pair / "stopped"
    assert read_checkpoint(run / "checkpoints" / "last.ckpt")["global_step"] == 2
    train(prepared, run, resume=True, devices=1)
    assert_same_curve(run, train(prepared, tmp_path / "whole", **STOPPED))


@pytest.mark.slow
def test_two_ranks_go_on_where_one_stopped(prepared: Path, tmp_path: Path) -> None:
    whole = train(prepared, tmp_path / "whole", **STOPPED)
    stopped_run(prepared, tmp_path / "stopped")
    command = ["train", prepared, "--out", tmp_path / "stopped", "--resume", "--devices", "2"]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, command)], capture_output=True, text=True, check=False, timeout=LIMIT_S
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("finished at step 6") == 1
    assert_same_curve(tmp_path / "stopped", whole)


@pytest.mark.slow
def test_the_ranks_know_what_was_decided_before_they_were_started(prepared: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = {**COMMON, "method": "equireg", "max_steps": 2, "devices": 2}
    given = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
    command = [sys.executable, "-c", SCRIPT, "train", str(prepared), "--out", str(run), *given]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr
    assert json.loads((run / "made_by.json").read_text())["planned"] == ["method.exchange"]
    assert (run / "log.txt").read_text().count("method.exchange ") == 1


@pytest.mark.slow
def test_an_error_on_all_ranks_is_reported_once(prepared: Path, tmp_path: Path) -> None:
    options = {**COMMON, "optimizer.lr": 1e30, "optimizer.clip_norm": "null", "max_steps": 20, "devices": 2}
    given = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
    command = [sys.executable, "-c", SCRIPT, "train", str(prepared), "--out", str(tmp_path / "run"), *given]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert [line for line in lines if "rror" in line] == lines[-1:], done.stderr
    assert lines[-1].startswith("error: the loss is not finite at step 1 ")
    assert not (tmp_path / "run").exists()  # there was no checkpoint yet


def test_a_batch_that_the_ranks_cannot_share_is_refused(prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a multiple of the 3 devices that share it"):
        train(prepared, tmp_path / "run", devices=3, batch_size=4)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_torchrun_starts_the_ranks_as_well(pair: Path, prepared: Path, tmp_path: Path) -> None:
    given = [
        str(part)
        for name, value in {**COMMON, "method": "supervised", "devices": 2}.items()
        for part in (f"--{name}", value)
    ]
    out, script = tmp_path / "run", tmp_path / "start.py"
    script.write_text(SCRIPT)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, str(script), "train", str(prepared), "--out", str(out), *given]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr
    assert_same_curve(out, pair / "supervised")


@pytest.mark.slow
def test_two_agents_of_torchrun_train_and_resume(prepared: Path, tmp_path: Path) -> None:
    """Two agents on one machine stand for two machines; what one process stopped, they continue."""
    whole = train(prepared, tmp_path / "whole", **STOPPED)
    stopped_run(prepared, tmp_path / "stopped")
    run_agents(["train", prepared, "--out", tmp_path / "stopped", "--resume", "--nodes", 2], tmp_path)
    assert_same_curve(tmp_path / "stopped", whole)
    given = [part for name, value in STOPPED.items() for part in (f"--{name}", value)]
    run_agents(["train", prepared, "--out", tmp_path / "new", *given, "--nodes", 2], tmp_path)
    assert_same_curve(tmp_path / "new", whole)


def run_agents(command: list[Any], folder: Path) -> None:
    """Run a command line under two agents of torchrun, a process each."""
    script = folder / "start.py"
    script.write_text(SCRIPT)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
    meeting = ["--master-addr", "127.0.0.1", "--master-port", str(port)]
    agents = [
        subprocess.Popen(
            [*torchrun, *meeting, "--node-rank", str(rank), str(script), *map(str, command)],
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [agent.communicate(timeout=LIMIT_S)[1] for agent in agents]
    assert [agent.returncode for agent in agents] == [0, 0], errors
