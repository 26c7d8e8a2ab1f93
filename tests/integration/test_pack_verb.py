"""`equireg pack`: one file that predicts what its run predicts, and what becomes of a file that is not whole."""

import json
import shutil
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import equireg as package
from equireg.errors import EquiregError
from equireg.folders.packed import read_packed
from equireg.serving.rounds import Rounds
from equireg.warm_start.reading import read_source
from planted_names import found_in

Command = Callable[..., Any]
FAST: dict[str, Any] = {"test_time": "none", "device": "cpu", "precision": "32", "split": "test"}


@pytest.fixture(scope="module")
def packed(phantom_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return package.pack(phantom_run, tmp_path_factory.mktemp("packed") / "model.zip", licence="CC0 | none")


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewritten(path: Path, files: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def with_sums(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return the files with a list of digests that fits them, as somebody would who means harm."""
    rest = {name: content for name, content in files.items() if name != "SHA256SUMS"}
    lines = "".join(f"{sha256(content).hexdigest()}  {name}\n" for name, content in rest.items())
    return {**rest, "SHA256SUMS": lines.encode()}


def test_the_file_predicts_as_the_run_does(
    equireg: Command, packed: Path, phantom_run: Path, phantom_prepared: Path, phantom_predictions: Path, tmp_path: Path
) -> None:
    words = [word for name, value in FAST.items() for word in (f"--{name}", value)]
    assert equireg("predict", packed, phantom_prepared, "--out", tmp_path / "q", *words).code == 0
    masks = sorted(path.name for path in phantom_predictions.glob("*.nii.gz"))
    assert masks
    for name in masks:
        assert (tmp_path / "q" / name).read_bytes() == (phantom_predictions / name).read_bytes()
    ours, theirs = (json.loads((f / "made_by.json").read_text())["run"] for f in (tmp_path / "q", phantom_predictions))
    assert ours == theirs  # an evaluation does not tell which of the two predicted
    evaluation = tmp_path / "e"
    assert equireg("evaluate", tmp_path / "q", phantom_prepared, "--out", evaluation).code == 0
    again = package.pack(packed, tmp_path / "scored.zip", evaluations=(str(evaluation),))
    card = contents(again)["README.md"].decode()
    assert "Evaluated on 1 cases of the split test" in card
    assert package.load(packed, device="cpu").labels == package.load(phantom_run, device="cpu").labels


def test_the_same_run_gives_the_same_bytes_without_names(
    packed: Path, phantom_run: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    again = package.pack(phantom_run, tmp_path / "other.zip", licence="CC0 | none")
    assert again.read_bytes() == packed.read_bytes()
    torch.set_default_dtype(torch.float64)
    try:
        in_64_bits = package.pack(phantom_run, tmp_path / "in_64_bits.zip", licence="CC0 | none")
    finally:
        torch.set_default_dtype(torch.float32)
    assert in_64_bits.read_bytes() == packed.read_bytes()
    names = [case["name"] for case in json.loads((phantom_prepared / "manifest.json").read_text())["cases"]]
    assert found_in(tmp_path, (*names, str(phantom_run.parent), "prepared/", "pickle")) == []
    files = contents(packed)
    assert sorted(files) == ["README.md", "SHA256SUMS", "model.json", "weights/1.safetensors"]
    card = files["README.md"].decode()
    assert "CC0 / none" in card
    assert "| scans with a mask | 2 |" in card
    assert "| dice |" in card


def test_an_ensemble_is_one_file(phantom_run: Path, tmp_path: Path) -> None:
    second = Path(shutil.copytree(phantom_run, tmp_path / "second"))
    (second / "checkpoints" / "best.ckpt").unlink()
    made = package.ensemble([phantom_run, second], tmp_path / "pair")
    file = package.pack(made, tmp_path / "pair.zip")
    assert [member.name for member in read_packed(file).members] == ["run", "second"]
    array = np.random.default_rng(0).normal(100, 20, (4, 32, 32, 16)).astype(np.float32)
    ours, theirs = (
        package.load(path, device="cpu", precision="32", test_time="none").predict(array, np.diag([6.0, 6.0, 8.0, 1.0]))
        for path in (file, made)
    )
    np.testing.assert_array_equal(ours.probabilities, theirs.probabilities)
    assert ours.quality == theirs.quality
    with pytest.raises(EquiregError, match="a run starts from the weights of one"):
        read_source(file)
    with pytest.raises(EquiregError, match="is a packed model; an ensemble's folder is made of runs"):
        package.ensemble([file], tmp_path / "more")
    assert Rounds(file).newest_network() is None


def test_what_starts_from_a_run_starts_from_the_file(packed: Path, phantom_run: Path) -> None:
    ours, run = read_source(packed), read_source(phantom_run)
    assert (ours.digest, ours.step, ours.network) == (run.digest, run.step, run.network)
    assert all(bool((run.weights[name] == value).all()) for name, value in ours.weights.items())
    rounds = Rounds(packed)
    assert (rounds.newest(), rounds.newest_network(), rounds.name) == (packed, packed, "model")
    assert rounds.next_folder() == packed.resolve().parent / "model_2"


def damaged(files: dict[str, bytes], name: str, content: bytes | None) -> dict[str, bytes]:
    changed = {**files, name: content or b""}
    return changed if content is not None else {key: value for key, value in changed.items() if key != name}


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda files: damaged(files, "weights/1.safetensors", files["weights/1.safetensors"][:-1] + b"x"), "another"),
        (lambda files: damaged(files, "README.md", b"buy this"), "README.md is damaged or was changed"),
        (lambda files: damaged(files, "weights/1.safetensors", None), "lacks weights/1.safetensors"),
        (lambda files: damaged(files, "README.md", None), "lacks README.md"),
        (lambda files: with_sums(damaged(files, "weights/1.safetensors", None)), "its weights are others"),
        (lambda files: with_sums(damaged(files, "../out.txt", b"x")), "'../out.txt', which is no part"),
        (lambda files: with_sums(damaged(files, "/etc/x", b"x")), "'/etc/x', which is no part"),
        (lambda files: with_sums(damaged(files, "code.py", b"x")), "'code.py', which is no part"),
        (lambda files: damaged(files, "weights/2.safetensors", b"x"), "has no digest of weights/2"),
        (lambda files: damaged(files, "SHA256SUMS", b"nothing\n"), "SHA256SUMS is damaged"),
        (lambda files: with_sums(damaged(files, "model.json", b"{}")), "has format version None"),
        (lambda files: with_sums(damaged(files, "model.json", b"{")), "model.json is not valid JSON"),
        (lambda files: {"photo.png": b"x"}, "is a zip file of another kind"),
        (lambda files: with_sums(damaged(files, "weights/1.safetensors", b"\xff" * 64)), "its header claims"),
    ],
)
def test_a_file_that_is_not_whole_is_refused_in_one_line(
    equireg: Command, packed: Path, phantom_raw: Path, tmp_path: Path, change: Any, finding: str
) -> None:
    path = rewritten(tmp_path / "model.zip", change(contents(packed)))
    outcome = equireg("predict", path, phantom_raw, "--out", tmp_path / "q")
    assert (outcome.code, (tmp_path / "q").exists()) == (1, False)
    assert outcome.error.startswith(f"error: {path}: ")
    assert finding in outcome.error
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_file_that_is_no_such_zip_is_refused(
    equireg: Command, packed: Path, phantom_raw: Path, tmp_path: Path
) -> None:
    bomb = rewritten(tmp_path / "bomb.zip", {**contents(packed), "README.md": bytes(2**20)}, zipfile.ZIP_DEFLATED)
    cut = tmp_path / "cut.zip"
    cut.write_bytes(packed.read_bytes()[:-100])
    text = tmp_path / "text.zip"
    text.write_text("hello")
    for path, finding in ((bomb, "is compressed or encrypted"), (cut, "cut short"), (text, "cut short")):
        outcome = equireg("predict", path, phantom_raw, "--out", tmp_path / "q")
        assert outcome.code == 1
        assert finding in outcome.error
    assert "is a packed model, whose checkpoints were chosen" in (
        equireg("predict", packed, phantom_raw, "--out", tmp_path / "q", "--checkpoint", "last").error
    )


def test_what_cannot_be_packed_is_refused(
    equireg: Command, packed: Path, phantom_run: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    assert "exists already" in equireg("pack", phantom_run, "--out", packed).error
    assert "expected a name that ends in .zip" in equireg("pack", phantom_run, "--out", tmp_path / "model").error
    assert "was made by `equireg prepare`" in equireg("pack", phantom_prepared, "--out", tmp_path / "m.zip").error
    assert equireg("pack", phantom_run, "--out", tmp_path / "m.zip", "--licence", "a\nb").code == 2
    assert list(tmp_path.iterdir()) == []


def test_an_evaluation_of_another_model_is_refused(
    equireg: Command, phantom_run: Path, phantom_predictions: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    evaluation = tmp_path / "e"
    assert equireg("evaluate", phantom_predictions, phantom_prepared, "--out", evaluation).code == 0
    last = package.pack(phantom_run, tmp_path / "last.zip", checkpoint="last")
    assert read_packed(last).members[0].step == 4
    outcome = equireg("pack", last, "--out", tmp_path / "m.zip", "--evaluations", evaluation)
    best = read_packed(package.pack(phantom_run, tmp_path / "best.zip")).members[0]
    if best.digest == read_packed(last).members[0].digest:
        pytest.skip("the best checkpoint is the last")
    assert "is an evaluation of another model's predictions" in outcome.error


def test_weights_are_read_by_their_layout() -> None:
    from equireg.folders.schema import SchemaError
    from equireg.folders.tensors import from_bytes, to_bytes

    arrays = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.array(7), "c": np.zeros((0, 2), np.uint8)}
    content = to_bytes(arrays)
    assert content == to_bytes(dict(reversed(arrays.items())))
    for name, array in from_bytes(content).items():
        assert array.dtype == arrays[name].dtype
        np.testing.assert_array_equal(array, arrays[name])
    with pytest.raises(ValueError, match="complex"):
        to_bytes({"a": np.zeros(2, complex)})
    header = json.dumps({"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 8]}}).encode()
    for broken in (content[:-1], content[:20], b"", len(header).to_bytes(8, "little") + header + bytes(8)):
        with pytest.raises(SchemaError):
            from_bytes(broken)
