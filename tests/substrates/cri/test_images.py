"""Images that are commands: how their names are read, and what the image service answers."""

from pathlib import Path

import grpc
import pytest

from harness.errors import InputError
from harness.substrates.cri import runtime_pb2 as cri
from harness.substrates.cri.images import Images, load, normal
from harness.substrates.cri.refusals import InvalidError, NotFoundError
from tests.substrates.cri.runtime import Runtime

WORKLOADS = Path(__file__).parents[3] / "clusters" / "workloads"


@pytest.mark.parametrize(
    ("written", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("demo/app:1.0", "docker.io/demo/app:1.0"),
        ("HOST/app", "HOST/app:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("registry.local:5000/team/app:v2", "registry.local:5000/team/app:v2"),
        ("ghcr.io/team/app@sha256:" + "a" * 64, "ghcr.io/team/app@sha256:" + "a" * 64),
    ],
)
def test_a_name_is_read_as_docker_reads_it(written: str, full: str) -> None:
    assert normal(written) == full


@pytest.mark.parametrize("written", ["", "host/UPPER", "a b", "app:", "-app", "app@sha256:short"])
def test_what_is_no_name_is_refused(written: str) -> None:
    with pytest.raises(InvalidError, match="invalid reference format"):
        normal(written)


def test_the_workloads_of_this_repository_are_images() -> None:
    images = Images(load(sorted(WORKLOADS.glob("*/image.toml"))))
    shop = images.find("shop:1.0")

    assert shop is not None
    assert shop.needs_python
    assert dict(shop.files)["/srv/shop"] == str(WORKLOADS / "shop")
    assert {image.id for image in images.all()} == {f"sha256:{image.id[7:]}" for image in images.all()}
    assert len({image.id for image in images.all()}) == len(images.all())


def test_an_image_is_found_by_tag_digest_and_id_and_its_id_is_that_of_its_definition(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text('["app:1"]\ncommand = ["true"]\n')
    (tmp_path / "two.toml").write_text('["app:1"]\ncommand = ["false"]\n')
    one, two = (Images(load([tmp_path / name])) for name in ("one.toml", "two.toml"))
    image = one.find("app:1")

    assert image is not None
    assert one.find(image.id) is one.find(image.digest) is image
    assert load([tmp_path / "one.toml"])[0].id == image.id
    assert two.all()[0].id != image.id


def test_every_tag_of_busybox_is_there_and_is_a_shell() -> None:
    image = Images(()).find("busybox:1.28")

    assert image is not None
    assert (image.entrypoint, image.arguments) == ((), ("sh",))


def test_an_unmapped_name_is_not_found_in_a_registrys_words() -> None:
    with pytest.raises(NotFoundError) as caught:
        Images(()).pull("demo/app:9.9")

    assert str(caught.value) == (
        'failed to pull and unpack image "docker.io/demo/app:9.9": failed to resolve reference '
        '"docker.io/demo/app:9.9": docker.io/demo/app:9.9: not found'
    )


def test_every_wrong_image_of_every_table_is_named_at_its_line(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "tables").mkdir()
    one, two, missing = (tmp_path / "tables" / name for name in ("one.toml", "two.toml", "missing.toml"))
    one.write_text(
        '["app:1"]\ncomand = ["true"]\n["app:2"]  # two\ncommand = ["true"]\nuser = "www-data"\n'
        '["app:3"]\ncommand = ["true"]\nfiles = { "/srv" = "nowhere" }\n'
        '["app:4"]\ncommand = ["true"]\nfiles = { "/srv" = "../outside" }\n["a b"]\ncommand = []\n'
    )
    two.write_text('["app:1"]\ncommand = true false\n')

    with pytest.raises(InputError) as caught:
        load([one, two, missing])

    told = [str(problem).splitlines()[0] for problem in caught.value.problems]
    assert told[1] == f"{one}:3: image 'app:2': user: expected `uid` or `uid:gid` in digits; found 'www-data'"
    assert told[2] == f"{one}:6: image 'app:3': files: expected a folder in {one.parent}; found 'nowhere'"
    assert told[3] == f"{one}:9: image 'app:4': files: expected a folder in {one.parent}; found '../outside'"
    assert [line.partition(": ")[0] for line in told] == [
        *(f"{one}:{number}" for number in (1, 3, 6, 9, 12)), f"{two}:2", f"{missing}:1",
    ]  # fmt: skip


@pytest.mark.real
def test_the_image_service_lists_finds_pulls_and_removes(runtime: Runtime) -> None:
    def tags() -> set[str]:
        return {tag for image in runtime.call("ListImages").images for tag in image.repo_tags}

    spec = cri.ImageSpec(image="demo/said:1.0")
    found = runtime.call("ImageStatus", image=spec).image
    reference = runtime.call("PullImage", image=spec).image_ref
    before = tags()
    runtime.call("RemoveImage", image=spec)
    runtime.call("RemoveImage", image=spec)
    between = tags()
    gone = runtime.call("ImageStatus", image=spec)
    runtime.call("PullImage", image=spec)

    assert found.id.startswith("sha256:")
    assert found.size > 0
    assert reference == f"docker.io/demo/said@{found.id}"
    assert not gone.HasField("image")
    assert before - between == {"docker.io/demo/said:1.0"}
    assert "docker.io/demo/said:1.0" in tags()
    assert runtime.call("ImageStatus", image=cri.ImageSpec(image="demo/user:1.0")).image.uid.value == 1234
    assert runtime.call("ImageFsInfo").image_filesystems[0].used_bytes.value > 0


@pytest.mark.real
def test_an_image_that_no_table_has_is_not_pulled(runtime: Runtime) -> None:
    code, words = runtime.refused("PullImage", image=cri.ImageSpec(image="demo/absent:1"))

    assert code is grpc.StatusCode.NOT_FOUND
    assert words.endswith("docker.io/demo/absent:1: not found")
    assert not runtime.call("ImageStatus", image=cri.ImageSpec(image="demo/absent:1")).HasField("image")


BUSYBOX = """#!/bin/sh
case ${0##*/} in
    busybox) [ "$1" = --list ] && printf 'busybox\\ngreet\\nls\\n' ;;
    *) echo "busybox's ${0##*/}" ;;
esac
"""


@pytest.mark.real
def test_where_the_machine_has_busybox_its_commands_come_first_in_its_images(tmp_path: Path, runtime: Runtime) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "busybox").write_text(BUSYBOX)
    (tools / "busybox").chmod(0o755)
    other = Runtime(tmp_path, path=f"{tools}:/usr/bin:/bin")
    try:
        pod = other.pod()
        said = pod.output("sh", "-c", "greet; ls; cat /etc/hostname")

        assert said == f"busybox's greet\nbusybox's ls\n{pod.config.hostname}\n"
        assert "busybox" not in pod.output("ls", "/", image="demo/said:1.0")
        assert "busybox" not in runtime.pod().output("ls", "/")
    finally:
        other.close()
