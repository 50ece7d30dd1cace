"""Subprocesses: what goes in and comes out, what is refused, and the transport."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.system.children import WAITS, Events

Run = Callable[..., Any]


def python(code: str) -> tuple[str, str, str]:
    return sys.executable, "-c", code


# Input and output.


def test_what_goes_in_comes_out(run: Run) -> None:
    data = os.urandom(1_000_000)

    async def main() -> tuple[Any, Any]:
        child = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
        return await child.communicate(data), child.returncode

    assert run(main) == ((data, None), 0)


def test_a_shell_runs_a_command_line(run: Run) -> None:
    async def main() -> tuple[bytes, int]:
        child = await asyncio.create_subprocess_shell("echo $((6 * 7)); exit 3", stdout=PIPE)
        output, _ = await child.communicate()
        assert child.returncode is not None
        return output, child.returncode

    assert run(main) == (b"42\n", 3)


def test_the_two_outputs_are_kept_apart(run: Run) -> None:
    async def main() -> tuple[bytes, bytes]:
        child = await asyncio.create_subprocess_shell(
            "echo out; echo error >&2", stdout=PIPE, stderr=PIPE
        )
        return await child.communicate()

    assert run(main) == (b"out\n", b"error\n")


def test_the_two_outputs_can_be_one(run: Run) -> None:
    async def main() -> tuple[bytes, None]:
        child = await asyncio.create_subprocess_shell(
            "echo out; echo error >&2", stdout=PIPE, stderr=STDOUT
        )
        return await child.communicate()

    assert run(main) == (b"out\nerror\n", None)


def test_input_and_output_can_be_nowhere(run: Run) -> None:
    async def main() -> tuple[None, bytes]:
        child = await asyncio.create_subprocess_exec(
            *python("import sys; print('lost'); print(repr(sys.stdin.read()), file=sys.stderr)"),
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=PIPE,
        )
        return await child.communicate()

    assert run(main) == (None, b"''\n")


def test_output_can_go_to_a_file(run: Run, tmp_path: Path) -> None:
    async def main() -> int:
        with open(tmp_path / "output", "wb") as file:
            child = await asyncio.create_subprocess_exec("echo", "filed", stdout=file)
            return await child.wait()

    assert run(main) == 0
    assert (tmp_path / "output").read_bytes() == b"filed\n"


def test_environment_directory_and_descriptors_are_passed_on(run: Run, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    code = f"import os; os.write({writer}, (os.environ['WORD'] + os.getcwd()).encode())"

    async def main() -> int:
        child = await asyncio.create_subprocess_exec(
            *python(code), env={**os.environ, "WORD": "at "}, cwd=tmp_path, pass_fds=[writer]
        )
        return await child.wait()

    try:
        assert run(main) == 0
        assert os.read(reader, 1000).decode() == f"at {tmp_path.resolve()}"
    finally:
        os.close(reader)
        os.close(writer)


def test_a_conversation_line_by_line(run: Run) -> None:
    code = "import sys\nfor line in sys.stdin: print(line.upper(), end='', flush=True)"

    async def main() -> list[bytes]:
        child = await asyncio.create_subprocess_exec(*python(code), stdin=PIPE, stdout=PIPE)
        assert child.stdin is not None
        assert child.stdout is not None
        answers = []
        for word in (b"one\n", b"two\n", b"three\n"):
            child.stdin.write(word)
            answers.append(await child.stdout.readline())
        child.stdin.close()
        await child.stdin.wait_closed()
        assert await child.wait() == 0
        return answers

    assert run(main) == [b"ONE\n", b"TWO\n", b"THREE\n"]


def test_a_child_that_does_not_read_holds_its_writer_up(run: Run) -> None:
    async def main() -> None:
        child = await asyncio.create_subprocess_exec(*WAITS, stdin=PIPE, stdout=PIPE)
        assert child.stdin is not None
        child.stdin.write(bytes(1_000_000))
        draining = asyncio.create_task(child.stdin.drain())
        await asyncio.sleep(0)
        assert not draining.done()
        child.kill()
        await child.wait()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            await draining

    run(main)


def test_a_child_that_ends_early_does_not_disturb_communicate(run: Run) -> None:
    async def main() -> tuple[Any, Any]:
        child = await asyncio.create_subprocess_exec("true", stdin=PIPE, stdout=PIPE)
        return await child.communicate(bytes(1_000_000)), child.returncode

    assert run(main) == ((b"", None), 0)


# What is refused.


@pytest.mark.parametrize(
    "option",
    [
        {"universal_newlines": True},
        {"shell": True},
        {"bufsize": 1024},
        {"text": True},
        {"encoding": "utf-8"},
        {"errors": "strict"},
    ],
    ids=lambda option: next(iter(option)),
)
def test_what_a_transport_of_bytes_cannot_do_is_refused(run: Run, option: dict[str, Any]) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match=f"{next(iter(option))} must be"):
            await asyncio.get_running_loop().subprocess_exec(Events, "true", **option)

    run(main)


def test_a_shell_needs_a_command_line_and_a_shell(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(ValueError, match="cmd must be a string"):
            await loop.subprocess_shell(Events, ["true"])  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="shell must be True"):
            await loop.subprocess_shell(Events, "true", shell=False)  # type: ignore[call-overload]

    run(main)


# The transport.


def test_the_transport_tells_what_it_is(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.subprocess_exec(Events, *WAITS, stderr=None)
        assert isinstance(transport, asyncio.SubprocessTransport)
        process = transport.get_extra_info("subprocess")
        assert isinstance(process, subprocess.Popen)
        assert transport.get_pid() == process.pid
        assert transport.get_returncode() is None
        assert isinstance(transport.get_pipe_transport(0), asyncio.WriteTransport)
        assert isinstance(transport.get_pipe_transport(1), asyncio.ReadTransport)
        assert transport.get_pipe_transport(2) is None
        assert f"pid={process.pid}" in repr(transport)
        assert "running" in repr(transport)
        assert transport.get_protocol() is protocol
        transport.kill()
        await protocol.lost
        transport.close()
        assert "returncode=-9" in repr(transport)

    run(main)


def test_another_protocol_can_take_over(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, first = await loop.subprocess_exec(Events, "cat", stderr=None)
        second = Events()
        transport.set_protocol(second)
        stdin = transport.get_pipe_transport(0)
        assert isinstance(stdin, asyncio.WriteTransport)
        stdin.write(b"hello")
        stdin.write_eof()
        await second.lost
        transport.close()
        assert first.events == ["made"]
        assert ("data", 1, b"hello") in second.events

    run(main)
