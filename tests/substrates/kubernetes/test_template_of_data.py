import os
import signal
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from harness.substrates.local.kubernetes import template

SEGMENT = 64 * 1024 * 1024


def data(folder: Path) -> Path:
    wal, snap = folder / "member" / "wal", folder / "member" / "snap"
    wal.mkdir(parents=True)
    snap.mkdir()
    log = wal / "0000000000000000-0000000000000000.wal"
    log.write_bytes(b"\x08\x04" * 3000)
    os.truncate(log, SEGMENT)
    (wal / "0.tmp").write_bytes(b"\0" * 100)
    (snap / "db").write_bytes(bytes(range(256)) * 20 + b"\0" * 8192)
    return folder


def test_what_is_unpacked_is_what_was_packed_but_for_files_in_the_making(tmp_path: Path) -> None:
    source = data(tmp_path / "source")
    archive = tmp_path / "template.tar"
    template.pack(source, {"ca.crt": "text"}, archive)
    target = tmp_path / "target"
    assert template.unpack(archive, target) == {"ca.crt": "text"}
    for path in (path for path in source.rglob("*") if path.is_file() and path.suffix != ".tmp"):
        assert (target / path.relative_to(source)).read_bytes() == path.read_bytes()
    assert not list(target.rglob("*.tmp"))


def test_the_zeros_of_a_log_are_not_kept(tmp_path: Path) -> None:
    archive = tmp_path / "template.tar"
    template.pack(data(tmp_path / "source"), {}, archive)
    assert archive.stat().st_size < SEGMENT // 100


def test_nobody_else_can_read_the_keys(tmp_path: Path) -> None:
    archive = tmp_path / "template.tar"
    template.pack(data(tmp_path / "source"), {"ca.key": "secret"}, archive)
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600


def test_an_archive_that_was_cut_short_is_told_from_a_whole_one(tmp_path: Path) -> None:
    archive = tmp_path / "template.tar"
    template.pack(data(tmp_path / "source"), {"ca.crt": "text"}, archive)
    os.truncate(archive, archive.stat().st_size // 3)
    with pytest.raises((OSError, tarfile.TarError)):
        template.unpack(archive, tmp_path / "target")


def test_other_options_make_another_template() -> None:
    assert template.key("1.34.4", ["etcd --a=1"]) != template.key("1.34.4", ["etcd --a=2"])
    assert template.key("1.34.4", ["etcd --a=1"]) != template.key("1.34.5", ["etcd --a=1"])


def test_processes_stand_still_only_meanwhile() -> None:
    def state() -> str:
        return Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0]

    child = subprocess.Popen(("sleep", "30"))
    try:
        with template.standing_still([child.pid]):
            os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
            assert state() == "T"
        os.waitid(os.P_PID, child.pid, os.WCONTINUED | os.WNOWAIT)
        assert state() != "T"
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
