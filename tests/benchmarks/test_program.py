"""Somebody's program on every loop, and what has changed between two results."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from benchmarks import compare
from benchmarks.catalogue import all_rows
from benchmarks.job import Sample
from benchmarks.program import child, command, load
from benchmarks.results import RowResult, Run
from website.pages import ROOT

pytestmark = pytest.mark.timeout(300)


def write(folder: Path, text: str) -> str:
    path = folder / "program.py"
    path.write_text(textwrap.dedent(text))
    return str(path)


def test_a_program_runs_on_each_loop_and_all_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = write(
        tmp_path,
        """
        import asyncio, sys

        async def main():
            with open(sys.argv[1], "a") as file:
                print(type(asyncio.get_running_loop()).__module__, __name__, file=file)
            for _ in range(3):
                await asyncio.sleep(0.02)

        asyncio.run(main())
        """,
    )
    seen, result = tmp_path / "seen", tmp_path / "result.json"
    arguments = ["--loops", "miniloop", "--rounds", "1", "--json", str(result)]
    assert command.main([*arguments, program, str(seen)]) == 0
    printed = capsys.readouterr().out
    assert "| elapsed" in printed
    assert "geometric mean" not in printed
    # A first round, one that counts and one that is counted, on each, and the control.
    ran = ["asyncio.unix_events __main__", "miniloop.loop __main__", "asyncio.unix_events __main__"]
    assert seen.read_text().splitlines() == ran * 3
    rows = {row["name"]: row for row in json.loads(result.read_text())["rows"]}
    assert {"program/elapsed", "program/processor time", "program/peak memory"} <= set(rows)
    assert {"program/loop lag, median", "program/turns"} <= set(rows)
    assert rows["program/elapsed"]["values"]["miniloop"][0] >= 0.06


def test_a_program_that_chooses_its_loop_is_not_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = write(
        tmp_path,
        """
        import asyncio, importlib, sys
        module, _, name = sys.argv[1].partition(":")
        factory = getattr(importlib.import_module(module), name)
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(asyncio.sleep(0))
        """,
    )
    arguments = ["--loops", "miniloop", "--rounds", "1", program]
    assert command.main([*arguments, "{loop}"]) == 0, "what the message below advises is of use"
    assert "| elapsed" in capsys.readouterr().out
    assert command.main([*arguments, "asyncio:SelectorEventLoop"]) == 1
    streams = capsys.readouterr()
    assert "none that asyncio was asked for" in streams.err
    assert "choose its loop by itself" in streams.err
    assert not streams.out


def test_a_program_that_fails_is_told_with_what_it_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = write(tmp_path, "raise SystemExit('nothing to do')")
    assert command.main(["--rounds", "1", program]) == 1
    assert "nothing to do" in capsys.readouterr().err


def test_a_server_that_does_not_start_is_told_with_what_it_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command.main(["--rounds", "1", "--server", "no-such-server {port}"]) == 1
    assert "there is no 'no-such-server'" in capsys.readouterr().err


def test_a_command_is_looked_for_beside_the_interpreter_and_its_peak_is_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    assert child._installed(Path(sys.executable).name) == sys.executable
    filled = b"x" * (64 * 2**20)
    code = "from benchmarks.program import child; print(child._peak())"
    peak = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert 0 < int(peak.stdout) < len(filled)


def test_a_loop_that_the_program_fails_on_is_left_out_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = write(
        tmp_path,
        """
        import asyncio

        async def main():
            assert "miniloop" not in type(asyncio.get_running_loop()).__module__, "not here"

        asyncio.run(main())
        """,
    )
    assert command.main(["--loops", "miniloop", "--rounds", "1", program]) == 0
    streams = capsys.readouterr()
    assert "not here" in streams.err
    reason = "on miniloop: on miniloop the program ended with code 1"
    assert streams.out.count(reason) == 1, "said once, and not of each row"


SERVER = """
import asyncio, sys

async def serve(reader, writer):
    try:
        while True:
            await reader.readuntil(b"\\r\\n\\r\\n")
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhello")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    async with server:
        await server.serve_forever()

try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
"""


@pytest.mark.parametrize("tool", ["wrk, if there is one", "epoll"])
def test_a_server_is_driven_from_another_process(
    tool: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if tool == "epoll":
        monkeypatch.setattr(load.shutil, "which", lambda name: None)
    program = write(tmp_path, SERVER)
    server = f"{program} {{port}}"
    arguments = ["--loops", "miniloop", "--rounds", "1", "--seconds", "0.5", "--server", server]
    assert command.main([*arguments, "--url", "/page"]) == 0, capsys.readouterr().err
    printed = capsys.readouterr().out
    assert "| a request" in printed
    assert "| latency, 99th" in printed


def test_the_client_on_epoll_says_what_it_cannot_read() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            one, _ = listener.accept()
            with one:
                one.recv(65536)
                one.sendall(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n")

        server = Thread(target=answer)
        server.start()
        with pytest.raises(load.LoadError, match="500"):
            load.drive_with_epoll(listener.getsockname()[1], "/", 1, 5)
        server.join()


def result_of(values: dict[str, list[float]], reference: str = "asyncio") -> Run:
    row = RowResult.empty(all_rows()[0], reference=reference, control=f"{reference} (control)")
    for label, found in values.items():
        for value in found:
            row.add(label, Sample(1, value, value))
    return Run({"python": sys.version}, {}, reference, 6, [row])


STEADY = [1.0, 1.01, 0.99, 1.0, 1.02, 0.98]


def compared(old: Any, new: Any, folder: Path) -> int:
    old.dump(folder / "old.json")
    new.dump(folder / "new.json")
    return compare.main([str(folder / "old.json"), str(folder / "new.json")])


def test_a_row_that_became_slower_beyond_its_spread_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = result_of({"asyncio": STEADY, "miniloop": [value / 2 for value in STEADY]})
    new = result_of({"asyncio": STEADY, "miniloop": [value / 1.5 for value in STEADY]})
    assert compared(old, new, tmp_path) == 1
    assert "worse  -25%" in capsys.readouterr().out
    assert compared(new, old, tmp_path) == 0
    assert "better +33%" in capsys.readouterr().out


def test_a_row_within_its_spread_has_not_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = result_of({"asyncio": STEADY, "miniloop": STEADY})
    new = result_of({"asyncio": STEADY, "miniloop": STEADY[::-1]})
    assert compared(old, new, tmp_path) == 0
    assert "1 figures compared: 0 worse, 0 better" in capsys.readouterr().out


def test_results_that_have_nothing_in_common_are_not_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = result_of({"asyncio": STEADY, "miniloop": STEADY})
    other = result_of({"asyncio": STEADY, "uvloop": STEADY})
    other.rows[0].name = "callbacks/another"
    assert compared(one, other, tmp_path) == 2
    assert "no row and loop in common" in capsys.readouterr().err
    third = result_of({"miniloop": STEADY}, reference="miniloop")
    assert compared(one, third, tmp_path) == 2
    assert "relative to asyncio" in capsys.readouterr().err
