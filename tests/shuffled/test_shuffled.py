"""The runner of tests in random legal orders, on a few of them; `make shuffled` runs all."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.shuffled import __main__ as shuffled
from tests.shuffled import libraries
from tests.shuffled.journal import Journal

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("test") is None
    or importlib.util.find_spec("test.test_asyncio") is None,
    reason="this interpreter has no test.test_asyncio",
)

RELIES_ON_FIFO = "test_locks.ConditionTests.test_wait_for"


def test_tests_that_do_not_rely_on_fifo_pass_in_any_order(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["test_locks", "--only", "test_locks.LockTests.test_lock*", "--orders", "5"]
    assert shuffled.main(arguments) == 0
    assert "0 do not" in capsys.readouterr().out


def test_one_that_relies_on_fifo_is_shown_to_do_so_by_asyncio(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shuffled, "LEDGER", tmp_path / "empty.toml")
    arguments = ["test_locks", "--only", RELIES_ON_FIFO, "--orders", "30"]
    assert shuffled.main(arguments) == 0
    assert f"relies on FIFO, as on asyncio: {RELIES_ON_FIFO}" in capsys.readouterr().out
    assert shuffled.main([*arguments, "--no-control"]) == 1
    assert f"UNEXPLAINED {RELIES_ON_FIFO}" in capsys.readouterr().out


def test_every_entry_of_the_ledger_has_a_reason() -> None:
    for reason, tests in shuffled.load_ledger().items():
        assert len(reason) > 40
        assert tests


def test_a_run_goes_on_where_its_journal_ends(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ["test_locks", "--only", "test_locks.LockTests.test_rel*", "--orders", "2"]
    arguments += ["--journal", str(tmp_path / "journal")]
    assert shuffled.main(arguments) == 0
    head, *outcomes = (tmp_path / "journal").read_text().splitlines(keepends=True)
    assert len(outcomes) == 2, outcomes
    told = capsys.readouterr().out.splitlines()[0]
    # One was done, and the other not quite.
    (tmp_path / "journal").write_text(head + outcomes[0] + outcomes[1][:-5])
    assert shuffled.main(arguments) == 0
    assert capsys.readouterr().out.splitlines()[0] == told
    assert len((tmp_path / "journal").read_text().splitlines()) == 3
    with pytest.raises(SystemExit, match="is the journal of"):
        shuffled.main([*arguments, "--first", "7"])


def test_tests_of_libraries_are_run_in_one_process_under_all_orders(tmp_path: Path) -> None:
    file = tmp_path / "test_it.py"
    file.write_text(
        "import asyncio, faulthandler, miniloop\n"
        "import pytest\n"
        "@pytest.fixture(params=[miniloop, asyncio], ids=['miniloop', 'asyncio'])\n"
        "def loop(request): return request.param\n"
        "def test_of_fifo(loop):\n"
        "    async def main():\n"
        "        order = []\n"
        "        async def note(n): order.append(n)\n"
        "        await asyncio.gather(*map(note, range(3)))\n"
        "        assert order == [0, 1, 2]\n"
        "    with asyncio.Runner(loop_factory=loop.new_event_loop) as runner:\n"
        "        runner.run(main())\n"
        "def test_that_hangs():\n"
        "    faulthandler.dump_traceback_later(0.01, exit=True)\n"
        "    while True: pass\n"
        "def test_that_passes(): pass\n"
    )
    journal = Journal(None)
    job = {"first": 0, "orders": 30, "limit": 60.0}
    for _ in range(2):
        libraries._run_file(str(file), job, [], journal)
    errors = {each["test"]: each["error"] for each in journal.about(str(file), "both")}
    name = {test and test.rpartition("::")[2]: error for test, error in errors.items()}
    assert list(name) == [
        "test_of_fifo[miniloop]", "test_of_fifo[asyncio]", "test_that_hangs", "test_that_passes",
        None,
    ]  # fmt: skip
    assert "order" in name["test_of_fifo[miniloop]"]
    assert "order" in name["test_of_fifo[asyncio]"]
    assert name["test_that_hangs"] == "order 0: it hung"
    assert name["test_that_passes"] is None
