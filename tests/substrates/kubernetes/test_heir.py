"""The folder of a killed harness is removed by its heir, once nobody writes there any more."""

import os
import subprocess
import sys
import time
from pathlib import Path

from harness.substrates.journal import NAME, Journal
from harness.substrates.local.kubernetes import heir


def test_it_waits_for_those_whom_the_journal_names_and_then_removes_all(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    # It makes what it writes in anew, as kubectl does with its cache: what were removed too early would come back.
    busy = subprocess.Popen(("sh", "-c", f"while mkdir -p {folder}/cache; do sleep 0.01; done"))
    journal = Journal(folder, "one")  # whose first entry is this process: it is not waited for here
    (folder / NAME).write_text("")
    journal.process(busy.pid, "the supervisor")
    waiting = subprocess.Popen((sys.executable, "-I", "-S", heir.__file__, str(folder)))
    try:
        time.sleep(0.3)  # noqa: TID251 - it is to have the time to do what it must not
        assert waiting.poll() is None
        assert folder.exists()
    finally:
        busy.kill()
        busy.wait()
    assert waiting.wait(timeout=10) == 0
    assert not folder.exists()


def test_it_waits_for_nobody_who_only_has_the_number_of_somebody_named(tmp_path: Path) -> None:
    lines = (
        f'{{"kind":"process","of":"one","pid":{os.getpid()},"started":1,"what":"the supervisor"}}',
        '{"kind":"folder","of":"one","path":"/nowhere"}',
        '{"kind":"process","of":"one","pid":2147483646,"started":1,"what":"long gone"}',
        '{"kind":"process","of":"one","pid":1,"star',
    )
    (tmp_path / NAME).write_text("\n".join(lines))
    assert heir.opened(str(tmp_path / NAME)) == []
    assert heir.opened(str(tmp_path / "none" / NAME)) == []
