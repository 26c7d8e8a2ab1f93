"""Imports that look for no garbage, and leave out what nobody uses."""

import gc
import random
import subprocess
import sys
from collections.abc import Iterator

import pytest

from equireg.errors import UsageError
from equireg.processes import importing, memory

MODULE = "colorsys"
"""A small module that nothing here uses."""


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(memory, "_OURS", [True])
    monkeypatch.setattr(importing, "_UNUSED", {MODULE: ("hamming",)})
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    yield
    gc.unfreeze()
    gc.enable()


@pytest.mark.usefixtures("own")
def test_no_garbage_is_looked_for_and_what_was_imported_is_left_alone_later() -> None:
    before = gc.get_freeze_count()
    made = [[] for _ in range(2000)]  # as imports make, whatever tests ran before
    with importing.importing():
        assert not gc.isenabled()
        with importing.importing():  # an inner block leaves it to the outer one
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > before + 1000
    assert len(made) == 2000, "they are alive until they have been counted"


@pytest.mark.usefixtures("own")
def test_garbage_is_looked_for_again_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), importing.importing_lightning():
        _ = 1 / 0
    assert gc.isenabled()
    assert MODULE not in sys.modules


@pytest.mark.usefixtures("own")
def test_a_module_that_is_asked_for_a_known_name_alone_is_not_imported() -> None:
    with importing.importing_lightning():
        import colorsys

        assert hasattr(colorsys, "hamming")
        assert not hasattr(colorsys, "__file__")  # what those ask who look through all modules
        assert type(sys.modules[MODULE]) is importing._Later
    assert MODULE not in sys.modules
    import colorsys as real

    assert real.rgb_to_hsv(0, 0, 1) == colorsys.rgb_to_hsv(0, 0, 1)
    assert not hasattr(real, "hamming")


@pytest.mark.usefixtures("own")
def test_whoever_uses_it_gets_the_module_itself() -> None:
    with importing.importing_lightning():
        from colorsys import rgb_to_hsv

        assert type(sys.modules[MODULE]) is not importing._Later
    assert sys.modules[MODULE].rgb_to_hsv is rgb_to_hsv


@pytest.mark.usefixtures("own")
def test_a_module_that_is_there_stays() -> None:
    import colorsys

    with importing.importing_lightning():
        assert sys.modules[MODULE] is colorsys
    assert sys.modules[MODULE] is colorsys


def test_a_library_that_draws_random_numbers_at_its_import_leaves_the_state_as_it_was() -> None:
    before = random.getstate()
    with importing.importing_lightning():
        random.random()
    assert random.getstate() == before


def test_lightning_is_imported_without_a_change_of_random() -> None:
    script = (
        "import random\n"
        "from equireg.processes.importing import importing_lightning\n"
        "random.seed(1)\n"
        "before = random.getstate()\n"
        "with importing_lightning():\n"
        "    import equireg.training.train\n"
        "print(random.getstate() == before)\n"
    )
    said = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert said == "True\n"


def test_a_notebooks_process_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_OURS", [])
    monkeypatch.setattr(importing, "_UNUSED", {MODULE: ()})
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    with importing.importing_lightning():
        assert gc.isenabled()
        assert MODULE not in sys.modules


@pytest.mark.parametrize("given", ["x", ""])
def test_a_rank_that_is_no_number_is_named(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("RANK", "-1")
    with importing.importing_lightning():
        monkeypatch.setenv("LOCAL_RANK", given)
    with (
        pytest.raises(UsageError, match=rf"LOCAL_RANK is '{given}'; .*unset LOCAL_RANK"),
        importing.importing_lightning(),
    ):
        pass
