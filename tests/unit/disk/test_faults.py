"""Errors of reading and of writing are told apart, and each has its remedy."""

import errno
from pathlib import Path

import pytest

from equireg import disk
from equireg.errors import EquiregError


@pytest.mark.parametrize(
    ("code", "finding"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "writing is not permitted"),
        (errno.EPERM, "writing is not permitted"),
        (errno.ENOTDIR, "a part of the path is a file"),
    ],
)
def test_disk_errors_name_file_finding_and_remedy(code: int, finding: str) -> None:
    with pytest.raises(disk.DiskError) as caught, disk.disk_errors("out"):
        raise OSError(code, "reason", "out/file")
    message = str(caught.value)
    assert message.startswith("out/file: ")
    assert finding in message
    assert "choose another --out" in message.lower()


def test_disk_errors_name_the_target_of_a_copy() -> None:
    with pytest.raises(disk.DiskError, match=r"^out/file: "), disk.disk_errors("out"):
        raise OSError(errno.ENOSPC, "reason", "/tmp/source", None, "out/file")


def test_disk_errors_let_others_through() -> None:
    with pytest.raises(OSError, match="reason"), disk.disk_errors("out"):
        raise OSError(errno.EBUSY, "reason", "out/file")


@pytest.mark.parametrize(
    ("code", "finding"), [(errno.ENOENT, "no such file or folder"), (errno.EACCES, "reading is not permitted")]
)
def test_an_input_that_cannot_be_read_is_no_error_of_the_output(tmp_path: Path, code: int, finding: str) -> None:
    scan = tmp_path / "in" / "scan.nii.gz"
    with pytest.raises(EquiregError) as caught, disk.disk_errors(tmp_path / "out"):
        raise OSError(code, "reason", str(scan))
    assert str(caught.value).startswith(f"{scan}: {finding}")
    assert "--out" not in str(caught.value)
    assert not isinstance(caught.value, disk.DiskError)  # one bad file never ends the others


@pytest.mark.parametrize("name", ["out", "out/deep/file", ".out.partial-7/file", "."])
def test_what_belongs_to_the_output_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(disk.DiskError, match="writing is not permitted"), disk.disk_errors(tmp_path / "out"):
        raise OSError(errno.EACCES, "reason", str(tmp_path / name))


@pytest.mark.parametrize(
    ("code", "remedy"),
    [(errno.EMFILE, "ulimit -n"), (errno.ENFILE, "limit"), (errno.ENOMEM, "memory"), (errno.EIO, "Check the disk")],
)
def test_limits_of_the_machine_have_a_remedy(code: int, remedy: str) -> None:
    with pytest.raises(disk.DiskError, match=remedy), disk.disk_errors("out"):
        raise OSError(code, "reason", "in/file")


def test_read_errors_end_the_verb_only_where_every_file_would_fail() -> None:
    with pytest.raises(disk.DiskError, match="too many files open"), disk.read_errors("in/file"):
        raise OSError(errno.EMFILE, "reason")
    with pytest.raises(EquiregError, match="in/file: no such file") as caught, disk.read_errors("in/file"):
        raise OSError(errno.ENOENT, "reason")
    assert not isinstance(caught.value, disk.DiskError)
