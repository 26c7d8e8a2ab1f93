"""YAML files that nobody should have written: one line that names the file, soon and in little memory."""

from pathlib import Path

import numpy as np
import pytest

from equireg.config.yaml_files import read_yaml
from equireg.errors import EquiregError

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        (BOMB, "more than 100,000 values once its aliases are written out"),
        ("a: &a\n  b: *a\n", "alias that leads back to itself"),
        ("a: &a [*a]\n", "alias that leads back to itself"),
        ("a: " + "[" * 5000, "levels deep"),
        ("a: " + "{b: " * 300 + "1" + "}" * 300, "levels deep"),
        ("seed: 1\nmax_steps: 3\nseed: 2\n", "line 3: seed is given twice"),
        ("method: {name: equireg, name: bcp}\n", "line 1: name is given twice"),
        ("3: a\n", "3 (int) stands where an option's name was expected"),
        ("null: a\n", "None (NoneType)"),
        ("method:\n  2020-01-01: a\n", "(date)"),
        ("[a, b]: 3\n", "line 1: a key is no text"),
        ("a: 2020-13-45\n", "is not valid YAML"),
        ('a: !!int ""\n', "is not valid YAML"),
        ("a: !!bool perhaps\n", "is not valid YAML"),
        ("a: !!python/object/apply:os.system [ls]\n", "is not valid YAML"),
        ("a: !!timestamp x\n", "is not valid YAML"),
        ("a: b: c\n", "is not valid YAML"),
        ("a: 1\n---\nb: 2\n", "is not valid YAML"),
        ("a: \x00\n", "is not valid YAML"),
        ("a: " + "9" * 6000 + "\n", "is not valid YAML"),
        ("just text", "holds a str; expected options"),
        ("a: *nowhere", "is not valid YAML"),
        ("a: x\n" * 300_000, "larger than 1 MiB"),
    ],
)
def test_a_file_that_holds_no_options_is_named(tmp_path: Path, content: str, finding: str) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(content)
    with pytest.raises(EquiregError) as caught:
        read_yaml(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert finding in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_what_people_write_is_read(tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    path.write_text("\ufeffbase: &base {lr: 0.1}\noptimizer: {<<: *base, name: sgd}\ngrid: {seed: [1, 2]}\n", "utf-8")
    assert read_yaml(path) == {
        "base": {"lr": 0.1},
        "optimizer": {"lr": 0.1, "name": "sgd"},
        "grid": {"seed": [1, 2]},
    }


def test_bytes_of_any_kind_are_an_error_that_names_the_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    good = b"method: equireg\nmethod.teacher: self\nviews: {strong: {rotation_deg: 3.0}}\nseed: [1, &a 2, *a]\n"
    path = tmp_path / "garbage.yaml"
    messages: list[str] = []
    for _ in range(400):
        content = bytearray(good)
        for _ in range(int(rng.integers(1, 6))):
            content[int(rng.integers(len(content)))] = int(rng.integers(256))
        path.write_bytes(bytes(content))
        try:
            read_yaml(path)
        except EquiregError as error:
            messages.append(str(error))
    assert len(messages) > 100
    assert [message for message in messages if not message.startswith(f"{path}: ")] == []
