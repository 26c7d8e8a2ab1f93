"""A damaged ``dataset.json`` is one clear error or is read right, whatever the damage; seeded, as each run the same."""

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from equireg.errors import EquiregError
from equireg.layouts import RawCase, discover, discover_inputs
from layout_folders import put

_PAIRS = [{"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in "ab"]
_LISTED = {name: {"images": [f"imagesTr/{name}_0000.nii.gz"], "label": f"labelsTr/{name}.nii.gz"} for name in "ab"}
_WHOLE: tuple[dict[str, Any], ...] = (
    {
        "modality": {"0": "T2"},
        "labels": {"0": "background", "1": "a"},
        "training": _PAIRS,
        "test": ["./imagesTs/z.nii"],
    },
    {"channel_names": {"0": "T2"}, "labels": {"background": 0, "a": 1, "b": [1, 2]}, "file_ending": ".nii.gz"},
    {"channel_names": {"0": "T2"}, "labels": {"background": 0, "a": 1}, "dataset": _LISTED},
)
_ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 2**70, 1e300, 0.5, "", " ", "../../etc", "/etc/hosts", "a\0b", "\udcff", "\x1b[31m\n"),
    *("é" * 300, "a/" * 3000, "9" * 5000, [], {}, [[]], [{}], {"": None}, {"a": {"b": [1]}}, {"-1": "x"}),
    *({"1e3": "x"}, {"0": "x", "00": "y"}, ["x"] * 500, [1, 2, 3], "imagesTr", "."),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield (*path, key)
        yield from places(value[key], (*path, key))


def damaged(content: dict[str, Any], rng: random.Random) -> bytes:
    content = json.loads(json.dumps(content))
    for _ in range(rng.randint(1, 3)):
        *path, key = rng.choice([*places(content)] or [("x",)])
        place: Any = content
        for step in path:
            place = place[step]
        if rng.random() < 0.7 or not isinstance(place, dict):
            place[key] = json.loads(json.dumps(rng.choice(_ODD)))
        else:
            place[rng.choice(["..", "/etc/x", "a/b", "", "ignore", "\x00", "é" * 200])] = place.pop(key, None)
    text = json.dumps(content)
    whole = text.encode()
    cut = rng.randrange(len(whole))
    kinds = [whole] * 6 + [whole[:cut], whole[:cut] + bytes([rng.randrange(256)]) + whole[cut + 1 :]]
    return rng.choice([*kinds, text.encode("utf-16"), text.replace("0", "NaN", 1).encode(), b"[" * 10_000])


@pytest.mark.parametrize("kind", range(len(_WHOLE)))
def test_a_damaged_dataset_json_is_an_error_that_names_it_or_is_read_right(tmp_path: Path, kind: int) -> None:
    number = "_0000" if kind else ""
    put(tmp_path, *(f"imagesTr/{name}{number}.nii.gz" for name in "ab"), *(f"labelsTr/{name}.nii.gz" for name in "ab"))
    rng = random.Random(kind)
    for _ in range(80):
        (tmp_path / "dataset.json").write_bytes(damaged(_WHOLE[kind], rng))
        for cases in (found(tmp_path), to_predict(tmp_path)):
            for case in cases:
                assert "/" not in case.name
                for file in case.files:
                    assert Path(os.path.realpath(file)).is_relative_to(tmp_path.resolve())


def found(root: Path) -> tuple[RawCase, ...]:
    try:
        return discover(root, follow_links=False).cases
    except EquiregError as error:
        message = str(error)
    assert message.startswith(str(root))
    assert len(message) < 2000
    return ()


def to_predict(root: Path) -> tuple[RawCase, ...]:
    try:
        return tuple(case for case in discover_inputs(root, ("T2",), follow_links=False) if case.problem is None)
    except EquiregError:
        return ()
