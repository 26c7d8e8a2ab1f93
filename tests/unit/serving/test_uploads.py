"""Scans that clients send."""

import io
import time
from pathlib import Path

import pytest

from equireg.errors import EquiregError
from equireg.serving.uploads import Sent, Uploads


def test_nothing_stays_of_files_that_are_refused(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    with pytest.raises(EquiregError, match="not a known kind"):
        uploads.add_session([Sent("a.nii.gz", io.BytesIO(b"voxels")), Sent("b.exe", io.BytesIO(b"no image"))])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.raw", "A.ZRAW"])
def test_voxels_beside_a_header_are_refused_with_the_remedy(tmp_path: Path, name: str) -> None:
    with pytest.raises(EquiregError, match=r"not a known kind.*save the scan as one file, \.mha or \.nii\.gz"):
        Uploads(tmp_path).add_session([Sent("a.mhd", io.BytesIO(b"header")), Sent(name, io.BytesIO(b"voxels"))])


@pytest.mark.parametrize("data", ["a.raw", "LOCAL"])
def test_a_header_whose_voxels_were_not_sent_is_refused_with_the_remedy(tmp_path: Path, data: str) -> None:
    header = f"NDims = 2\nDimSize = 2 2\nElementType = MET_UCHAR\nElementDataFile = {data}\n".encode()
    uploads, sent = Uploads(tmp_path), Sent("a.mhd", io.BytesIO(header))
    if data == "LOCAL":
        assert uploads.find(uploads.add_session([sent])) is not None
        return
    with pytest.raises(EquiregError, match=r"'a\.mhd' is a header, and its voxels.*as one file, \.mha or \.nii\.gz"):
        uploads.add_session([sent])
    assert list(tmp_path.iterdir()) == []


def test_an_image_is_found_with_the_ending_that_it_was_sent_with_and_is_no_session(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    key = uploads.add_session([Sent("a.nii.gz", io.BytesIO(b"voxels"))])
    assert uploads.add_image("VOL.nii.GZ", Sent("a.nii.gz", io.BytesIO(b"voxels"))) == "VOL"
    image = uploads.find("VOL")
    assert image is not None
    assert uploads.find("VOL.nii.GZ") is image
    assert uploads.find_session("VOL") is None
    session = uploads.find_session(key)
    assert session is not None
    assert session.as_dict(key)["name"] == key


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    with pytest.raises(EquiregError, match=r"two files are called 'a\.nii\.gz'; expected a name a file"):
        uploads.add_session([Sent("a.nii.gz", io.BytesIO(b"one")), Sent("b/a.nii.gz", io.BytesIO(b"other"))])
    assert list(tmp_path.iterdir()) == []


def test_a_scan_that_is_replaced_can_be_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uploads = Uploads(tmp_path)
    found = []
    for content in (b"one", b"other"):
        uploads.add_image("a", Sent("a.nii.gz", io.BytesIO(content)))
        found.append(uploads.find("a"))
    assert [one.path.read_bytes() for one in found if one is not None] == [b"one", b"other"]
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 7200)
    assert uploads.find("a") is found[1]
    assert [path.read_bytes() for path in tmp_path.rglob("*.gz")] == [b"other"]
