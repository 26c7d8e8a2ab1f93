"""Seeded damage: what a bad disk or a bad person makes of a file. Each function returns a damaged copy."""

import copy
import json
import re
from typing import Any

import numpy as np
import yaml

Rng = np.random.Generator

_NUMBERS = (0, 1, -1, 127, 255, 32767, -32768)
_FLOATS = (np.nan, np.inf, -np.inf, 1e-30, 1e30, 0, -1)
_WORDS = (b"0", b"-1", b"1e308", b"nan", b"99999999999999999999", b"", b"/etc/passwd", b"%d", b"\0", b"3 3 3", b"LIST")
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 3.5, 10**30, -(2**63), 1e308, "", "x", " ", "a/b", "../../x", "/etc/passwd"),
    *("\x1b[31mred", "line\nline", "=1+1", "n" * 300, [], {}, [[]], ["x"], [0, 0, 0], {"x": 1}, [None], {"0": "a"}),
)
_TEXTS = ("NaN", "Infinity", "1e999", "[" * 3000, '{"a":' * 3000, "'", '"', "\\ud800", "// x", ",", "nul")
_ALIASES = "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
_BOMBS = (
    f"a: &a [x, x, x, x, x, x, x, x, x]\n{_ALIASES}",
    "a: &a [*a]\n",
    "a: &a {b: *a}\n<<: *a\n",
    "!!python/object/apply:os.system ['true']\n",
    "x: " + "[" * 2000 + "]" * 2000 + "\n",
    "? [a, b]\n: c\n",
    "a: 1\na: 2\n",
    "\t- a\n",
    "x: 2001-99-99\n",
    "x: 0x" + "f" * 5000 + "\n",
)


def damaged_bytes(content: bytes, rng: Rng, *, head: int = 400) -> bytes:
    """Change bits, bytes and numbers, mostly among the first ``head`` bytes, or cut something out."""
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        near = min(len(changed), head)
        place = int(rng.integers(0, max(near if rng.random() < 0.8 else len(changed), 1)))
        way = int(rng.integers(0, 5))
        if way == 0:
            changed[place : place + 1] = bytes([int(rng.integers(0, 256))])
        elif way == 1:
            changed[place : place + 2] = np.array(rng.choice(_NUMBERS), dtype="<i2").tobytes()
        elif way == 2:
            changed[place : place + 4] = np.array(rng.choice(_FLOATS), dtype="<f4").tobytes()
        elif way == 3 and rng.random() < 0.3:
            del changed[place:]
        elif way == 4:
            del changed[place : place + int(rng.integers(1, 9))]
    return bytes(changed)


def flipped_bit(content: bytes, rng: Rng) -> bytes:
    """Flip one bit, anywhere."""
    changed = bytearray(content)
    changed[int(rng.integers(len(changed)))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def damaged_everywhere(content: bytes, rng: Rng) -> bytes:
    """Flip one bit, or change bytes with no place preferred."""
    return flipped_bit(content, rng) if rng.random() < 0.5 else damaged_bytes(content, rng, head=len(content))


def damaged_header(content: bytes, rng: Rng, *, head: int = 400) -> bytes:
    """Change words and lines of a header of text, or bytes of it."""
    if rng.random() < 0.5:
        return damaged_bytes(content, rng, head=head)
    lines = content[:head].split(b"\n")
    line = int(rng.integers(len(lines)))
    key, word = lines[line].split(b" ")[0], _WORDS[int(rng.integers(len(_WORDS)))]
    choices = (key + b" " + word, key + b" = " + word, lines[line] + b"\n" + lines[line], lines[line][:5], word)
    lines[line] = choices[int(rng.integers(len(choices)))]
    return b"\n".join(lines) + content[head:]


def damaged_values(content: Any, rng: Rng) -> Any:
    """Replace, remove, double or rename up to three of the values in lists and mappings."""
    changed = copy.deepcopy(content)
    for _ in range(int(rng.integers(1, 4))):
        holders = [node for node in _nodes(changed) if isinstance(node, dict | list) and node]
        if not holders:
            return _any(rng)
        holder = holders[int(rng.integers(len(holders)))]
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key, way = keys[int(rng.integers(len(keys)))], int(rng.integers(6))
        if way <= 2:
            holder[key] = _any(rng)
        elif way == 3:
            del holder[key]
        elif isinstance(holder, list):
            holder.append(holder[key])
        elif way == 4:
            holder[str(_any(rng))] = holder.pop(key)
        else:
            holder[key] = holder[keys[int(rng.integers(len(keys)))]]
    return changed if rng.random() < 0.95 else _any(rng)


def damaged_json(content: bytes, rng: Rng) -> bytes:
    """Damage a JSON file in its values, in its text or in its bytes."""
    way = rng.random()
    if way < 0.6:
        return json.dumps(damaged_values(json.loads(content), rng)).encode()
    if way < 0.8:
        return _in_text(content, rng)
    return damaged_bytes(content, rng, head=len(content))


def damaged_yaml(content: bytes, rng: Rng) -> bytes:
    """Damage a YAML file in its values, in its text or in its bytes, or put a bomb into it."""
    way = rng.random()
    if way < 0.5:
        return yaml.safe_dump(damaged_values(yaml.safe_load(content), rng)).encode()
    if way < 0.65:
        bomb = _BOMBS[int(rng.integers(len(_BOMBS)))].encode()
        return bomb + content if rng.random() < 0.5 else content + bomb
    if way < 0.8:
        return _in_text(content, rng)
    return damaged_bytes(content, rng, head=len(content))


def damaged_table(content: bytes, rng: Rng) -> bytes:
    """Damage a CSV file in its cells or in its bytes."""
    if rng.random() < 0.3:
        return damaged_bytes(content, rng, head=len(content))
    lines = content.split(b"\n")
    line = int(rng.integers(len(lines)))
    cells = lines[line].split(b",")
    cells[int(rng.integers(len(cells)))] = str(_any(rng)).encode()
    lines[line] = b",".join(cells[: int(rng.integers(1, len(cells) + 2))])
    return b"\n".join(lines)


def _any(rng: Rng) -> Any:
    return copy.deepcopy(_VALUES[int(rng.integers(len(_VALUES)))])


def _nodes(content: Any) -> list[Any]:
    found = [content]
    for node in found:
        found += node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
    return found


def _in_text(content: bytes, rng: Rng) -> bytes:
    """Put an odd text in the place of a word."""
    words = list(re.finditer(rb"[\w.+-]+", content))
    word = words[int(rng.integers(len(words)))]
    return content[: word.start()] + _TEXTS[int(rng.integers(len(_TEXTS)))].encode() + content[word.end() :]
