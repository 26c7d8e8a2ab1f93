"""What each table of figures must show, from the result files; a value each column, a list where a cell has several."""

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
Row = Sequence[float | Sequence[float]]
_WORK = ("data", "transforms", "losses", "other", "average")
_STEPS = ("step-32", "step-bf16", "step-3d")


def result(path: str) -> Any:
    """Read a result file, named from the root of the checkout."""
    return json.loads((ROOT / path).read_text())


def step() -> Mapping[str, Row]:
    """Return the parts of a training step, ms, in the three runs."""
    found = [result(f"benchmarks/speed/{name}.json") for name in _STEPS]
    ours = [one["equireg"] for one in found]
    parts = [one["parts_ms"] for one in ours]
    rest = [
        100 * (sum(p[name] for name in _WORK) + o["rest_ms"]) / o["floor_ms"] for p, o in zip(parts, ours, strict=True)
    ]
    names = {"losses": "losses", "other work of the method": "other", "teacher's average": "average"}
    names |= {name: name for name in ("teacher", "data", "transforms")} | {"optimiser and clipping": "optimiser"}
    return {
        "student and backward": [part["student"] + part["backward"] for part in parts],
        **{shown: [part[name] for part in parts] for shown, name in names.items()},
        "loop and logging": [one["rest_ms"] for one in ours],
        "all but networks and optimiser, part of the floor": rest,
        "the step over its floor": [one["step_over_floor"] for one in ours],
        "in supervised steps": [one["in_supervised_steps"] for one in found],
    }


def waiting() -> Mapping[str, Row]:
    """Return the seconds of a step whose threads wait asleep or spin, alone and beside a program."""
    found = result("benchmarks/speed/waiting.json")["seconds a step"]
    names = {"asleep": "asleep", "spinning, OpenMP's default": "spinning"}
    return {shown: [found[f"{way}, {kind}"] for kind in ("alone", "one core busy")] for shown, way in names.items()}


def start() -> Mapping[str, Row]:
    """Return the processor seconds from the command to the first step, stage by stage, before and now."""
    found = [result(f"benchmarks/speed/{name}.json") for name in ("start-before", "start")]
    stages = [one["processor_seconds of each stage"] for one in found]
    names = {"reading the command line": "command line", "importing equireg": "equireg"}
    names |= {f"importing {name}": name for name in ("torch", "lightning", "monai")}
    names |= {"all else before the step": "until the step", "the step": "the step"}
    rows: dict[str, Row] = {shown: [stage.get(name, []) for stage in stages] for shown, name in names.items()}
    return {**rows, "all": [one["processor_seconds"] for one in found]}


def whole_views() -> Mapping[str, Row]:
    """Return slices a second of the unlabelled work."""
    found = result("benchmarks/speed/transforms.json")["unlabelled slices a second"]
    return {
        "equireg, the thesis' transforms": [found["equireg thesis"]],
        "equireg, default transforms, with intensity changes": [found["equireg default"]],
        "imgaug 0.4.0, the thesis' transforms": [[found[f"imgaug {part}"] for part in ("all", "images", "prediction")]],
    }


def spatial_work() -> Mapping[str, Row]:
    """Return samples a second of the same spatial work in other libraries."""
    content = result("benchmarks/speed/transforms.json")
    found, versions = content["samples a second, the same spatial work"], content["versions of the others"]
    shown = {"batchgeneratorsv2": "batchgeneratorsv2", "monai": "MONAI", "torchio": "TorchIO"}
    names = {"equireg": "equireg"} | {name: f"{title} {versions[name]}" for name, title in shown.items()}
    return {title: [rates[f"{name} {kind}"] for kind, rates in found.items()] for name, title in names.items()}


def planning() -> Mapping[str, Row]:
    """Return seconds a step, steps and validation Dice of each of the settings that were given the same time."""
    found: dict[str, Row] = {}
    for before, name in (("", "results.csv"), ("as drawn, ", "results-drawn-heads.csv")):
        with (ROOT / "benchmarks/plan" / name).open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                key = f"{before}{row['dataset']}, {float(row['seconds']):g} s: {row['settings']}"
                found[key] = [float(row[column]) for column in ("step_seconds", "steps", "val_dice")]
    return found


def plans_and_hands() -> Mapping[str, Row]:
    """Return validation Dice and steps of plans and of settings made by hand, in the same time."""
    labelled = {"hippocampus": "hippocampus, 5 cases", "lgg": "lgg, 4 patients", "acdc": "acdc, 3 patients"}
    found: dict[tuple[str, str], list[float]] = {}
    with (ROOT / "benchmarks/plan/results-600.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found[row["dataset"], row["settings"]] = [float(row["val_dice"]), float(row["steps"])]
    settings = ("planned", "small", "large", "defaults")
    return {title: [found.get((name, one), []) for one in settings] for name, title in labelled.items()}


def preparing() -> Mapping[str, Row]:
    """Return seconds and peak MiB with one and two jobs, and the seconds of a restart."""
    found = result("benchmarks/speed/prepare.json")
    return {
        recipe: [
            *([found[f"{recipe}, {jobs} jobs"][key] for key in ("seconds", "peak_mib")] for jobs in (1, 2)),
            found[f"{recipe}, 1 jobs"]["restart_seconds"],
        ]
        for recipe in ("default", "thesis")
    }


def predicting() -> Mapping[str, Row]:
    """Return seconds a scan of both networks."""
    ours = result("benchmarks/speed/predict.json")["default, slices"]
    dense = result("benchmarks/speed/predict-fc-densenet.json")["FC-DenseNet of the thesis, slices"]
    both = (ours, dense)
    return {
        "reading, network, writing": [[one["parts"][part] for part in ("read", "network", "write")] for one in both],
        "one after the other; at once": [
            [one["seconds_a_case"][how] for how in ("one_after_the_other", "at_once")] for one in both
        ],
        "one plain pass of the network: ours; MONAI's": [[one["plain_seconds"], one["monai_seconds"]] for one in both],
        "four mirrored copies, over four passes": [ours["flips_to_passes"], []],
        "and four random transforms, over eight passes": [ours["equivariance_to_passes"], []],
        "peak memory, GiB": [max(one["peak_mib"].values()) / 1024 for one in both],
    }


def memory() -> Mapping[str, Row]:
    """Return bytes a voxel and peak MiB of verbs."""
    found = result("benchmarks/memory/verbs.json")
    return {f"`{verb}`": [found[verb]["bytes_a_voxel"], found[verb]["peak_mib"]] for verb in ("prepare", "evaluate")}


def memory_in_short() -> Mapping[str, Row]:
    """Return bytes a voxel of verbs, beside a command without figures that are measured."""
    return {verb: row[:1] for verb, row in memory().items()}


def growth() -> Mapping[str, Row]:
    """Return resident MiB and open files, early and late in a long run."""
    found = result("benchmarks/memory/growth.json")
    return {
        verb: [
            found[verb]["count"],
            found[verb]["memory_mib"]["early"],
            found[verb]["memory_mib"]["late"],
            100 * found[verb]["memory_mib"]["growth"],
            [found[verb]["open_files"]["early"], found[verb]["open_files"]["late"]],
        ]
        for verb in ("train", "predict", "prepare")
    }


def quality(results: str) -> Mapping[str, Row]:
    """Return Spearman's correlation and the part of the way to the optimal AURC, by score and method."""
    with (ROOT / results).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    shown = {"": "both", ", mirrored views alone": "mirrors", ", entropy": "entropy"}
    found: dict[str, Row] = {}
    for suffix, score in shown.items():
        for method in ("supervised", "equireg"):
            own = [row for row in rows if row["score"] == score and row["run"].endswith(f"-{method}")]
            sets = {row["set"]: [one for one in own if one["set"] == row["set"]] for row in own}
            found[f"`{method}`{suffix}"] = [
                [fmean(float(row[name]) for row in runs) for name in ("spearman", "gained")] for runs in sets.values()
            ]
    return found


_SMALL = {"hippocampus, 1 case": "hippocampus", "lgg, 4 patients": "lgg", "acdc, 3 patients": "acdc"}
"""The points of benchmarks/strength at half resolution, and their names in files."""


def first_try() -> Mapping[str, Row]:
    """Return draws, Dice of both methods, and their difference with its interval, by data set and steps."""
    dice: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
    for row in table("benchmarks/strength/results/short-today.csv"):
        if row["lr"] == "0.004" and row["after"] == row["steps"]:
            of_point = dice.setdefault((row["set"], row["steps"]), {})
            of_point.setdefault(row["method"], {})[row["draw"]] = float(row["val_dice"])
    found: dict[str, Row] = {}
    for steps in ("200", "400", "800", "4000"):
        for shown, name in _SMALL.items():
            ours, theirs = dice[name, steps]["equireg"], dice[name, steps]["supervised"]
            both = sorted(ours.keys() & theirs.keys())
            difference = list(_interval([ours[draw] - theirs[draw] for draw in both]))
            means = [fmean(method[draw] for draw in both) for method in (theirs, ours)]
            found[f"{shown}, {int(steps):,}"] = [len(both), *means, difference]
    return found


def _interval(differences: list[float]) -> tuple[float, float, float]:
    """Return the mean difference over the draws and its interval, as the script that chooses has it."""
    sys.path.insert(0, str(ROOT / "benchmarks" / "strength"))
    import choose  # pyright: ignore[reportMissingImports]

    found = choose.interval(differences)
    return found.mean, found.low, found.high


def against_rivals() -> Mapping[str, Row]:
    """Return draws and the mean Dice of each method by data set, and the mean over the sets."""
    arms = ("default", "supervised", "fixmatch", "cps", "bcp")
    draws: dict[str, int] = {}
    means: dict[str, list[float]] = {}
    for shown, name in _SMALL.items():
        values: dict[str, dict[str, float]] = {}
        for row in table(f"benchmarks/strength/results/rivals-{name}-draws.csv"):
            values.setdefault(row["seed"], {})[row["variant"]] = float(row["dice"])
        whole = [each for each in values.values() if len(each) == len(arms)]  # draws that all methods have
        draws[shown], means[shown] = len(whole), [fmean(each[arm] for each in whole) for arm in arms]
    over_sets = [fmean(column) for column in zip(*means.values(), strict=True)]
    return {shown: [draws[shown], *means[shown]] for shown in _SMALL} | {"mean": [[], *over_sets]}


def less_rivals() -> Mapping[str, Row]:
    """Return the difference of EquiReg from each other method, with its interval, by data set."""
    found: dict[str, Row] = {}
    for shown, name in _SMALL.items():
        rows = {row["variant"]: row for row in table(f"benchmarks/strength/results/rivals-{name}-decisions.csv")}
        arms = (rows[arm] for arm in ("supervised", "fixmatch", "cps", "bcp"))
        found[shown] = [[-float(arm[column]) for column in ("difference", "high", "low")] for arm in arms]
    return found


def equal_time() -> Mapping[str, Row]:
    """Return draws, Dice of EquiReg and of `supervised` in the same time, and the difference, by data set."""
    found = _in_equal_time("equireg 800", "supervised 1650")
    means = [fmean(column) for column in zip(*(row[1:] for row in found.values()), strict=True)]
    return found | {"mean": [[], *means]}


def equal_long_time() -> Mapping[str, Row]:
    """Return the same of runs that are five times as long."""
    return _in_equal_time("equireg 4000", "supervised 8250")


def _in_equal_time(ours: str, theirs: str) -> dict[str, list]:
    """Return draws that both have, the mean Dice of each, and the difference, by data set."""
    found: dict[str, list] = {}
    for shown, name in _SMALL.items():
        both = [own for own in _last_dice(name).values() if {ours, theirs} <= own.keys()]
        means = [fmean(own[arm] for own in both) for arm in (ours, theirs)]
        found[shown] = [len(both), *means, means[0] - means[1]]
    return found


def _last_dice(name: str) -> dict[str, dict[str, float]]:
    """Return draw to the last Dice of each method and number of steps."""
    found: dict[str, dict[str, float]] = {}
    for row in table("benchmarks/strength/results/equal-time.csv"):
        if row["set"] == name and row["steps"] == row["after"]:
            found.setdefault(row["draw"], {})[f"{row['method']} {row['steps']}"] = float(row["dice"])
    return found


def table(path: str) -> list[dict[str, str]]:
    """Read a CSV file, named from the root of the checkout."""
    with (ROOT / path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def geometry() -> Mapping[str, Row]:
    """Return the agreement of predictions for copies in other frames."""
    found = result("benchmarks/geometry/hippocampus.json")["dice"]
    shown = {
        "oblique header, 20 degrees, the same voxels": "oblique header, 20 degrees",
        "resampled onto a grid turned by 10 degrees": "oblique grid, 10 degrees",
        "resampled to 2 mm": "2 mm",
        "slices twice as thick": "anisotropic, slices twice as thick",
        "slices twice as thick, turned by 10 degrees, in LPS": "anisotropic, LPS and oblique",
    }
    rows = {title: list(found[name].values()) for title, name in shown.items()}
    return rows | {"LPS, RAS and PIR frames": list(found["LPS"].values())}
