"""The runner of tests in random legal orders, on a few of them; `make shuffled` runs all."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.shuffled import __main__ as shuffled

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
