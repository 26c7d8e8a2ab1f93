"""Which folders of a data set its names hold out, for tests or validation."""

from collections.abc import Iterable
from pathlib import Path

from equireg.layouts.files import folders_with_images, once, up_to
from equireg.layouts.folder_words import (
    HELD_OUT_PARTS,
    HELD_OUT_SET,
    HELD_OUT_WORDS,
    TRAINING_WORDS,
    WORD,
    says_training,
    says_unlabelled,
    scan_part,
    words_of,
)


def is_held_out(folder: Path, root: Path) -> bool:
    """Whether a folder, or one above it and below the root, is called test or validation.

    A folder whose name has such a word (``test``, ``TestData``, ``dataset-02validation``) counts only beside one whose
    name has a word for training.
    """
    return once(f"held out below {root}", folder, lambda: any(map(_says_held_out, up_to(root, folder))))


def _says_held_out(folder: Path) -> bool:
    name = folder.name
    if scan_part(name) in HELD_OUT_PARTS:
        return True
    words = words_of(name)
    if not words & HELD_OUT_WORDS and not HELD_OUT_SET.fullmatch(name):
        return False
    return not words & TRAINING_WORDS and (says_unlabelled(name) or _holds_training(folder.parent))


def _holds_training(folder: Path) -> bool:
    """Whether one of the folders directly in a folder is called training, and holds images."""
    return once("training", folder, lambda: any(map(_is_training, folder.iterdir())))


def _is_training(folder: Path) -> bool:
    return says_training(folder.name) and folder.is_dir() and bool(folders_with_images(folder))


def told_of_sets(scans: Iterable[Path]) -> tuple[str, ...]:
    """Return a warning where names in one folder begin with a word for training and one for test: ``testA_1``."""
    training: dict[Path, Path] = {}
    held_out: dict[Path, Path] = {}
    for file in scans:
        first = WORD.match(file.name)
        for words, found in ((TRAINING_WORDS, training), (HELD_OUT_WORDS, held_out)):
            if first and first[0].lower() in words:
                found.setdefault(file.parent, file)
    both = next((folder for folder in training if folder in held_out), None)
    if both is None:
        return ()
    return (
        f"{both}: the names of some scans begin with a word for training, of others with one for test "
        f"({training[both].name}, {held_out[both].name}), and none is held out for it. To hold some out, move them "
        "with their masks to a folder test/ beside train/, or give --split FILE.json.",
    )
