"""Where the tasks of a verb run."""

from dataclasses import dataclass
from pathlib import Path

from equireg.config.checks import require
from equireg.processes.workers import Cluster, ClusterName


@dataclass(frozen=True)
class ClusterOptions:
    """Options of the verbs whose tasks can go to other machines."""

    cluster: ClusterName = "local"
    """processes of this machine, the Ray cluster that it belongs to, or jobs in the queue of Slurm"""
    slurm: tuple[str, ...] = ()
    """options of sbatch for each job of `--cluster slurm`, such as partition=gpu,gres=gpu:1,time=10:00:00"""

    def __post_init__(self) -> None:
        good = not self.slurm or self.cluster == "slurm"
        require(good, "slurm", ",".join(self.slurm), "--cluster slurm beside it")

    @property
    def far(self) -> bool:
        """Whether other machines work, which find files by their absolute paths."""
        return self.cluster != "local"

    def where(self, out: Path) -> Cluster:
        """Return where tasks run; ``out`` is the verb's output folder."""
        return Cluster(self.cluster, self.slurm, out)


HERE = ClusterOptions()
"""Processes of this machine."""
