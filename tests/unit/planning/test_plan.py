"""A plan: what is given stays, what is not is decided; its file goes back into train, and into no other folder's."""

import datetime
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equireg.batches.choice import validation_cases
from equireg.config import PlanConfig, TrainConfig, UNetConfig
from equireg.config.describe import options_in
from equireg.config.parsing import from_plain, nested, to_plain
from equireg.config.yaml_files import read_yaml
from equireg.errors import EquiregError, UsageError
from equireg.folders.prepared import PreparedSet
from equireg.model import config_from
from equireg.planning import climbing, making, table
from equireg.planning.making import is_planned, make_plan
from equireg.planning.measuring import Speed, TooLargeError, Validated
from equireg.planning.plan import check_folder, plan
from prepared_sets import record, write_set

SPEED = Speed(0.1, 2.0, 2**30, 2**28, 8 * 2**30, 1000, 16_000)
SMALL = {"method": {"name": "equireg"}, "network": {"features": 2, "max_features": 4}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    cases = [record("a"), record("b", labelled=False), record("c", labelled=False), record("v", "val")]
    return write_set(tmp_path / "P", cases)


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[TrainConfig]:
    """Steps are not made; what they would have been made with is listed."""
    asked: list[TrainConfig] = []

    def measured(config: TrainConfig, stand: Any) -> Speed:
        asked.append(config)
        return SPEED

    monkeypatch.setattr(making, "measure_step", measured)
    monkeypatch.setattr(climbing, "return_freed_memory", lambda: None)  # no step has asked for any
    return asked


def test_what_is_not_given_is_decided(folder: Path, tried: list[TrainConfig]) -> None:
    made = make_plan({"method": {"name": "equireg"}, "max_minutes": 10}, PreparedSet(folder))
    assert {one.option for one in made.decisions} == {*making.PLANNED, "method.exchange"}
    assert all(one.why for one in made.decisions)
    assert made.config in tried
    assert made.config.max_minutes == 10
    assert made.config.patch_size == (10, 12)


def test_help_says_what_is_planned() -> None:
    texts = {option.name: option.text for option in options_in(TrainConfig, {"network": UNetConfig})}
    assert all("planned, unless only `max_steps` is given" in texts[name] for name in making.PLANNED)
    assert f"{making.DEFAULT_MINUTES:.0f} by default" in texts["max_minutes"]
    assert f"{TrainConfig().total_steps} where nothing is left to plan" in texts["max_steps"]


def test_what_is_given_stays(folder: Path, tried: list[TrainConfig]) -> None:
    given = {
        **SMALL,
        "method": {"name": "equireg", "exchange": 0.5},
        "batch_size": 3,
        "unsup_ratio": 2,
        "patch_size": [8, 8],
        "foreground": 0.25,
        "max_minutes": 10,
        "spatial_dims": 2,
    }
    made = make_plan(given, PreparedSet(folder))
    assert made.decisions == ()
    assert made.config == config_from(given)
    assert len(tried) == 1


def test_where_all_validation_cases_would_take_too_long_fewer_are_looked_at(
    tmp_path: Path, tried: list[TrainConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = [record(f"e{index}", "val", class_voxels=(3, 0, 0)) for index in range(4)]
    shown = [record(f"v{index}", "val", patient=f"p{index // 2}") for index in range(8)]
    folder = PreparedSet(write_set(tmp_path / "P", [record("a"), *empty, *shown]))
    monkeypatch.setattr(making, "measure_validation", lambda *_: Validated(10.0))
    given = {**SMALL, "method": {"name": "supervised"}}
    made = {minutes: make_plan({**given, "max_minutes": minutes}, folder) for minutes in (1, 10, 60)}
    assert {minutes: one.config.val_cases for minutes, one in made.items()} == {1: 5, 10: 6, 60: None}
    assert "all 12 would take 20 % of the time" in made[10].decisions[-1].why
    cases = [validation_cases(folder.manifest.cases, count) for count in (5, 6, None)]
    assert [len(some) for some in cases] == [5, 6, 12]
    assert not any(case.name.startswith("e") for some in cases[:2] for case in some)  # their masks are empty
    assert len({case.patient for case in cases[1]}) == 3  # all scans of a patient follow each other
    assert {case.name for case in cases[0]} < {case.name for case in cases[1]}
    assert make_plan({**given, "max_minutes": 1, "val_cases": 12}, folder).config.val_cases == 12


def test_boxes_are_exchanged_where_what_is_labelled_is_small(tmp_path: Path, tried: list[TrainConfig]) -> None:
    def folder(name: str, side: int) -> PreparedSet:
        cases = [record("a", class_voxels=(480 - side**2, side**2, 0)), record("u", labelled=False)]
        label = np.zeros((4, 10, 12), dtype=np.uint8)
        label[0, :side, :side] = 1
        return PreparedSet(write_set(tmp_path / name, cases, {"a": label}))

    def options(data: PreparedSet, **given: Any) -> tuple[Any, list[Any]]:
        made = make_plan({"method": {"name": "equireg"}, "max_minutes": 10, **given}, data)
        return to_plain(made.config)["method"].get("exchange"), [
            one.value for one in made.decisions if one.option == "method.exchange"
        ]

    small, large = folder("small", 3), folder("large", 9)
    assert options(small) == (1.0, [1.0])
    assert options(large) == (0.0, [0.0])
    assert options(small, method={"name": "equireg", "exchange": 0.5}) == (0.5, [])
    assert options(small, method={"name": "bcp"}) == (None, [])
    assert options(small, unsup_ratio=0) == (None, [])


@pytest.mark.parametrize(
    ("volume_s", "dims", "why"),
    [
        (0.1, 3, "spacings are alike"),
        (2.0, 2, r"but volumes \(.*\) leave \d+ steps of 2,000"),
        (None, 2, r"but volumes \(.*\): memory ran out"),
    ],
)
def test_volumes_are_measured_and_not_guessed_from_slices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, volume_s: float | None, dims: int, why: str
) -> None:
    shape, spacing = (24, 24, 24), (1.0, 1.0, 1.0)
    cubes = [record(f"c{index}", shape=shape, spacing_mm=spacing) for index in range(10)]
    asked: list[tuple[int, ...]] = []

    def measured(config: TrainConfig, stand: Any) -> Speed:
        asked.append(config.patch_size or ())
        if config.spatial_dims == 2:
            return SPEED
        if volume_s is None:
            raise TooLargeError("memory ran out")
        return replace(SPEED, seconds_per_step=volume_s)

    monkeypatch.setattr(making, "measure_step", measured)
    monkeypatch.setattr(climbing, "return_freed_memory", lambda: None)
    made = make_plan(
        {"method": {"name": "supervised"}, "max_minutes": 20}, PreparedSet(write_set(tmp_path / "P", cubes))
    )
    assert made.config.spatial_dims == dims
    assert re.search(why, made.decisions[0].why)
    assert {len(size) for size in asked} == {2, 3}


def test_a_patch_is_of_slices_unless_volumes_are_asked_for(folder: Path, tried: list[TrainConfig]) -> None:
    made = make_plan({**SMALL, "patch_size": [8, 8], "max_minutes": 10}, PreparedSet(folder))
    assert made.config.spatial_dims == 2
    volumes = {**SMALL, "spatial_dims": 3, "patch_size": [8, 8, 8], "max_minutes": 10}
    assert make_plan(volumes, PreparedSet(folder)).config.patch_size == (8, 8, 8)


def test_without_steps_or_minutes_there_is_an_hour(folder: Path, tried: list[TrainConfig]) -> None:
    made = make_plan(dict(SMALL), PreparedSet(folder))
    assert made.config.max_minutes == 60
    assert made.decisions[0].option == "max_minutes"


def test_a_run_of_few_steps_can_have_costlier_ones(folder: Path, tried: list[TrainConfig]) -> None:
    given = {"method": {"name": "equireg"}, "max_minutes": 1}  # 580 steps, too few for the largest settings
    features = {
        limit: to_plain(make_plan({**given, "max_steps": limit}, PreparedSet(folder)).config)["network"]["features"]
        for limit in (100, None)
    }
    assert features[100] > features[None]


def test_a_number_of_steps_keeps_the_defaults(folder: Path, tried: list[TrainConfig]) -> None:
    given = {"method": {"name": "equireg"}, "max_steps": 300}
    made = make_plan(given, PreparedSet(folder))
    known = replace(made.config.method, exchange=None)  # which the masks decide
    assert replace(made.config, patch_size=None, method=known) == config_from(given)
    assert made.config.max_minutes is None


def test_too_large_defaults_shrink(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(config: TrainConfig, stand: Any) -> Speed:
        if config.batch_size * (1 + config.unsup_ratio) > 16:
            raise TooLargeError("memory ran out")
        return SPEED

    monkeypatch.setattr(making, "measure_step", measured)
    made = make_plan({"method": {"name": "equireg"}, "max_steps": 300}, PreparedSet(folder))
    assert made.config.batch_size * (1 + made.config.unsup_ratio) <= 16
    assert any("memory ran out" in one.why for one in made.decisions)


def test_supervised_runs_have_no_ratio(folder: Path, tried: list[TrainConfig]) -> None:
    made = make_plan({"method": {"name": "supervised"}, "max_minutes": 10}, PreparedSet(folder))
    assert "unsup_ratio" not in {one.option for one in made.decisions}


def test_a_network_of_fixed_width_keeps_it(folder: Path, tried: list[TrainConfig]) -> None:
    given = {"method": {"name": "equireg"}, "network": {"name": "fc-densenet56"}, "max_minutes": 10}
    made = make_plan(given, PreparedSet(folder))
    assert "network.features" not in {one.option for one in made.decisions}


def test_given_strides_divide_the_patch(folder: Path, tried: list[TrainConfig]) -> None:
    strides = [[1, 1], [2, 2], [2, 2], [2, 2]]
    given = {"method": {"name": "equireg"}, "network": {"strides": strides}, "max_minutes": 10}
    made = make_plan(given, PreparedSet(folder))
    assert made.config.patch_size == (16, 16)


@pytest.mark.parametrize(
    ("given", "planned"),
    [
        ({}, True),
        ({"max_minutes": 5}, True),
        ({"max_steps": 100}, False),
        ({"max_steps": 100, "max_minutes": 5}, True),
        ({"max_steps": None, "batch_size": 4}, True),
    ],
)
def test_runs_that_are_not_told_by_their_steps_are_planned(given: dict[str, Any], planned: bool) -> None:
    assert is_planned(given) == planned


def test_a_complete_config_is_not_planned(folder: Path, tried: list[TrainConfig]) -> None:
    made = make_plan({"method": {"name": "equireg"}, "max_minutes": 10}, PreparedSet(folder))
    assert not is_planned(to_plain(made.config))


def test_the_file_goes_back_into_train(folder: Path, tried: list[TrainConfig]) -> None:
    found = plan(folder, max_minutes=10, sup_cases=1)
    assert found.file == folder / "plan.yaml"
    read = nested(read_yaml(found.file))
    assert config_from(read) == replace(found.plan.config, planned_for=PreparedSet(folder).digest)
    assert not is_planned(read) or set(read) >= {"batch_size", "patch_size", "spatial_dims"}
    assert read["sup_cases"] == 1
    assert "max_steps" not in read
    check_folder(read, PreparedSet(folder))


@pytest.mark.parametrize("options", [{"method": {"name": "supervised"}}, {"network": {"name": "fc-densenet56"}}])
def test_a_file_that_lacks_what_means_nothing_is_not_planned_again(
    folder: Path, tried: list[TrainConfig], options: dict[str, Any]
) -> None:
    read = nested(read_yaml(plan(folder, max_minutes=10, **options).file))
    assert not is_planned(read)
    del read["batch_size"]
    assert is_planned(read)


def test_a_plan_of_another_folder_is_refused(folder: Path, tmp_path: Path, tried: list[TrainConfig]) -> None:
    read = read_yaml(plan(folder, max_minutes=10).file)
    other = PreparedSet(write_set(tmp_path / "other", [record("a"), record("z", labelled=False)]))
    with pytest.raises(UsageError, match=r"the plan was made for another prepared folder \(digest \w{8}\)"):
        check_folder(read, other)
    with pytest.raises(UsageError, match="another prepared folder"):
        plan(tmp_path / "other", **read)
    check_folder({}, other)


def test_the_text_says_what_why_and_how_long(
    folder: Path, tried: list[TrainConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("making", "plan"):  # of this process' own memory nothing is asked
        monkeypatch.setattr(f"equireg.planning.{place}.measure_validation", lambda *_: Validated(0.01, 2**29))
    found = plan(folder, max_minutes=10, out=str(folder.parent / "own.yaml"))
    now = datetime.datetime(2026, 1, 1, 12, 0)
    text = table.text_of(found.plan, found.cost, now)
    for words in ("network.features", "0.1 s", "36,000", "2026-01-01 12:10", "1.0 GiB", "of 8.0 GiB", "core", "mm3"):
        assert words in text
    assert "labelled: 1 case of 1 patient; unlabelled: 3 cases of 3 patients, 1 of them labelled too" in text
    assert str(found.file) in str(found)
    assert found.file == folder.parent / "own.yaml"
    assert not (folder / "plan.yaml").exists()


def test_json_is_plain(folder: Path, tried: list[TrainConfig]) -> None:
    found = plan(folder, max_minutes=10, json=True)
    content = json.loads(json.dumps(found.as_dict()))
    assert content["steps_an_hour"] == 36_000
    assert content["options"]["max_minutes"] == 10
    assert {one["option"] for one in content["settings"]} == {*making.PLANNED, "method.exchange"}
    assert content["fingerprint"]["labelled_cases"] == 1


@pytest.mark.parametrize(
    ("options", "validation", "steps", "seconds", "validations"),
    [
        ({"max_minutes": 1}, 0.0, 580, 60, 0),
        ({"max_minutes": 1}, 1.0, 520, 60, 6),  # a tenth of the time
        ({"max_minutes": 10}, 1.0, 5880, 600, 10),
        ({"max_minutes": 1, "max_steps": 100}, 0.0, 100, 12, 0),
        ({"max_steps": 1000}, 1.0, 1000, 104, 2),
    ],
)
def test_the_cost_of_a_run(
    folder: Path,
    tried: list[TrainConfig],
    options: dict[str, Any],
    validation: float,
    steps: int,
    seconds: float,
    validations: int,
) -> None:
    cost = table.cost_of(make_plan({**SMALL, **options}, PreparedSet(folder)), validation)
    assert (cost.steps, cost.validations) == (steps, validations)
    assert cost.seconds == pytest.approx(seconds)
    assert cost.disk_bytes >= 2 * SPEED.checkpoint_bytes


def test_the_memory_of_a_plan_is_that_of_the_largest_validation_case_too(
    folder: Path, tried: list[TrainConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("equireg.planning.plan.measure_validation", lambda *_: Validated(1.0, 3 * SPEED.room_bytes))
    found = plan(folder, max_minutes=10)
    assert found.as_dict()["peak_bytes"] == 3 * SPEED.room_bytes
    assert "of 8.0 GiB that it may take: the largest validation case needs more" in str(found)


def test_real_steps_make_a_plan(folder: Path) -> None:
    options: dict[str, Any] = {**SMALL, "max_minutes": 60, "batch_size": 2, "unsup_ratio": 1, "precision": "32"}
    found = plan(folder, from_plain(PlanConfig, options))
    assert found.cost.steps > 50
    assert found.cost.validations >= 1


def test_a_time_that_is_too_short_leaves_nothing(folder: Path, tried: list[TrainConfig]) -> None:
    before = sorted(folder.rglob("*"))
    with pytest.raises(EquiregError, match=r"--max_minutes 0.05 leaves about 10 steps"):
        plan(folder, max_minutes=0.05)
    assert sorted(folder.rglob("*")) == before


def test_a_fold_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="a plan is for all folds"):
        plan(folder, fold="0/2", max_minutes=10)


def test_where_the_file_cannot_lie_nothing_is_measured(
    folder: Path, tried: list[TrainConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"there is no folder .*missing"):
        plan(folder, max_minutes=10, out=folder / "missing" / "plan.yaml")
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(UsageError, match=r"plan\.yaml: its folder cannot be written"):
        plan(folder, max_minutes=10)
    assert tried == []
