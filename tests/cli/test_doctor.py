"""`rundrill doctor` on this machine, and on one that lacks nearly everything."""

import json
import os
import subprocess
import sys
from pathlib import Path


def doctor(*words: str, **env: str) -> "subprocess.CompletedProcess[str]":
    argv = (sys.executable, "-m", "harness.cli", "doctor", *words)
    return subprocess.run(argv, env={**os.environ, **env}, capture_output=True, text=True, check=False)


def test_the_doctor_says_of_each_substrate_what_it_can_do_here() -> None:
    done = doctor("--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {"local", "containers", "kind"} <= {each["substrate"] for each in found["substrates"]}
    for each in found["substrates"]:
        assert each["able"] or each["reasons"]
    for thing in found["things"]:
        assert thing["presence"] == "there" or thing["remedy"], thing
    assert doctor().returncode == 0


def test_without_docker_and_kind_the_doctor_names_them_and_the_remedies(tmp_path: Path) -> None:
    for program in ("unshare", "tar", "true"):
        (tmp_path / program).symlink_to(f"/usr/bin/{program}")
    done = doctor("--json", PATH=str(tmp_path), DOCKER_HOST="unix:///no/such/socket")
    assert done.returncode == 0, done.stderr
    things = {thing["name"]: thing for thing in json.loads(done.stdout)["things"]}
    for name in ("Docker", "kind"):
        assert things[name]["presence"] == "missing"
        assert things[name]["remedy"]
    (kind,) = (each for each in json.loads(done.stdout)["substrates"] if each["substrate"] == "kind")
    assert kind["able"] == []
    assert any("Docker" in reason for reason in kind["reasons"])
