"""MetaImage and NRRD files: checked before ITK sees them, and read in a process that may die."""

import gzip
import os
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from equireg.errors import EquiregError
from equireg.imaging import itk_readers
from equireg.imaging.limits import Limits
from equireg.imaging.text_headers import with_voxels
from equireg.imaging.volume import read_geometry, read_image, read_label

VOXELS = (np.random.default_rng(0).normal(size=(7, 6, 5)) * 100).astype(np.int16)
META = "ObjectType = Image\nNDims = 3\nDimSize = {sizes}\nElementType = MET_SHORT\n{more}ElementDataFile = {data}\n"
NRRD = "NRRD0004\ntype: short\ndimension: 3\nsizes: {sizes}\nendian: little\nencoding: {encoding}\n{more}\n"

MICRONS = '"microns" '


def meta(sizes: str = "5 6 7", more: str = "", data: str = "LOCAL", content: bytes = VOXELS.tobytes()) -> bytes:
    return META.format(sizes=sizes, more=more, data=data).encode() + content


def nrrd(sizes: str = "5 6 7", more: str = "", encoding: str = "raw", content: bytes = VOXELS.tobytes()) -> bytes:
    return NRRD.format(sizes=sizes, more=more, encoding=encoding).encode() + content


def saved(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def refusal(path: Path, limits: Limits | None = None) -> str:
    with pytest.raises(EquiregError) as caught:
        read_image([path], limits=limits or Limits())
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.mha", meta()), ("a.nrrd", nrrd()), ("A.MHA", meta()), ("a.mhd", meta()), ("a.nhdr", nrrd())],
)
def test_voxels_come_whole(tmp_path, monkeypatch, name, content):
    monkeypatch.setattr("equireg.imaging.header._SLAB_BYTES", 200)
    image, _ = read_image([saved(tmp_path / name, content)])
    np.testing.assert_array_equal(image[0], VOXELS.T)


@pytest.mark.parametrize("ending", ["mha", "nrrd"])
def test_label_ids_are_exact(tmp_path, ending):
    ids = np.array([0, 614454276, 614454277], dtype=np.uint32).reshape(3, 1, 1)
    path = tmp_path / f"a.{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(ids), str(path))
    assert read_label(path, read_geometry(path)[0]).ravel().tolist() == ids.ravel().tolist()


@pytest.mark.parametrize("ending", ["mha", "nrrd"])
def test_a_damaged_packed_file_is_refused(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(path), useCompression=True)
    content = bytearray(path.read_bytes())
    for place in (-100, -20, -2):
        changed = bytearray(content)
        changed[place] ^= 4
        assert "cannot be read as an image" in refusal(saved(path, bytes(changed)))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    "size", ["", "CompressedDataSize = {}\n", "CompressedDataSize = 0\n", "CompressedDataSize = 40\n"]
)
@pytest.mark.parametrize("data", ["LOCAL", "v.zraw"])
@pytest.mark.parametrize("members", [0, 2])
def test_a_packed_meta_image_is_read_whole_whatever_its_stated_size(tmp_path, monkeypatch, order, size, data, members):
    monkeypatch.setattr("equireg.imaging.header._SLAB_BYTES", 200)
    raw = VOXELS.astype(f"{order}i2").tobytes()
    packed = gzip.compress(raw[:100]) + gzip.compress(raw[100:]) if members else zlib.compress(raw)
    more = f"BinaryDataByteOrderMSB = {order == '>'}\nCompressedData = True\n" + size.format(len(packed))
    (tmp_path / "v.zraw").write_bytes(packed)
    path = saved(tmp_path / "a.mha", meta(more=more, data=data, content=packed if data == "LOCAL" else b""))
    np.testing.assert_array_equal(read_image([path])[0][0], VOXELS.T)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.mha", meta("30000 30000 30000")),
        ("a.mha", meta("5 6 8")),
        ("a.mha", meta("5 6 8", "CompressedData = True\n", content=zlib.compress(VOXELS.tobytes()))),
        ("a.nrrd", nrrd("3000 3000 30")),
        ("a.nrrd", nrrd("30000 30000 100", encoding="gzip")),
        ("a.nrrd", nrrd("3000 3000 30", encoding="ascii")),
    ],
)
def test_a_header_that_claims_more_than_the_file_holds(tmp_path, monkeypatch, name, content):
    monkeypatch.setattr(itk_readers, "Reader", None)  # ITK is not asked at all
    assert "cut short" in refusal(saved(tmp_path / name, content)) or "at most" in refusal(tmp_path / name)


@pytest.mark.parametrize(
    "place", ["/etc/passwd", "../secret.raw", "sub/v.raw", "LIST", "v%d.raw 1 2 1", "link.raw", ".hidden", "LIST 2"]
)
@pytest.mark.parametrize("ending", ["mha", "nrrd"])
def test_voxels_in_another_file_must_lie_beside_the_header(tmp_path, monkeypatch, ending, place):
    monkeypatch.setattr(itk_readers, "Reader", None)
    folder = tmp_path / "raw"
    (folder / "sub").mkdir(parents=True)
    for file in (tmp_path / "secret.raw", folder / "sub" / "v.raw", folder / "v1.raw", folder / ".hidden"):
        file.write_bytes(VOXELS.tobytes())
    (folder / "link.raw").symlink_to(tmp_path / "secret.raw")
    content = meta(data=place, content=b"") if ending == "mha" else nrrd(more=f"data file: {place}\n", content=b"")
    assert "in the same folder" in refusal(saved(folder / f"a.{ending}", content))


@pytest.mark.parametrize("ending", ["mha", "nrrd"])
def test_voxels_beside_the_header_are_read(tmp_path, ending):
    (tmp_path / "v.raw").write_bytes(VOXELS.tobytes())
    content = meta(data="v.raw", content=b"") if ending == "mha" else nrrd(more="data file: v.raw\n", content=b"")
    image, _ = read_image([saved(tmp_path / f"a.{ending}", content)])
    np.testing.assert_array_equal(image[0], VOXELS.T)


@pytest.mark.parametrize(
    ("content", "unit"),
    [
        (nrrd(more=f"space: LPS\nspace directions: (2,0,0) (0,1,0) (0,0,1)\nspace units: {3 * MICRONS}\n"), "micro"),
        (nrrd(more='spacings: 2 1 1\nunits: "\u00b5m" "\u00b5m" "\u00b5m"\n'), "micro"),
        (nrrd(more='spacings: 2 1 1\nunits: "cm" "cm" "cm"\n'), "centi"),
        (nrrd(more='spacings: 2 1 1\nunits: "mm" "mm" "s"\n'), None),
        (meta(more="DistanceUnits = um\nElementSpacing = 2 1 1\n"), "micro"),
        (meta(more="DistanceUnits = mm\nElementSpacing = 2 1 1\n"), None),
    ],
)
def test_units_that_other_readers_pass_over_are_told(tmp_path, caplog, content, unit):
    path = saved(tmp_path / ("a.mha" if content.startswith(b"Object") else "a.nrrd"), content)
    assert read_geometry(path)[0].spacing_mm == (2.0, 1.0, 1.0)
    assert (f"lengths in {unit}metres, but they count as mm" in caplog.text) == (unit is not None)
    assert unit is not None or not caplog.text


@pytest.mark.parametrize("kinds", ["", "kinds: domain domain domain time\n", "kinds: ??? ??? ??? ???\n"])
def test_channels_that_a_nrrd_header_does_not_call_a_list_are_refused_with_a_remedy(tmp_path, kinds):
    more = "space: LPS\nspace directions: (1, 0, 0) (0,1,0) (0,0,1) none\n{}"
    content = nrrd("5 6 7 1", more.format(kinds)).replace(b"dimension: 3", b"dimension: 4")
    assert "Write `kinds: domain domain domain list`" in refusal(saved(tmp_path / "a.nrrd", content))
    mended = nrrd("5 6 7 1", more.format("kinds: domain domain domain list\n")).replace(b"sion: 3", b"sion: 4")
    np.testing.assert_array_equal(read_image([saved(tmp_path / "b.nrrd", mended)])[0][0], VOXELS.T)


def test_the_voxels_beside_a_header_are_among_its_files(tmp_path):
    data = saved(tmp_path / "v.raw", VOXELS.tobytes())
    detached = saved(tmp_path / "a.mhd", meta(data="v.raw", content=b""))
    whole, damaged = saved(tmp_path / "b.mha", meta()), saved(tmp_path / "c.nhdr", b"NRRD")
    assert list(with_voxels([detached, whole, damaged])) == [detached, data, whole, damaged]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.mha", meta(more="DimSize = 9 9 9\n")),
        ("a.mha", meta(more="ElementSpacing = 1 1\n")),
        ("a.mha", meta(more="nothing\n")),
        ("a.mha", meta(more="ElementDataFile: v.raw\n")),
        ("a.mha", meta(more="Comment = " + "a" * 5000 + "\n")),
        ("a.mha", meta(sizes="5 6")),
        ("a.mha", meta(sizes="-5 -6 7")),
        ("a.mha", meta(more="HeaderSize = 3\n")),
        ("a.nrrd", nrrd(more="sizes: 9 9 9\n")),
        ("a.nrrd", nrrd(more=" data file: v.raw\n")),
        ("a.nrrd", nrrd(more="byte skip: 4\n")),
        ("a.nrrd", nrrd(more="byte skip: -1\n", encoding="gzip")),
        ("a.nrrd", nrrd(more="line skip: 1\n")),
        ("a.nrrd", nrrd(sizes="5 6 x")),
        ("a.nrrd", b"NRRD0004\n" + b"# hello\n" * 100_000),
        ("a.mha", b""),
        ("a.nrrd", b"\0" * 1000),
    ],
)
def test_a_header_that_can_be_read_in_two_ways_is_refused(tmp_path, monkeypatch, name, content):
    monkeypatch.setattr(itk_readers, "Reader", None)
    assert "cannot be read as an image" in refusal(saved(tmp_path / name, content))


@pytest.mark.parametrize(
    ("name", "content", "before"),
    [
        ("a.nhdr", nrrd(more="byte skip: 100\ndata file: v.raw\n", content=b""), 100),
        ("a.nhdr", nrrd(more="byte skip: -1\nline skip: 0\ndata file: v.raw\n", content=b""), 100),
        ("a.nhdr", nrrd(more="byteskip: 0\ndata file: v.raw\n", content=b""), 0),
        ("a.nrrd", nrrd(more="byte skip: -1\n"), 0),
        ("a.mhd", meta(more="HeaderSize = 100\n", data="v.raw\n", content=b""), 100),
        ("a.mhd", meta(more="HeaderSize = -1\n", data="v.raw\n", content=b""), 100),
    ],
)
def test_bytes_before_the_voxels_are_skipped(tmp_path, name, content, before):
    saved(tmp_path / "v.raw", b"H" * before + VOXELS.tobytes())
    path = saved(tmp_path / name, content)
    np.testing.assert_array_equal(read_image([path])[0][0], VOXELS.T)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.nhdr", nrrd(more="byte skip: 100\ndata file: v.raw\n", content=b"")),
        ("a.mhd", meta(more="HeaderSize = 100\n", data="v.raw\n", content=b"")),
    ],
)
def test_skipped_bytes_are_no_voxels(tmp_path, name, content):
    saved(tmp_path / "v.raw", b"H" * 99 + VOXELS.tobytes())
    assert "cut short" in refusal(saved(tmp_path / name, content))


def test_notes_of_other_programs_are_no_fault(tmp_path):
    path = saved(tmp_path / "a.mha", meta(more="dim[0] = 3\n0010|0010 = Name of the patient\nITK_note = \n"))
    assert read_image([path])[0].shape == (1, 5, 6, 7)
    more = "# made by hand\nSegment0_Name:=liver\nSegment0_Color:=1 0 0: red\ndata file note:=x: y\n"
    assert read_image([saved(tmp_path / "a.nrrd", nrrd(more=more))])[0].shape == (1, 5, 6, 7)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("import os; os.abort()", "its reader crashed (signal 6)"),
        ("import sys; sys.exit(3)", "its reader crashed (exit code 3)"),
        ("import time; time.sleep(60)", "it takes too long to read"),
    ],
)
def test_a_reader_that_dies_or_hangs_costs_its_file_alone(tmp_path, monkeypatch, script, words):
    itk_readers.end_readers()
    path = saved(tmp_path / "a.mha", meta())
    (tmp_path / "script.py").write_text(script)
    with monkeypatch.context() as patch:
        patch.setattr(itk_readers, "_SCRIPT", tmp_path / "script.py")
        patch.setattr(itk_readers, "_START_S", 0.5)
        assert words in refusal(path, Limits(seconds=0.1))
    assert read_image([path])[0].shape == (1, 5, 6, 7)


def test_a_reader_serves_many_files_and_memory_is_bounded(tmp_path):
    itk_readers.end_readers()
    path = saved(tmp_path / "a.mha", meta())
    read_image([path])
    (reader,) = itk_readers._idle
    for _ in range(3):
        read_image([path])
        read_geometry(path)
    assert itk_readers._idle == [reader]
    limit = Path(f"/proc/{reader._process.pid}/limits").read_text()
    line = next(line for line in limit.splitlines() if line.startswith("Max address space"))
    assert int(line.split()[3]) < 4 * 2**30
    itk_readers.end_readers()
    assert reader._process.poll() is not None


def test_readers_are_not_shared_with_a_forked_process(tmp_path):
    path = saved(tmp_path / "a.mha", meta())
    expected, _ = read_image([path])
    child = os.fork()
    if child == 0:  # pragma: no cover
        same = np.array_equal(read_image([path])[0], expected)
        itk_readers.end_readers()
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
    np.testing.assert_array_equal(read_image([path])[0], expected)


def test_a_daemon_process_may_read(tmp_path):
    path = saved(tmp_path / "a.mha", meta())
    script = (
        "import multiprocessing, sys\n"
        "from equireg.imaging.volume import read_image\n"
        "if __name__ == '__main__':\n"
        "    make = multiprocessing.get_context('spawn').Process\n"
        "    one = make(target=read_image, args=([sys.argv[1]],), daemon=True)\n"
        "    one.start(); one.join(); sys.exit(one.exitcode)\n"
    )
    (tmp_path / "main.py").write_text(script)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, str(tmp_path / "main.py"), str(path)]
    done = subprocess.run(command, check=False, timeout=120, env=environment)
    assert done.returncode == 0
