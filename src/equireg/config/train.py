"""Options of `equireg train`; each says its unit and checks its values."""

from dataclasses import dataclass, field, replace
from typing import Literal

from equireg.config.checks import parse_fold, require
from equireg.config.cluster import ClusterOptions
from equireg.config.model import MethodConfig, NetworkConfig, OptimizerConfig
from equireg.config.networks import UNetConfig
from equireg.config.views import ViewsConfig
from equireg.errors import UsageError

_STEPS = 5000
_VAL_EVERY = 500


@dataclass(frozen=True)
class TrainConfig:
    """Options of `equireg train`."""

    method: MethodConfig = field(default_factory=MethodConfig)
    """the method and its options"""
    network: NetworkConfig = field(default_factory=UNetConfig)
    """the network and its options"""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """the optimiser"""
    views: ViewsConfig = field(default_factory=ViewsConfig)
    """transforms of the weak and the strong view"""
    init: str | None = None
    """weights to start from: a run, a checkpoint of one or of nnU-Net; a run keeps their name and digest"""
    labelled_view: Literal["strong", "weak"] = "strong"
    """which view of a labelled sample the network sees; the thesis shows it the weak one"""
    supervised_loss: Literal["ce+dice", "ce"] = "ce+dice"
    """loss on labelled samples, of all methods: cross-entropy with or without soft Dice"""
    class_prior: bool = True
    """a new network first answers how often each class occurs in the labelled cases; false: as its weights are drawn"""
    foreground_bias: Literal["auto", "none"] = "auto"
    """auto: at each validation choose what to add to the logits of all classes but the background, where that raises
    the Dice of its cases (five patients or more); the model then predicts so. none: add nothing"""
    tsa: Literal["none", "linear", "log", "exp", "soft"] = "none"
    """training signal annealing of that loss: leave out voxels that are already right, or lower their weight"""
    sup_cut: float | None = None
    """fraction of the training cases with a mask that are used with it (rounded up); 1.0 by default"""
    unsup_cut: float | None = None
    """fraction of all training cases used without a mask (rounded down, never to none unless 0); 1.0 by default"""
    sup_cases: int | None = None
    """count in place of `sup_cut`"""
    unsup_cases: int | None = None
    """count in place of `unsup_cut`"""
    fold: str | None = None
    """fold that validates, such as 0/5 for the first of five, in place of the split of prepare; the others train"""
    folds_file: str | None = None
    """nnU-Net's splits_final.json with the folds; by default that in the prepared folder, else they are drawn. A run
    keeps its name and a digest of the folds"""
    draft_share: float = 0.5
    """part of the labelled samples of a step whose classes a model drafted, where `equireg selftrain` has drafts"""
    unlabelled_from: Literal["train", "test"] = "train"
    """test: the cases without a mask that the layout calls test are unlabelled training cases too"""
    batch_size: int = 8
    """labelled samples a step; planned, unless only `max_steps` is given"""
    unsup_ratio: int = 3
    """unlabelled samples a step for each labelled one; planned, unless only `max_steps` is given"""
    seed: int = 42
    """seed of the choice of cases and of all random numbers of training"""
    repeat: int = 0
    """repeat of a run on the same cases with other random numbers and first weights: 0, 1, 2, ..."""
    spatial_dims: Literal[2, 3] = 2
    """2 for slices, 3 for volumes; planned, unless only `max_steps` is given"""
    patch_size: tuple[int, ...] | None = None
    """voxels of a training sample, slowest axis first; planned, unless only `max_steps` is given: then by default from
    the data set's shape"""
    foreground: float = 0.6
    """fraction of labelled samples that are centred on a labelled voxel, each class as often; planned, unless only
    `max_steps` is given"""
    flips: str = "data"
    """axes of mirroring: data (as prepared), none, or some of x,y,z"""
    turns: str = "none"
    """planes of quarter turns: none, some of xy,xz,yz, or data (those of square voxels both of whose axes may be
    mirrored, where the network takes turned samples). Samples are then turned at random, in all methods"""
    max_steps: int | None = None
    """optimiser steps; by default as many as fit in `max_minutes`, and 5000 where nothing is left to plan"""
    max_minutes: float | None = None
    """minutes that the whole run may take, its start and its validations included; the schedules end with it. 60 by
    default where `max_steps` is not given and something is left to plan. With `max_steps`, whichever ends first"""
    val_every: int | None = None
    """steps between validations; a checkpoint is written as often. By default 500 without a time; with one up to 10
    validations, evenly spread, that take about a tenth of it"""
    val_cases: int | None = None
    """validation cases that a validation looks at, drawn by patient; all by default, and where a plan finds that all
    would take more than a tenth of `max_minutes`, as many as that allows, but not fewer than 5"""
    replanned: tuple[tuple[int, int, int], ...] = ()
    """how a run with `max_minutes` was planned while it ran: first step, steps of the whole run, validations; its
    repeat.yaml holds them, and repeats it"""
    monitor: Literal["dice", "loss"] = "dice"
    """which validation score chooses the best checkpoint and stops early: highest Dice or lowest cross-entropy"""
    early_stopping_steps: int | None = None
    """stop when that score has not improved for so many steps"""
    log_every: int = 25
    """steps between rows of metrics.csv"""
    pictures_every: int = 1000
    """steps between pictures in TensorBoard; 0 for none"""
    logger: str = "tensorboard"
    """where scalars go beside metrics.csv; several with commas between them"""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """where to compute"""
    precision: Literal["auto", "32", "bf16", "16"] = "auto"
    """auto: bfloat16 where the machine computes in it, 32 bits otherwise"""
    devices: int = 1
    """GPUs of each machine, which divide every batch between them; on a CPU, processes"""
    nodes: int = 1
    """machines, which divide every batch between them; start their processes with torchrun or srun"""
    workers: int | None = None
    """processes that read data, for each device; by default none where the data fits in memory, else up to 4"""
    verify: bool = True
    """check the prepared folder's files against their digests when they are first opened"""
    record_paths: bool = False
    """keep the paths of folders and files in made_by.json; without it their names, and the way to them from the new
    folder where no user's name is in it"""
    planned_for: str | None = None
    """digest of the prepared folder that `equireg plan` planned for; another folder is refused"""

    def __post_init__(self) -> None:
        for count, cut in (("sup_cases", "sup_cut"), ("unsup_cases", "unsup_cut")):
            number, fraction = getattr(self, count), getattr(self, cut)
            require(number is None or number >= 0, count, number, "a count from 0")
            require(fraction is None or 0 <= fraction <= 1, cut, fraction, "a fraction from 0 to 1")
            if number is not None and fraction is not None:
                raise UsageError(f"both --{cut} {fraction} and --{count} {number} are given; give one.")
        parse_fold(self.fold)
        good = self.folds_file is None or self._in_folds
        require(good, "folds_file", self.folds_file, "--fold or --folds beside it")
        require(0 <= self.seed < 2**32, "seed", self.seed, "a number from 0 to below 2^32")
        require(self.repeat >= 0, "repeat", self.repeat, "a number from 0")
        for name in ("batch_size", "log_every", "devices", "nodes"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "a count from 1")
        for name in ("max_steps", "val_every", "val_cases", "early_stopping_steps"):
            value = getattr(self, name)
            require(value is None or value >= 1, name, value, "a count from 1")
        self._check_length()
        for name in ("unsup_ratio", "pictures_every"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "a count from 0")
        ranks = self.devices * self.nodes
        expected = f"a multiple of the {ranks} devices that share it (--devices {self.devices}, --nodes {self.nodes})"
        require(self.batch_size % ranks == 0, "batch_size", self.batch_size, expected)
        require(0 <= self.foreground <= 1, "foreground", self.foreground, "a fraction from 0 to 1")
        require(0 <= self.draft_share < 1, "draft_share", self.draft_share, "a fraction from 0 to below 1")
        patch = self.patch_size
        good = patch is None or (len(patch) == self.spatial_dims and min(patch) >= 8)
        require(good, "patch_size", patch, f"{self.spatial_dims} numbers of 8 or more")

    @property
    def _in_folds(self) -> bool:
        """Whether folds say what validates."""
        return self.fold is not None

    def _check_length(self) -> None:
        """Check what says how long the run is.

        Raises:
            UsageError: if options contradict each other, or a recorded plan cannot have come from a run.
        """
        minutes, plan = self.max_minutes, self.replanned
        require(minutes is None or minutes > 0, "max_minutes", minutes, "minutes above 0")
        if minutes is not None and self.val_every is None and self.early_stopping_steps is not None:
            raise UsageError("--early_stopping_steps is given with --max_minutes; give --val_every in steps too.")
        if not plan:
            return
        if minutes is not None:
            raise UsageError("--replanned repeats the steps of a run that had --max_minutes; give one of the two.")
        firsts = [first for first, _, _ in plan]
        good = firsts[0] == 0 and firsts == sorted(set(firsts)) and all(min(entry) >= 0 for entry in plan)
        good = good and all(first <= total for first, total, _ in plan)
        good = good and all(first < total for first, (_, total, _) in zip(firsts[1:], plan, strict=False))
        require(
            good,
            "replanned",
            plan,
            "first step (0, then rising), steps, validations, as in a run's repeat.yaml",
        )
        require(self.max_steps == plan[-1][1], "max_steps", self.max_steps, f"{plan[-1][1]}, the last in --replanned")

    @property
    def total_steps(self) -> int:
        """Optimiser steps of the whole run; with ``max_minutes``, what is assumed until the first have been timed."""
        return _STEPS if self.max_steps is None else self.max_steps

    def settled(self) -> "TrainConfig":
        """Return the options with numbers in place of the defaults that ``max_minutes`` would have decided."""
        if self.max_minutes is not None:
            return self
        by_plan = bool(self.replanned)
        val_every = _VAL_EVERY if self.val_every is None and not by_plan else self.val_every
        return replace(self, max_steps=self.total_steps, val_every=val_every)

    @property
    def random_seed(self) -> int:
        """Seed of all random numbers but the choice of cases; of repeat 0 it is the seed itself."""
        if not self.repeat:
            return self.seed
        import numpy as np  # here, because help and completion are to be quick

        return int(np.random.SeedSequence([self.seed, self.repeat]).generate_state(1)[0])


@dataclass(frozen=True)
class TrainOptions(TrainConfig, ClusterOptions):
    """Options of the verb `equireg train`: those of a run, and those of a cross-validation."""

    folds: int | None = None
    """train, predict and evaluate every one of so many folds, `max_minutes` each; --out is the folder of all, and
    their ensemble"""
    jobs: int = 0
    """runs of --folds at once; 0: one, on a cluster as many as fit"""

    def __post_init__(self) -> None:
        super().__post_init__()
        ClusterOptions.__post_init__(self)
        several = self.folds is None or self.folds >= 2
        require(several, "folds", self.folds, "a count from 2, or --fold 0/1 for a file of one fold")
        require(self.jobs >= 0, "jobs", self.jobs, "a count from 0")

    @property
    def _in_folds(self) -> bool:
        return self.folds is not None or super()._in_folds


@dataclass(frozen=True)
class PlanConfig(TrainConfig):
    """Options of `equireg plan`: those of `equireg train`, which stay as they are given, and its own."""

    out: str | None = None
    """the file to write; plan.yaml in the prepared folder by default"""
    json: bool = False
    """print JSON in place of tables"""


@dataclass(frozen=True)
class RoundsConfig:
    """How `equireg selftrain` goes on from masks to drafts."""

    rounds: int = 2
    """rounds in which models learn from drafts too, after the one on masks alone"""
    members: int = 3
    """models of each round, which differ in their random numbers; those of the last are the ensemble"""
    keep: float = 0.5
    """part of the training cases without a mask whose drafts are used: those on which views and models agree most"""
    continued: bool = False
    """start each model from the weights that it had in the round before, in place of new ones"""
    jobs: int = 0
    """models trained at once; 0: one, on a cluster as many as fit"""

    def __post_init__(self) -> None:
        require(self.rounds >= 1, "rounds", self.rounds, "a count from 1")
        require(self.members >= 1, "members", self.members, "a count from 1")
        require(0 < self.keep <= 1, "keep", self.keep, "a fraction above 0, at most 1")
        require(self.jobs >= 0, "jobs", self.jobs, "a count from 0")


@dataclass(frozen=True)
class SelftrainOptions(TrainConfig, RoundsConfig, ClusterOptions):
    """Options of the verb `equireg selftrain`: those of each run, and those of its rounds."""

    max_minutes: float | None = None
    """minutes of each training, its start and its validations included; there are (`rounds` + 1) x `members`. The
    schedules end with it. 60 by default where `max_steps` is not given and something is left to plan. With
    `max_steps`, whichever ends first"""

    def __post_init__(self) -> None:
        TrainConfig.__post_init__(self)
        RoundsConfig.__post_init__(self)
        ClusterOptions.__post_init__(self)
