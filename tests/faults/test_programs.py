"""The programs that faults run inside an environment, by their command lines."""

import asyncio
import sys

import msgspec
import pytest

from harness.faults import leak
from harness.faults.knock import SSL_REQUEST, knock
from harness.model.units import milliseconds
from tests.real_postgres import free_port


@pytest.mark.parametrize(
    "argv", [[], ["{}"], ["no json"], ['{"dsn": "", "count": 1, "opening": "", "x": 1}'], ["1", "2"]]
)
def test_work_that_cannot_be_understood_ends_the_client_with_status_2(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert leak.main(["leak", *argv]) == 2
    assert "expected one Work as JSON, found" in capsys.readouterr().err


@pytest.mark.real
async def test_a_client_that_reaches_nobody_says_so_and_ends_when_its_input_does() -> None:
    work = leak.Work(dsn=f"host=127.0.0.1 port={free_port()} user=x", count=2, opening="SELECT 1")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "harness.faults.leak", msgspec.json.encode(work).decode(),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdin is not None
    said = msgspec.json.decode(await asyncio.wait_for(process.stdout.readline(), 10), type=leak.Held)
    assert (said.held, said.refused, said.killed) == (0, "refused", 0)
    process.stdin.close()
    assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_a_knock_is_answered_refused_closed_or_left_waiting() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(8) == SSL_REQUEST
        match answers.pop(0):
            case "answer":
                writer.write(b"N")
                await writer.drain()
            case "silence":
                await asyncio.wait_for(reader.read(), 5)
            case _:
                pass
        writer.close()

    answers = ["answer", "silence", "goodbye"]
    port = free_port()
    assert (await knock("127.0.0.1", port, milliseconds(500))).trouble == "refused"
    async with await asyncio.start_server(serve, "127.0.0.1", port):
        assert (await knock("127.0.0.1", port, milliseconds(500))).trouble == ""
        assert (await knock("127.0.0.1", port, milliseconds(100))).trouble == "timeout"
        assert (await knock("127.0.0.1", port, milliseconds(500))).trouble == "closed"
