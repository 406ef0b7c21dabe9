"""The program as it is called, on modelled systems: `rundrill(…)` gives the exit status and what was printed."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from harness.cli import app as cli
from tests.running.stage import TEXT


class Called(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def place(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with one scenario (`shop/down.py`) and its runbook, and a cache in which nobody has left anything."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("COLUMNS", "200")
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "runbook.md").write_text(TEXT, encoding="utf-8")
    (shop / "down.py").write_text("from tests.running.stage import DOWN\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def rundrill(place: Path, virtual_time: None, capfdbinary) -> Callable[..., Called]:
    def called(*arguments: object) -> Called:
        with pytest.raises(SystemExit) as caught:
            cli.main([str(each) for each in arguments])
        out, err = capfdbinary.readouterr()
        status = caught.value.code
        assert isinstance(status, int)
        return Called(status, out.decode(), err.decode())

    return called
