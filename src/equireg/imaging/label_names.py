"""What labelme writes beside a mask ``label.png``: the names of its values, which are other ones in each picture."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from equireg.config.yaml_files import read_yaml
from equireg.errors import EquiregError

_MASK = "label.png"
_NAMES, _EARLIER, _KEY = "label_names.txt", "info.yaml", "label_names"
_BACKGROUND = "_background_"
_MOST_BYTES = 2**16


def names_file(mask: Path) -> Path | None:
    """Return the file with the names of a mask's values; None where there is none."""
    if mask.name != _MASK:
        return None
    return next((file for name in (_NAMES, _EARLIER) if (file := mask.with_name(name)).is_file()), None)


def read_label_names(mask: Path) -> dict[int, str]:
    """Return label value to name, without the background's; empty where nothing says them, or in another form.

    Raises:
        EquiregError: if the file with the names cannot be read.
    """
    file = names_file(mask)
    if file is None:
        return {}
    names = _listed(file)
    if len(names) < 2 or names[0] != _BACKGROUND or not all(name.isprintable() for name in names):
        return {}
    return {value: name for value, name in enumerate(names) if value and name}


def _listed(file: Path) -> list[str]:
    if file.name == _EARLIER:
        names: Any = None
        with suppress(EquiregError):  # it may be another program's
            names = read_yaml(file).get(_KEY)
        return [str(name).strip() for name in names] if isinstance(names, list) else []
    try:
        with file.open("rb") as opened:
            text = opened.read(_MOST_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise EquiregError(f"{file}: cannot be read ({error}). Save it as UTF-8 text, a name a line.") from error
    return [line.strip() for line in text.splitlines()]
