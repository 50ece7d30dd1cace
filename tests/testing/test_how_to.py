"""The page "Test your asyncio program": its program fails as the page says."""

from __future__ import annotations

import linecache
import re
from pathlib import Path
from typing import Any

from miniloop.testing import find_failure
from tests.builds import pure_only

pytestmark = pure_only

PAGE = Path(__file__).parents[2] / "docs" / "test-your-program.md"


def test_the_program_of_the_page_leaves_what_the_page_shows() -> None:
    text = PAGE.read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n# account\.py\n(.*?)```", text, re.DOTALL)
    (shown,) = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    linecache.cache["account.py"] = (len(program), None, program.splitlines(True), "account.py")
    there: dict[str, Any] = {"__name__": "account"}
    try:
        exec(compile(program, "account.py", "exec"), there)
        failure = find_failure(there["test_two_payments"], save=False)
    finally:
        del linecache.cache["account.py"]
    assert failure is not None
    assert failure.story.splitlines() == shown.splitlines()
    (run,) = re.findall(r"fails in schedule (\d+)", text)
    assert failure.runs == int(run)
