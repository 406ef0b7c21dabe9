"""Downloads from a server of our own on the loopback, which can break off, forget ranges, and lie."""

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.substrates.local.kubernetes import fetching

CONTENT = {name: name.encode() * 50_000 for name in ("kube-apiserver", "kube-scheduler", "kubelet")}


def archive() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        entry = tarfile.TarInfo("etcd-v3.6.5-linux-amd64/etcd")
        entry.size = 4
        tar.addfile(entry, io.BytesIO(b"etcd"))
    return out.getvalue()


class Site:
    """What the server has, how it misbehaves, and what it was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []
        self.breaks_after = 0
        self.breaks = 0
        self.ranges = True

    def put(self, name: str, content: bytes, *, said: bytes | None = None) -> fetching.File:
        self.files[f"/{name}"] = content
        self.files[f"/{name}.sha256"] = hashlib.sha256(content if said is None else said).hexdigest().encode()
        return fetching.File(name, f"{self.url}/{name}", f"{self.url}/{name}.sha256")

    url = ""


@contextmanager
def served(site: Site) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            site.asked.append((self.path, asked))
            content = site.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            begin = int(asked.removeprefix("bytes=").rstrip("-")) if asked and site.ranges else 0
            if asked and begin >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.end_headers()
                return
            self.send_response(206 if begin else 200)
            self.send_header("Content-Length", str(len(content) - begin))
            self.end_headers()
            data = content[begin:]
            if site.breaks and not self.path.endswith(".sha256"):
                site.breaks -= 1
                data = data[: site.breaks_after]
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    with served(made):
        yield made


def nobody(*_: object) -> None:
    pass


def test_programs_and_the_one_in_an_archive_end_up_in_one_folder(site: Site, tmp_path: Path) -> None:
    wanted = [site.put(name, content) for name, content in CONTENT.items()]
    wanted.append(site.put("etcd.tar.gz", archive()))
    programs = fetching.fetch(wanted, tmp_path, nobody)
    assert {path.name: path.read_bytes() for path in programs.iterdir()} == {**CONTENT, "etcd": b"etcd"}


def test_a_download_that_breaks_off_goes_on_where_it_did(site: Site, tmp_path: Path) -> None:
    site.breaks, site.breaks_after = 3, 100_000
    programs = fetching.fetch([site.put("kubelet", CONTENT["kubelet"])], tmp_path, nobody)
    assert (programs / "kubelet").read_bytes() == CONTENT["kubelet"]
    ranges = [asked for path, asked in site.asked if path == "/kubelet"]
    assert ranges == ["", "bytes=100000-", "bytes=200000-", "bytes=300000-"]


def test_it_goes_on_in_another_run(site: Site, tmp_path: Path) -> None:
    file = site.put("kubelet", CONTENT["kubelet"])
    (tmp_path / "kubelet.part").write_bytes(CONTENT["kubelet"][:1000])
    programs = fetching.fetch([file], tmp_path, nobody)
    assert (programs / "kubelet").read_bytes() == CONTENT["kubelet"]
    assert ("/kubelet", "bytes=1000-") in site.asked


def test_a_part_that_was_already_whole_is_not_downloaded_again(site: Site, tmp_path: Path) -> None:
    file = site.put("kubelet", CONTENT["kubelet"])
    (tmp_path / "kubelet.part").write_bytes(CONTENT["kubelet"])
    programs = fetching.fetch([file], tmp_path, nobody)
    assert (programs / "kubelet").read_bytes() == CONTENT["kubelet"]


def test_a_server_that_knows_no_ranges_sends_it_anew(site: Site, tmp_path: Path) -> None:
    site.ranges = False
    (tmp_path / "kubelet.part").write_bytes(b"something else")
    programs = fetching.fetch([site.put("kubelet", CONTENT["kubelet"])], tmp_path, nobody)
    assert (programs / "kubelet").read_bytes() == CONTENT["kubelet"]


def test_what_has_another_sum_is_not_kept(site: Site, tmp_path: Path) -> None:
    file = site.put("kubelet", CONTENT["kubelet"], said=b"what the publisher has")
    with pytest.raises(HarnessError, match=r"expected SHA-256 .*; found "):
        fetching.fetch([file], tmp_path, nobody)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_server_that_never_says_a_sum_is_named(site: Site, tmp_path: Path) -> None:
    file = site.put("kubelet", CONTENT["kubelet"])
    site.files["/kubelet.sha256"] = b"<html>not found</html>"
    with pytest.raises(HarnessError, match=r"kubelet\.sha256: expected a SHA-256 of kubelet"):
        fetching.fetch([file], tmp_path, nobody)


def test_a_connection_that_always_breaks_ends_with_the_address_and_what_to_do(site: Site, tmp_path: Path) -> None:
    site.breaks, site.breaks_after = 100, 0
    with pytest.raises(HarnessError, match=r"/kubelet: cannot be downloaded(.|\n)*--from FILE\|DIR"):
        fetching.fetch([site.put("kubelet", CONTENT["kubelet"])], tmp_path, nobody)
    assert len(site.asked) < 20


def test_progress_is_told_up_to_the_whole(site: Site, tmp_path: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    fetching.fetch([site.put("kubelet", CONTENT["kubelet"])], tmp_path, lambda *said: heard.append(said))
    size = len(CONTENT["kubelet"])
    assert heard[-1] == ("kubelet", size, size)
    assert [done for _, done, _ in heard] == sorted(done for _, done, _ in heard)


def test_the_publishers_are_asked_for_every_program_of_the_pinned_version() -> None:
    found = fetching.files()
    assert {file.name.partition("-v")[0] for file in found} == {
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kubelet",
    }
    assert all(file.url.startswith("https://") for file in found)


def test_a_mirror_has_the_paths_of_both_publishers() -> None:
    assert all(file.url.startswith("http://mirror.test/x/v") for file in fetching.files("http://mirror.test/x/"))
