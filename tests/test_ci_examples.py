"""The CI examples of docs/ci.md: valid by GitHub's and GitLab's schemas; every command and variable in them is one of ours."""

import importlib.util
import json
import re
import shlex
from pathlib import Path

import msgspec
import pytest
import typer
import yaml

from harness.cli import app as cli
from harness.substrates.containers.settings import Images
from harness.substrates.kind.settings import Settings

PAGE = Path(__file__).parents[1] / "docs/ci.md"
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
EXAMPLES = {"github-workflows": BLOCKS[0], "gitlab-ci": BLOCKS[1]}
TEXT = "\n".join(BLOCKS)


def schema(name: str) -> object:
    """The schema as check-jsonschema brings it."""
    spec = importlib.util.find_spec("check_jsonschema")
    if spec is None or spec.origin is None:
        pytest.skip("check-jsonschema is not installed, which brings the schemas of GitHub and GitLab")
    (path,) = Path(spec.origin).parent.rglob(f"{name}.json")
    return json.loads(path.read_text(encoding="utf-8"))


def as_github_reads_it(value: object) -> object:
    """YAML 1.1 takes the key `on` for a truth value."""
    if isinstance(value, dict):
        return {"on" if key is True else key: as_github_reads_it(each) for key, each in value.items()}
    return value


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_valid_by_its_schema(name: str) -> None:
    loaded = as_github_reads_it(yaml.safe_load(EXAMPLES[name]))
    rules = schema(name)
    jsonschema = pytest.importorskip("jsonschema")
    found = [f"{list(e.absolute_path)}: {e.message}" for e in jsonschema.Draft7Validator(rules).iter_errors(loaded)]
    assert found == []


def test_the_schema_would_find_a_mistake() -> None:
    loaded = as_github_reads_it(yaml.safe_load(EXAMPLES["github-workflows"]))
    loaded["jobs"]["kind"]["step"] = loaded["jobs"]["kind"].pop("steps")
    jsonschema = pytest.importorskip("jsonschema")
    assert list(jsonschema.Draft7Validator(schema("github-workflows")).iter_errors(loaded))


def test_every_command_of_the_page_is_one_of_ours() -> None:
    program = typer.main.get_command(cli.app)
    lines = re.findall(
        r"[`\n ]rundrill ((?:run|parity|kubernetes|doctor|gate|judge|report|show|plan)\b.*)",
        PAGE.read_text(encoding="utf-8"),
    )
    words = [shlex.split(re.split(r"[`|;]", line)[0]) for line in lines]
    assert {"run", "doctor", "parity"} <= {each[0] for each in words}
    for first, *rest in words:
        command = program.commands[first]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in rest if word.startswith("-")} <= known, first


def test_every_variable_of_the_page_is_a_setting() -> None:
    known = {
        f"RUNDRILL_{table}_{field.name}".upper()
        for table, kind in (("kind", Settings), ("images", Images))
        for field in msgspec.structs.fields(kind)
    }
    named = set(re.findall(r"RUNDRILL_[A-Z_]+", TEXT))
    assert named
    assert named <= known


def test_the_examples_load_what_they_name() -> None:
    job = as_github_reads_it(yaml.safe_load(EXAMPLES["github-workflows"]))["jobs"]["kind"]
    images = job["env"]["IMAGES"].split()
    assert job["env"]["RUNDRILL_KIND_NODE_IMAGE"] in images
    assert job["env"]["RUNDRILL_IMAGES_POSTGRES"] in images
    assert Images().python in images
