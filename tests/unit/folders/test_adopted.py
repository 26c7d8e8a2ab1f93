"""The record of adopted masks."""

import unicodedata
from pathlib import Path

from equireg.folders.digests import digest_of
from equireg.folders.prepared.adopted import ADOPTED, Adoption, adopted_masks, write_history


def test_masks_of_earlier_versions_whose_names_have_letters_apart_are_found(tmp_path: Path) -> None:
    case, apart = (unicodedata.normalize(form, "Müller") for form in ("NFC", "NFD"))
    (tmp_path / ADOPTED).mkdir()
    path = tmp_path / ADOPTED / f"{apart}.nii.gz"
    path.write_bytes(b"a mask")
    write_history(tmp_path, {apart: [Adoption("a.nii.gz", "2026-01-01T00:00:00", digest_of(path))]})
    assert adopted_masks(tmp_path) == {case: path}
