"""The container's parts that can be tried without Docker: who may replace a running one, and what an image holds."""

import importlib.util
import json
import os
import re
import socket
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from equireg.serving import health

ROOT = Path(__file__).parents[2]
COMPOSE = """#!/bin/sh
# Stands in for Docker Compose: GPUS are those of the running container, SESSION is yes where tmux runs in it.
echo "$@" >> "$LOG"
case "$*" in
    *has-session) test "$SESSION" = yes ;;
    *printenv*) echo "$GPUS" ;;
esac
"""


@pytest.fixture
def up(tmp_path):
    """Return a function that runs ``docker/up.sh`` over a stand-in for Compose, with the commands that it gave."""
    compose, log = tmp_path / "compose", tmp_path / "log"
    compose.write_text(COMPOSE)
    compose.chmod(0o755)

    def run(*, session: str, running: str, wanted: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        log.write_text("")
        given = {"LOG": str(log), "SESSION": session, "GPUS": running, "NVIDIA_VISIBLE_DEVICES": wanted}
        script = [str(ROOT / "docker/up.sh"), str(compose), "--file", "x.yaml"]
        done = subprocess.run(script, env={**os.environ, **given}, capture_output=True, text=True, check=False)
        return done, log.read_text().splitlines()

    return run


@pytest.mark.parametrize(("running", "wanted"), [("", "0"), ("all", "0"), ("0", "")])
def test_a_container_without_a_session_is_started_anew(up, running, wanted):
    done, commands = up(session="no", running=running, wanted=wanted)
    assert done.returncode == 0
    assert commands[-1] == "--file x.yaml up --detach"


@pytest.mark.parametrize("wanted", ["0,1", ""])
def test_a_session_on_the_same_gpus_is_left_alone(up, wanted):
    done, commands = up(session="yes", running="0,1", wanted=wanted)
    assert done.returncode == 0
    assert not any("up" in command.split() for command in commands)


def test_a_session_on_other_gpus_is_not_ended(up):
    done, commands = up(session="yes", running="0", wanted="1")
    assert done.returncode == 1
    assert "NVIDIA_VISIBLE_DEVICES=0, not 1" in done.stderr
    assert "make down" in done.stderr
    assert not any("up" in command.split() for command in commands)


def test_the_image_gets_what_the_installation_reads_and_nothing_else():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    licences = {file for file in project["license-files"] if not file.startswith("src/")}
    needed = {"constraints.txt", "pyproject.toml", "src", project["readme"], *licences}
    assert {line[1:] for line in lines if line.startswith("!")} == needed


def test_tensorboard_is_open_to_this_machine_alone():
    service = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())["services"]["equireg"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


@pytest.mark.parametrize("name", ["Dockerfile", "use.Dockerfile"])
def test_the_base_image_has_a_tag(name: str):
    base = re.search(r"^FROM (\S+)$", (ROOT / "docker" / name).read_text(), re.MULTILINE)
    assert base is not None
    assert re.fullmatch(r"\S+:\d\S+", base[1])


def test_the_image_for_use_runs_the_command_as_no_root_and_knows_whether_serve_answers():
    steps = [line.split(" ", 1) for line in (ROOT / "docker/use.Dockerfile").read_text().splitlines() if " " in line]
    (user,) = [rest for word, rest in steps if word == "USER"]
    assert int(user) > 0
    assert ["ENTRYPOINT", '["equireg"]'] in steps
    extras = next(rest for word, rest in steps if word == "ARG" and rest.startswith("EXTRAS")).partition("=")[2]
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras.split(",")) <= set(known)
    (check,) = [rest for word, rest in steps if word == "HEALTHCHECK"]
    module = json.loads(check.partition("CMD ")[2])[2]
    assert importlib.util.find_spec(module) is not None


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_make_builds_an_image_for_each_device(device: str):
    command = ["make", "--dry-run", "--no-print-directory", f"image-{device}"]
    last = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    assert f"--build-arg DEVICE={device} --tag equireg:{device} ." in last


def test_a_server_that_does_not_answer_is_not_healthy():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # a port at which nobody listens
        assert health.main(["equireg", "serve", "run", f"--port={free.getsockname()[1]}"]) == 1


@pytest.mark.parametrize(
    ("target", "end"),
    [
        ("build", "docker/compose.yaml build"),
        ("up", "docker/compose.yaml"),
        ("connect", "exec equireg tmux new-session -A -s main"),
        ("down", "docker/compose.yaml down"),
    ],
)
def test_make_gives_compose_the_callers_number(target, end):
    command = ["make", "--dry-run", "--no-print-directory", target, "COMPOSE=compose"]
    last = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    assert last.endswith(end)
    assert f"compose --project-name equireg-{os.getuid()} " in last


def test_make_hands_the_gpus_and_an_absolute_folder_of_scans_to_compose(tmp_path):
    """The variables go through the environment, where a dry run does not show them."""
    compose, log = tmp_path / "compose", tmp_path / "log"
    compose.write_text(
        '#!/bin/sh\necho "$NVIDIA_VISIBLE_DEVICES|$SCANS|$USER_ID:$GROUP_ID|$*" >> "$LOG"\n'
        'case "$*" in *has-session) exit 1 ;; esac\n'
    )
    compose.chmod(0o755)
    command = ["make", "connect", f"COMPOSE={compose}", "NVIDIA_VISIBLE_DEVICES=0,2", "DATA=src/../src"]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "LOG": str(log)}, capture_output=True, check=True)
    given = [line.split("|") for line in log.read_text().splitlines()]
    assert [line[3].split("compose.yaml ")[1] for line in given] == [
        "exec -T equireg tmux has-session",
        "up --detach",
        "exec equireg tmux new-session -A -s main",
    ]
    for gpus, scans, caller, _ in given:
        assert (gpus, scans, caller) == ("0,2", str(ROOT / "src"), f"{os.getuid()}:{os.getgid()}")
