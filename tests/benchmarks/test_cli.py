"""The command: what it runs, what it writes, and what it says of what it cannot do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.cli import main


def test_quick_run_prints_a_table_and_writes_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.json"
    arguments = ["--only", "callbacks/sleep-0/1", "--loops", "miniloop", "--quick"]
    assert main([*arguments, "--json", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "| sleep-0/1 |" in printed
    assert "miniloop: geometric mean" in printed
    document = json.loads(path.read_text())
    assert set(document["rows"][0]["values"]) == {"asyncio", "miniloop", "asyncio (control)"}
    assert {"date", "python", "processor", "system"} <= set(document["machine"])
    assert document["loops"]["asyncio"]
    assert main(["--from", str(path)]) == 0
    assert capsys.readouterr().out == printed


def test_list_names_loops_and_rows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    printed = capsys.readouterr().out
    assert "asyncio, miniloop" in printed
    assert "callbacks/sleep-0/1 " in printed
    assert "memory/task " in printed


def test_list_can_be_narrowed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "--only", "http/*"]) == 0
    printed = capsys.readouterr().out
    assert "http/client" in printed
    assert "callbacks" not in printed


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--only", "no/such"], "--only 'no/such' matches no benchmark"),
        (["--loops", "nonsense"], "'nonsense' is neither one of asyncio, miniloop"),
        (["--loops", "no.such:loop"], "there is no module 'no.such'"),
        (["--loops", "json:loop"], "json has no callable 'loop'"),
        (["--from", "/no/such/file"], "No such file"),
        (["--json", "/no/such/directory/x.json"], "there is no directory /no/such/directory"),
    ],
)
def test_wrong_use_is_told_in_a_line_before_anything_runs(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    streams = capsys.readouterr()
    assert complaint in streams.err
    assert streams.err.count("\n") == 1
    assert not streams.out


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--rounds", "many"], ["--fast"]])
def test_wrong_options_end_with_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_loop_that_fails_makes_the_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--only", "callbacks/sleep-0/1", "--quick"]
    arguments += ["--loops", "tests.benchmarks.test_runner:broken_loop"]
    assert main(arguments) == 1
    assert "ended with code 7" in capsys.readouterr().out
