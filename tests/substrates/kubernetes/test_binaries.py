import io
import random
import tarfile
from pathlib import Path
from typing import Literal

import pytest

from harness.errors import InputError, SubstrateError
from harness.ports import Capability
from harness.substrates.local import machine
from harness.substrates.local.kubernetes import binaries, installing
from harness.substrates.local.kubernetes.control_plane import NEEDED


@pytest.fixture(autouse=True)
def _forgetful(forgetful: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with nothing on it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(binaries.ASSETS, raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


def folder_of(path: Path, *, version: str = binaries.VERSION, without: str = "", kubelet: str = "") -> Path:
    """Programs that say which version they are, and nothing else."""
    path.mkdir(parents=True)
    for name in NEEDED:
        if name != without:
            said = kubelet if kubelet and name == "kubelet" else version
            (path / name).write_text(f"#!/bin/sh\necho Kubernetes v{said}\n")
            (path / name).chmod(0o755)
    return path


def test_a_folder_that_is_named_comes_before_all_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_of(binaries.cache())
    named = folder_of(tmp_path / "assets", version="1.33.9")
    monkeypatch.setenv(binaries.ASSETS, str(named))
    found = binaries.demanded()
    assert found.version == "1.33.9"
    assert found.programs["etcd"] == named / "etcd"


def test_a_folder_that_is_named_and_lacks_one_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_of(binaries.cache())
    monkeypatch.setenv(binaries.ASSETS, str(folder_of(tmp_path / "assets", without="kubelet")))
    assert "there is no kubelet" in binaries.lacking()


def test_the_path_comes_before_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_of(binaries.cache())
    monkeypatch.setenv("PATH", f"{folder_of(tmp_path / 'bin', version='1.33.0')}:/usr/bin:/bin")
    assert binaries.demanded().version == "1.33.0"


def test_programs_of_the_path_that_will_not_do_leave_it_to_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{folder_of(tmp_path / 'bin', version='1.28.2')}:/usr/bin:/bin")
    assert "PATH: expected Kubernetes 1.33 to 1.34" in binaries.lacking()
    binaries.find.cache_clear()
    folder_of(binaries.cache())
    assert binaries.demanded().source == str(binaries.cache())


def test_where_a_folder_is_named_that_will_not_do_the_remedy_begins_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(binaries.ASSETS, str(tmp_path))
    with pytest.raises(SubstrateError, match="set KUBEBUILDER_ASSETS to a folder that has them, or unset it"):
        binaries.demanded()


def test_the_cache_is_used_where_there_is_nothing_else() -> None:
    folder_of(binaries.cache())
    assert binaries.demanded().source == str(binaries.cache())


def test_without_programs_both_remedies_are_named() -> None:
    with pytest.raises(SubstrateError, match=r"rundrill kubernetes get(.|\n)*rundrill kubernetes build"):
        binaries.demanded()


def test_a_machine_without_programs_does_not_provide_clusters_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not machine.namespaces_allowed():
        pytest.skip("this machine does not allow namespaces")
    monkeypatch.setenv("RUNDRILL_ISOLATION", "namespaces")
    assert Capability.KUBERNETES not in machine.provides()
    problem = machine.problem(Capability.KUBERNETES)
    assert "rundrill kubernetes get" in problem.remedy
    assert "rundrill kubernetes build" in problem.remedy


@pytest.mark.parametrize(
    ("version", "kubelet", "told"),
    [
        ("1.28.2", "", "expected Kubernetes 1.33 to 1.34; kube-apiserver is 1.28.2"),
        ("1.33.0", "1.34.4", "expected programs of one version; kube-apiserver is 1.33.0, kubelet 1.34.4"),
        ("nonsense", "", "expected `Kubernetes v1.N.N`"),
    ],
)
def test_programs_of_a_wrong_version_are_refused_with_what_was_found(version: str, kubelet: str, told: str) -> None:
    folder_of(binaries.cache(), version=version, kubelet=kubelet)
    assert told in binaries.lacking()


def test_programs_brought_along_in_a_folder_are_kept(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source")
    with installing.room() as room:
        installing.install(installing.copied(source, room))
    assert binaries.demanded().version == binaries.VERSION
    assert not list(binaries.cache().parent.glob(f"{installing.UNFINISHED}*"))


def test_one_binary_under_five_names_is_copied_once(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "kubes").write_text(f"#!/bin/sh\necho Kubernetes v{binaries.VERSION}\n")
    (source / "kubes").chmod(0o755)
    for name in NEEDED:
        (source / name).symlink_to("kubes")
    with installing.room() as room:
        kept = installing.install(installing.copied(source, room))
    assert sum(not path.is_symlink() for path in kept.iterdir()) == 1
    assert binaries.demanded().version == binaries.VERSION


def test_programs_of_another_version_are_not_kept_and_do_not_displace_the_good_ones(tmp_path: Path) -> None:
    folder_of(binaries.cache())
    source = folder_of(tmp_path / "source", version="1.33.0")
    with installing.room() as room, pytest.raises(InputError, match=r"expected Kubernetes v1\.34\.4; found v1\.33\.0"):
        installing.install(installing.copied(source, room))
    assert binaries.demanded().version == binaries.VERSION


Mode = Literal["w", "w:gz", "w:xz"]


def archive_of(source: Path, *, mode: Mode) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as tar:
        tar.add(source, arcname="kubernetes/server/bin")
    return file.getvalue()


def refused(path: Path) -> str:
    """What is said of programs that are not put into the cache; nothing is left of them."""
    with installing.room() as room, pytest.raises(InputError) as caught:
        installing.install(installing.copied(path, room), source=str(path))
    assert not list(binaries.cache().parent.iterdir())
    return str(caught.value)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_an_archive_that_was_cut_short_is_refused_by_name_wherever_it_ends(tmp_path: Path, mode: Mode) -> None:
    source = folder_of(tmp_path / "source")
    with (source / "kubelet").open("ab") as file:
        file.write(random.Random(1).randbytes(60_000))
    whole = archive_of(source, mode=mode)
    for part in (0, 100, len(whole) // 2, len(whole) - 12_000):
        (tmp_path / "programs.tar").write_bytes(whole[:part])
        told = refused(tmp_path / "programs.tar")
        assert told.startswith(f"{tmp_path}/programs.tar: expected ")
        assert "copy it once more" in told or "there is no" in told
        assert len(told.splitlines()) == 2


def test_an_archive_that_was_changed_on_its_way_is_refused_by_name(tmp_path: Path) -> None:
    whole = bytearray(archive_of(folder_of(tmp_path / "source"), mode="w:gz"))
    whole[200:240] = bytes(40)
    (tmp_path / "programs.tgz").write_bytes(whole)
    assert refused(tmp_path / "programs.tgz").startswith(f"{tmp_path}/programs.tgz: ")


def test_an_archive_that_lacks_some_is_refused_with_all_that_it_lacks(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", without="kubelet")
    (source / "etcd").unlink()
    (tmp_path / "some.tar").write_bytes(archive_of(source, mode="w"))
    for path in (source, tmp_path / "some.tar"):
        told = refused(path)
        assert told.startswith(f"{path}: expected ")
        assert "there is no etcd, kubelet" in told


def test_a_file_that_is_no_archive_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    assert "notes.txt: expected a folder or a whole tar archive" in refused(tmp_path / "notes.txt")
