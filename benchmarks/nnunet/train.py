"""Train one nnU-Net for a fixed time on all labelled cases; started by ``run.py``, not by hand.

nnU-Net's own trainer does the work: network, loss, sampling, augmentation, optimiser and the shape of the
learning rate's schedule are untouched. Only the length is set, and what costs time without changing the final
weights is left out: the pseudo Dice on training patches, the progress picture and the "best" checkpoint.
"""

import argparse
import json
import multiprocessing
import os
import resource
import time
from pathlib import Path
from typing import Any

import torch
from batchgenerators.utilities.file_and_folder_operations import (  # pyright: ignore[reportMissingImports]
    load_json,
)
from nnunetv2.training.nnUNetTrainer import (  # pyright: ignore[reportMissingImports]
    nnUNetTrainer as nnunet_trainer,
)

LR_STEPS = 100
"""Epochs in a schedule, where there are enough iterations. nnU-Net lowers the rate once an epoch, and minutes
hold only a few of its epochs of 250: so coarse a staircase would end at a rate far above zero."""
WARM_UP = 10
"""Iterations before the clock of the trial starts: they drain the queue of batches made in advance."""


class nnUNetTrainer(nnunet_trainer.nnUNetTrainer):
    """nnU-Net's trainer with a length of our choice.

    It keeps its parent's name on purpose: prediction looks the trainer up by the name in the checkpoint and
    so finds the stock class. A search for any other name imports every trainer, and those of the
    transformer family need timm, which this environment does without.
    """

    def set_length(self, iterations: int) -> None:
        """Spread ``iterations`` over at most about ``LR_STEPS`` epochs of equal length."""
        self.num_iterations_per_epoch = max(1, round(iterations / LR_STEPS))
        self.num_epochs = max(1, round(iterations / self.num_iterations_per_epoch))
        self.num_val_iterations_per_epoch = 0

    def on_validation_epoch_end(self, val_outputs: list[dict[str, Any]]) -> None:
        """Nothing to gather: there are no validation cases."""

    def on_epoch_end(self) -> None:
        """Log the epoch; write neither picture nor checkpoint."""
        self.logger.log("epoch_end_timestamps", time.time(), self.current_epoch)
        self.print_to_log_file("train_loss", round(float(self.logger.get_value("train_losses", step=-1)), 4))
        self.current_epoch += 1


def make_trainer(preprocessed: Path, configuration: str, seed: int) -> nnUNetTrainer:
    """Build a fresh trainer for fold "all"; the seed draws the initial weights, augmentation is unseeded."""
    torch.manual_seed(seed)
    plans = load_json(str(preprocessed / "nnUNetPlans.json"))
    plans["continue_training"] = False
    dataset = load_json(str(preprocessed / "dataset.json"))
    return nnUNetTrainer(plans, configuration, "all", dataset, device=torch.device("cpu"))


def measure(trainer: nnUNetTrainer, seconds: float) -> tuple[float, float]:
    """Train for about ``seconds`` of wall time.

    Returns:
        Wall seconds an iteration took, augmentation's waits included; and CPU seconds, augmentation's included.
    """
    trainer.set_length(1)
    trainer.on_train_start()
    trainer.network.train()
    for _ in range(WARM_UP):
        trainer.train_step(next(trainer.dataloader_train))
    start, cpu_start, done = time.perf_counter(), cpu_seconds(), 0
    while done < WARM_UP or time.perf_counter() - start < seconds:
        trainer.train_step(next(trainer.dataloader_train))
        done += 1
    elapsed, cpu_elapsed = time.perf_counter() - start, cpu_seconds() - cpu_start
    trainer.disable_checkpointing = True
    trainer.on_train_end()
    return elapsed / done, cpu_elapsed / done


def cpu_seconds() -> float:
    """Return the CPU time of this process, over all threads, and of its children, ended or running."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    ended = sum(usage.ru_utime + usage.ru_stime for usage in usages)
    return ended + sum(running_seconds(child.pid) for child in multiprocessing.active_children())


def running_seconds(pid: int | None) -> float:
    """Return the CPU time of a running process as Linux reports it; 0 where it has just ended."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return 0.0
    # man 5 proc_pid_stat: after the name come the state, then utime as the 12th field and stime as the 13th.
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure, choose the length, train, and write what was done as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preprocessed", type=Path, required=True, help="nnU-Net's folder of the data set")
    parser.add_argument("--configuration", required=True)
    parser.add_argument("--minutes", type=float, required=True, help="time of the training loop")
    parser.add_argument("--clock", choices=("wall", "cpu"), required=True, help="what time is meant")
    parser.add_argument("--iterations", type=int, help="train this long, without a trial")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True, help="torch threads of the training process")
    parser.add_argument("--report", type=Path, required=True, help="JSON file to write")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    budget = 60 * args.minutes  # seconds
    trial = None
    iterations = args.iterations
    if iterations is None:
        trial = measure(
            make_trainer(args.preprocessed, args.configuration, args.seed),
            min(30.0, max(10.0, 0.05 * budget)),
        )
        iterations = max(1, round(budget / trial[args.clock == "cpu"]))

    trainer = make_trainer(args.preprocessed, args.configuration, args.seed)
    trainer.set_length(iterations)
    trainer.initialize()
    start, cpu_start = time.perf_counter(), cpu_seconds()
    trainer.run_training()
    seconds = time.perf_counter() - start
    done = trainer.num_epochs * trainer.num_iterations_per_epoch
    report = {
        "training_seconds": round(seconds, 1),
        "training_cpu_seconds": round(cpu_seconds() - cpu_start, 1),
        "seconds_per_iteration": round(seconds / done, 4),
        "trial_seconds_per_iteration": None if trial is None else round(trial[0], 4),
        "trial_cpu_seconds_per_iteration": None if trial is None else round(trial[1], 4),
        "iterations": done,
        "epochs": trainer.num_epochs,
        "iterations_per_epoch": trainer.num_iterations_per_epoch,
        "batch_size": trainer.batch_size,
        "patch_size": list(trainer.configuration_manager.patch_size),
        "spacing_mm": list(trainer.configuration_manager.spacing),
        "mirrored_axes": list(trainer.inference_allowed_mirroring_axes),
        "parameters": sum(weight.numel() for weight in trainer.network.parameters()),
        "final_learning_rate": trainer.optimizer.param_groups[0]["lr"],
    }
    args.report.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
