"""`equireg serve` answered to a real client: the requests that MONAI Label's clients send, in their forms."""

import gzip
import hashlib
import json
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from equireg.config import ServeConfig
from equireg.folders.prepared import PreparedSet
from equireg.imaging.volume import read_label, write_label
from label_client import Client


@dataclass
class Served:
    client: Client
    data: Path

    def unlabelled(self) -> list[str]:
        cases = PreparedSet(self.data).manifest.cases
        return sorted(case.name for case in cases if case.split == "train" and not case.labelled)


@pytest.fixture(scope="module")
def served(phantom_run: Path, phantom_prepared: Path, phantom_raw: Path, tmp_path_factory) -> Iterator[Served]:
    for package in ("fastapi", "uvicorn", "python_multipart"):
        pytest.importorskip(package, reason="the extra serve is not installed")
    from equireg.serving.serve import opened

    home = tmp_path_factory.mktemp("served")
    shutil.copytree(phantom_prepared, home / "prepared")
    shutil.copytree(phantom_run, home / "run")
    tiny = home / "tiny.yaml"
    tiny.write_text("network: {features: 4}\nmax_steps: 1\nbatch_size: 2\nunsup_ratio: 1\nmethod: supervised\n")
    config = ServeConfig(
        prepared=str(home / "prepared"),
        scans=str(phantom_raw),
        port=0,
        max_upload_mb=2.0,
        train_config=str(tiny),
        test_time="none",
        device="cpu",
        precision="32",
    )
    with opened(home / "run", config) as at:
        thread = threading.Thread(target=at.run)
        thread.start()
        try:
            host, port = at.url.removeprefix("http://").split(":")
            yield Served(Client(host, int(port)), home / "prepared")
        finally:
            at.stop()
            thread.join()


@pytest.fixture
def client(served: Served) -> Client:
    return served.client


def test_a_client_learns_what_there_is(client: Client):
    told = client.ask("GET", "/info/").json
    assert list(told["models"]) == ["run"]
    assert told["models"]["run"]["type"] == "segmentation"
    assert told["labels"] == told["models"]["run"]["labels"]
    assert list(told["trainers"]) == ["run"]
    assert next(iter(told["strategies"])) == "typical"
    assert 0 <= told["train_stats"]["run"]["best_metric"] <= 1
    assert told["datastore"]["total"] == 4
    assert client.ask("GET", "/auth/").json["enabled"] is False


def test_the_next_scan_is_one_without_a_mask_and_can_be_loaded(served: Served, client: Client, phantom_raw: Path):
    first, second, third = (client.send("POST", "/activelearning/typical", {"client_id": None}).json for _ in range(3))
    assert {first["id"], second["id"]} == set(served.unlabelled())
    assert third["id"] == first["id"]  # all were given, so they come round
    image = client.ask("GET", f"/datastore/image?image={quote_plus(first['id'])}")
    assert image.status == 200
    assert f'filename="{first["name"]}"' in image.headers["content-disposition"]
    assert image.body in [path.read_bytes() for path in phantom_raw.rglob("*.nii.gz")]
    assert first["checksum"] == "SHA256:" + hashlib.sha256(image.body).hexdigest()
    assert client.ask("HEAD", f"/datastore/image?image={first['id']}").status == 200


def test_a_prediction_comes_as_the_form_that_clients_read(served: Served, client: Client, tmp_path: Path):
    case = served.unlabelled()[0]
    answer = client.form("POST", f"/infer/run?image={case}", {"client_id": "me"})
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("multipart/form-data")
    parts = answer.parts
    name, mask = parts["image"]
    assert name == f"{case}.nii.gz"
    params = json.loads(parts["params"][1])
    path = tmp_path / "mask.nii.gz"
    path.write_bytes(mask)
    record = PreparedSet(served.data).by_name[case]
    values = set(read_label(path, record.working_grid().native).ravel().tolist())
    assert set(params["label_names"].values()) == values - {0}
    assert params["label_names"].keys() <= set(client.ask("GET", "/info/").json["labels"])
    assert 0 <= params["quality"] <= 1
    assert client.form("POST", f"/infer/run?image={case}&output=json", {}).json == params
    assert client.form("POST", f"/infer/run?image={case}&output=image", {}).body[:2] == b"\x1f\x8b"


def test_a_correction_comes_back_by_the_names_of_segments(served: Served, client: Client, tmp_path: Path):
    data = PreparedSet(served.data)
    case = served.unlabelled()[0]
    labels = data.manifest.labels
    client.form("POST", f"/infer/run?image={case}", {})  # the draft
    geometry = data.by_name[case].working_grid().native
    values = read_label(
        _file(tmp_path, client.form("POST", f"/infer/run?image={case}&output=image", {}).body), geometry
    )
    values = values * 0
    values[8:14, 8:14, 4:8] = 1
    values[8:14, 14:16, 4:8] = 2
    path = tmp_path / "drawn.nii.gz"
    write_label(path, values, geometry)
    names = [labels.names[-1], labels.names[1]]  # in another order than the label values
    params = {"label_info": [{"name": name, "idx": place} for place, name in enumerate(names, 1)], "client_id": "ann"}
    before = client.ask("GET", "/info/").json["datastore"]["completed"]
    liver = {"label_info": [{"name": "liver", "idx": 1}]}
    stranger = client.form("PUT", f"/datastore/label?image={case}", liver, label=("a.nii.gz", path.read_bytes()))
    assert stranger.status == 400
    assert "the mask shows the segment 'liver'; expected some of" in stranger.detail

    taken = client.form("PUT", f"/datastore/label?image={case}", params, label=("tmp.nii.gz", path.read_bytes()))
    assert taken.status == 200, taken.body
    assert taken.json["label"] == case
    assert taken.json["corrects"] == "draft"
    assert taken.json["changed_voxels"] > 0
    assert client.ask("GET", "/info/").json["datastore"]["completed"] == before + 1
    kept = _file(tmp_path, client.ask("GET", f"/datastore/label?label={case}&tag=final").body)
    found = read_label(kept, geometry)
    assert (found[values == 1] == labels.values[-1]).all()
    assert (found[values == 2] == labels.values[1]).all()
    assert client.ask("GET", "/datastore/?output=all").json["objects"][case]["labels"].keys() == {"final"}
    assert client.send("POST", "/activelearning/typical", {}).json["id"] != case


def _file(folder: Path, content: bytes) -> Path:
    path = folder / "received.nii.gz"
    path.write_bytes(content)
    return path


def test_a_session_holds_a_scan_that_is_sent(served: Served, client: Client, phantom_raw: Path):
    scans = sorted(phantom_raw.rglob("*.nii.gz"))
    one = scans[0].parent
    files = sorted(path for path in one.iterdir() if "seg" not in path.name)
    files = [("files", (file.name, file.read_bytes())) for file in files]
    made = client.parts("PUT", "/session/", None, files)
    assert made.status == 200, made.body
    key = made.json["session_id"]
    drawn = client.form("POST", f"/infer/run?image=&session_id={key}", {})
    assert drawn.status == 200, drawn.body
    assert drawn.parts["image"][1][:2] == b"\x1f\x8b"
    assert client.ask("GET", f"/session/{key}").json["name"] == key
    assert client.ask("DELETE", f"/session/{key}").status == 200
    assert "no such session" in client.ask("GET", f"/session/{key}").detail

    shown = client.parts("POST", "/look/", None, files)
    assert shown.status == 200, shown.body
    assert [plane["png"][:15] for plane in shown.json["planes"]] == ["data:image/png;"] * 3
    assert shown.json["mask"].startswith("data:application/gzip;base64,")


def test_the_page_may_ask_its_server_and_no_other(client: Client):
    page = client.ask("GET", "/")
    assert page.status == 200
    text = page.body.decode()
    assert "script-src 'sha256-" in text
    assert "connect-src 'self'" in text
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert 'src="http' not in text


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/infer/other?image=x", 404, "no model is named 'other'; this server has run"),
        ("/infer/run?image=nobody", 404, "no image is named 'nobody'"),
        ("/infer/run?image=..%2F..%2Fetc%2Fpasswd", 404, "no image is named '../../etc/passwd'"),
        ("/infer/run?session_id=gone", 404, "no image is named 'gone'"),
        ("/infer/run", 400, "no scan was given"),
        ("/infer/run?image=x&output=dicom_seg", 404, "no image is named 'x'"),
        ("/infer/run?image=x&output=what", 422, "output: "),
        ("/activelearning/coin", 404, "no strategy is named 'coin'"),
        ("/train/other", 404, "no model is named 'other'"),
        ("/nothing/", 404, "Not Found"),
    ],
)
def test_a_wrong_request_gets_one_line(client: Client, path: str, status: int, words: str):
    form = path.startswith("/infer")
    answer = client.form("POST", path, {}) if form else client.send("POST", path, {})
    assert answer.status == status
    assert words in answer.detail


def test_what_a_request_lacks_is_named_with_its_place(served: Served, client: Client):
    mask = ("mask.nii.gz", b"x")
    wrong = client.form("PUT", f"/datastore/label?image={served.unlabelled()[0]}", file=mask)
    assert (wrong.status, wrong.detail) == (422, "label is missing; expected it as the field label of a form.")
    nameless = client.form("PUT", "/datastore/label", label=mask)
    assert (nameless.status, nameless.detail) == (422, "image is missing; expected it in the address, as ?image=NAME.")


def test_limits_of_a_training_are_numbers(client: Client):
    for wrong in ("many", True, [1], -3, 2.5, float("nan")):
        answer = client.send("POST", "/train/run", {"max_steps": wrong})
        assert answer.status == 400
        assert "max_steps is" in answer.detail


def test_what_is_sent_stays_in_its_folder(served: Served, client: Client, phantom_raw: Path):
    scan = next(phantom_raw.rglob("*t1.nii.gz")).read_bytes()
    bad = client.form("PUT", "/datastore/?image=..%2Fout.nii.gz", {}, file=("a.nii.gz", scan))
    assert bad.status == 400
    assert "is not fit for a folder" in bad.detail
    assert "is not a known kind" in client.form("PUT", "/datastore/image?image=a", {}, file=("a.exe", b"x")).detail
    case = served.unlabelled()[0]
    assert "Rename" in client.form("PUT", f"/datastore/image?image={case}", {}, file=("a.nii.gz", scan)).detail
    named = client.form("PUT", "/datastore/?image=mine.nii.gz", {}, file=("../../evil.nii.gz", scan))
    assert named.json == {"image": "mine"}
    assert client.ask("GET", "/datastore/image?image=mine").body == scan
    assert client.ask("GET", "/datastore/image?image=mine.nii.gz").body == scan
    assert [client.ask(how, "/session/mine").status for how in ("GET", "DELETE")] == [404, 404]
    lacking = client.form("POST", "/infer/run?image=mine", {}).detail
    assert lacking.startswith("evil.nii.gz: has 1 channel (channel_0); expected 4")
    refused = client.form("PUT", "/datastore/label?image=mine", {}, label=("m.nii.gz", scan))
    assert "is not in the prepared folder" in refused.detail
    broken = client.form("POST", "/infer/run", {}, file=("b.nii.gz", gzip.compress(b"no scan")))
    assert broken.status == 400
    assert "/tmp" not in broken.detail


def test_a_mask_for_a_test_patient_or_of_another_shape_changes_nothing(served: Served, client: Client, tmp_path: Path):
    data = PreparedSet(served.data)
    for case in data.manifest.cases:
        if case.split != "train":
            path = tmp_path / "m.nii.gz"
            geometry = case.working_grid().native
            write_label(path, read_label(data.reference(case.name), geometry), geometry)  # pyright: ignore
            answer = client.form(
                "PUT", f"/datastore/label?image={case.name}", {}, label=("m.nii.gz", path.read_bytes())
            )
            assert answer.status == 400
            assert "stays there" in answer.detail
    bad = client.form("PUT", f"/datastore/label?image={served.unlabelled()[0]}", {}, label=("m.nii.gz", b"junk"))
    assert bad.status == 400


def test_too_large_a_request_and_other_pages_are_refused(client: Client):
    large = client.form("PUT", "/datastore/image?image=a", {}, file=("a.nii.gz", bytes(3_000_000)))
    assert large.status == 413
    assert "larger than 2 MB" in large.detail
    assert client.ask("GET", "/info/", origin="http://elsewhere.example").status == 403
    assert client.ask("GET", "/info/", host="elsewhere.example").status == 403


@pytest.mark.slow
def test_training_runs_beside_the_server_and_its_model_is_served(served: Served, client: Client):
    assert client.ask("GET", "/train/?check_if_running=true").status == 404
    begun = client.send("POST", "/train/run", {"client_id": None})
    assert begun.status == 200, begun.body
    assert begun.json["status"] == "RUNNING"
    assert "runs already" in client.send("POST", "/train/", {}).detail
    deadline = time.monotonic() + 300
    while client.ask("GET", "/train/?check_if_running=true").status == 200 and time.monotonic() < deadline:
        time.sleep(0.2)
    ended = client.ask("GET", "/train/").json
    assert ended["status"] == "DONE", client.ask("GET", "/logs/?text=true").body.decode()
    assert ended["run"] == "run_2"
    assert (served.data.parent / "run_2" / "checkpoints").is_dir()
    assert b"finished at step 1" in client.ask("GET", "/logs/?text=true").body
    assert b"<pre>" in client.ask("GET", "/logs/").body
    assert client.form("POST", f"/infer/run?image={PreparedSet(served.data).manifest.cases[0].name}", {}).status == 200
    assert client.ask("DELETE", "/train/").status == 404
