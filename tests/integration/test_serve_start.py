"""How `equireg serve` begins and ends: without a model, with a run alone, with a new loop."""

import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from equireg.config import ServeConfig
from equireg.serving import health
from label_client import Client


@pytest.fixture(autouse=True)
def extra() -> None:
    for package in ("fastapi", "uvicorn", "python_multipart"):
        pytest.importorskip(package, reason="the extra serve is not installed")


def test_a_server_without_a_model_and_a_folder_of_another_verb_are_refused(equireg, phantom_prepared: Path, tmp_path):
    nothing = equireg("serve", tmp_path / "nothing")
    assert nothing.code == 1
    assert "there is no model" in nothing.error
    other = equireg("serve", phantom_prepared)
    assert "was made by `equireg prepare`" in other.error
    assert list(tmp_path.iterdir()) == []
    assert "--port is 70000" in equireg("serve", tmp_path, "--port", 70000).error
    assert "--token is a secret" in equireg("serve", tmp_path, "--token", "short").error


def test_a_run_alone_only_segments(phantom_run: Path):
    from equireg.serving.serve import opened

    with opened(phantom_run, port=0, device="cpu", host="127.0.0.1", token="a-token-for-tests") as at:
        thread = threading.Thread(target=at.run)
        thread.start()
        try:
            host, port, token = at.url.removeprefix("http://").replace(":", "/").split("/")
            assert Client(host, int(port)).ask("GET", "/health").status == 200  # without the token
            assert Client(host, int(port)).ask("GET", "/info/").status == 401
            assert (health.main(["equireg", "serve", "run", "--port", port]), health.main(["equireg"])) == (0, 0)
            client = Client(host, int(port), f"/{token}")
            told = client.ask("GET", "/info/").json
            assert list(told["models"]) == [phantom_run.name]
            assert (told["trainers"], told["strategies"], told["datastore"]) == ({}, {}, {})
            for path in (f"/train/{phantom_run.name}", "/activelearning/typical"):
                assert "no prepared folder was given" in client.send("POST", path, {}).detail
            mask = client.form("PUT", "/datastore/label?image=a", {}, label=("a.nii.gz", b""))
            assert "no prepared folder was given" in mask.detail
            assert Client(host, int(port)).ask("GET", "/info/").status == 401
            assert Client(host, int(port)).ask("GET", "/auth/").json["enabled"] is True
        finally:
            at.stop()
            thread.join()


def test_a_new_loop_has_no_model_yet_but_a_next_scan(phantom_prepared: Path, phantom_raw: Path, tmp_path: Path):
    from equireg.serving.serve import opened

    loop = ServeConfig(prepared=str(phantom_prepared), scans=str(phantom_raw), port=0)
    with opened(tmp_path / "loop", loop) as at:
        thread = threading.Thread(target=at.run)
        thread.start()
        try:
            host, port = at.url.removeprefix("http://").split(":")
            client = Client(host, int(port))
            told = client.ask("GET", "/info/").json
            assert told["models"] == {}
            assert told["labels"]
            case = client.send("POST", "/activelearning/in_order", {}).json["id"]
            assert "there is no model so far" in client.form("POST", f"/infer/loop?image={case}", {}).detail
            assert "there is no model so far" in client.send("POST", "/activelearning/doubt", {}).detail
            assert client.ask("GET", "/").status == 200
        finally:
            at.stop()
            thread.join()


def test_the_command_ends_cleanly_when_it_is_told_to(equireg, phantom_prepared: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    client, seen = Client("127.0.0.1", port), []

    def end() -> None:
        deadline = time.monotonic() + 120
        while not seen and time.monotonic() < deadline:
            try:
                seen.append(client.ask("GET", "/info/").status)
            except OSError:
                time.sleep(0.05)
        seen.extend(path.name for path in tmp_path.glob("equireg-serve-*"))
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=end)
    thread.start()
    done = equireg("serve", tmp_path / "loop", "--prepared", phantom_prepared, "--port", port)
    thread.join()
    assert done.code == 0
    assert f"serves at http://127.0.0.1:{port}" in done.err
    assert seen[0] == 200
    assert len(seen) == 2
    assert list(tmp_path.glob("equireg-serve-*")) == []
