"""Scans that clients send."""

import io
from pathlib import Path

import pytest

from equireg.errors import EquiregError
from equireg.serving.uploads import Sent, Uploads


def test_nothing_stays_of_files_that_are_refused(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    with pytest.raises(EquiregError, match="not a known kind"):
        uploads.add_session([Sent("a.nii.gz", io.BytesIO(b"voxels")), Sent("b.exe", io.BytesIO(b"no image"))])
    assert list(tmp_path.iterdir()) == []
