"""Plain values read strictly."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from equireg.folders.schema import SchemaError, strict


@dataclass(frozen=True)
class Made:
    name: str
    size: tuple[int, float]
    kind: Literal["a", "b"] = "a"
    counts: Mapping[str, int] = field(default_factory=dict)
    parent: "Made | None" = None


def test_a_record_there() -> None:
    content = {"name": "x", "size": [1, 2], "kind": "b", "counts": {"k": 3}, "parent": {"name": "y", "size": [0, 0.5]}}
    made = strict(Made, content, "made")
    assert made == Made("x", (1, 2.0), "b", {"k": 3}, Made("y", (0, 0.5)))
    assert type(made.size[1]) is float


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": 3}, r"made.name is 3; expected text"),
        ({"size": [1.0, 2]}, r"made.size\[0\] is 1.0; expected a whole number"),
        ({"size": [True, 2]}, r"made.size\[0\] is True"),
        ({"size": [1, float("nan")]}, r"made.size\[1\] is nan; expected a number"),
        ({"size": [10**30, 2]}, r"made.size\[0\] is 10+; expected a whole number"),
        ({"size": [1]}, r"made.size is \[1\]; expected a list of 2"),
        ({"kind": "c"}, r"made.kind is 'c'; expected one of a, b"),
        ({"counts": []}, r"made.counts is \[\]; expected a mapping"),
        ({"counts": {"k": "v"}}, r"made.counts.k is 'v'"),
        ({"parent": 3}, r"made.parent is 3"),
        ({"colour": 3}, r"made has the unknown keys \['colour'\]"),
    ],
)
def test_another_kind_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(SchemaError, match=words):
        strict(Made, {"name": "x", "size": [1, 2], **change}, "made")


def test_a_missing_key_is_refused() -> None:
    with pytest.raises(SchemaError, match=r"made lacks \['size'\]"):
        strict(Made, {"name": "x"}, "made")


def test_an_unknown_key_of_any_length_is_one_short_line() -> None:
    with pytest.raises(SchemaError, match="made has the unknown keys") as caught:
        strict(Made, {"name": "x", "size": [1, 2], "[" * 3000: 3}, "made")
    assert len(str(caught.value)) < 120
