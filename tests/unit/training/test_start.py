"""A training begins without libraries that its first step does not use: they would cost seconds."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import equireg

SOURCE = Path(equireg.__file__).parents[1]
BEGUN_WITH = (
    "equireg.cli",
    "equireg.pipeline.train",
    "equireg.training.train",
    "equireg.methods.equireg",
    "equireg.methods.supervised",
    "equireg.networks.unet",
)
"""What a run with the default network imports before its first step."""
SPARED = ("monai", "nibabel", "pandas", "matplotlib", "SimpleITK", "tensorboard", "torchmetrics")
OF_SCIPY = ("scipy.ndimage", "scipy.stats", "scipy.optimize", "scipy.signal")


def imports(module: str) -> Iterator[str]:
    """Yield what the file of a module imports when it is imported itself, by name, with all outer packages."""
    found = SOURCE.joinpath(*module.split("."))
    path = found / "__init__.py" if found.is_dir() else found.with_suffix(".py")
    waiting: list[ast.AST] = list(ast.parse(path.read_text(encoding="utf-8")).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            later = isinstance(node, ast.FunctionDef) or (
                isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
            )
            waiting += [] if later else ast.iter_child_nodes(node)
            continue
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[:count]) for count in range(1, len(parts) + 1))


@cache
def is_ours(name: str) -> bool:
    place = SOURCE.joinpath(*name.split("."))
    return name.startswith("equireg") and (place.is_dir() or place.with_suffix(".py").is_file())


def imported_by(*modules: str) -> dict[str, str]:
    """Return all that modules import, one after the other, and which file of ours imports it."""
    seen, waiting = dict.fromkeys(modules, "the test"), list(modules)
    while waiting:
        module = waiting.pop()
        for name in imports(module):
            if name not in seen:
                seen[name] = module
                if is_ours(name):
                    waiting.append(name)
    return seen


def test_no_file_on_the_way_to_the_first_step_imports_what_it_does_not_use() -> None:
    seen = imported_by(*BEGUN_WITH)
    assert {"torch", "lightning", "scipy", "equireg.model", "equireg.losses"} <= seen.keys()
    assert {name: seen[name] for name in (*SPARED, *OF_SCIPY) if name in seen} == {}
    assert "matplotlib" in imported_by("equireg.reporting.build")  # the check itself can fail


@pytest.mark.slow
def test_lightning_brings_none_of_them_either() -> None:
    code = (
        "import sys\nfrom equireg.processes.importing import importing_lightning\n"
        "from equireg.processes.memory import own_process\nown_process()\n"
        f"with importing_lightning():\n    import {', '.join(BEGUN_WITH)}\n"
        f"print(sorted(set({('monai', 'nibabel', 'pandas', 'tensorboard', *OF_SCIPY)}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
