"""The tour says what is so: programs, what they print, names in our sources and in CPython's."""

from __future__ import annotations

import ast
import functools
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOUR = ROOT / "docs" / "tour"
PROGRAMS = sorted(path.name for path in TOUR.glob("*.py"))
TEXTS = sorted(path.name for path in TOUR.glob("*.md"))
STEPS = [name for name in TEXTS if re.match(r"\d\d-", name)]

A_PAGE = 75  # lines
PATIENCE = 60  # seconds

# The map is of this version; a name may be another one in the next.
ON_THE_MAP = sys.version_info[:2] == (3, 13)

COMMAND = re.compile(r"```console\n\$ python3 (.*)\n((?:.*\n)*?)```")
# `kernel/task.py: Task._run`, `asyncio/tasks.py: sleep`: a file, and a name in it.
PLACE = re.compile(r"`((?:\w+/)*\w+\.py): ([\w.]+)`")
OURS = ("kernel", "net", "system", "study", "testing", "swap", "compiled")
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
MEASURED = re.compile(r"\d+(?:\.\d+)?(?= (?:ms|s|KiB)\b)")


def text_of(name: str) -> str:
    return (TOUR / name).read_text(encoding="utf-8")


def run(command: str) -> str:
    """What a command of the tour prints, given in the folder of the checkout, with no help."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
    }
    # Without what is installed: it must do with the checkout. The loop itself warns of that.
    alone = [] if command.startswith("-m") else ["-S", "-W", "error"]
    done = subprocess.run(
        [sys.executable, *alone, *command.split()],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=environment,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def promises() -> list[tuple[str, str, str]]:
    """Of all texts: the name, a command, and what the text says that it prints."""
    found = []
    for name in TEXTS:
        found += [(name, command, shown) for command, shown in COMMAND.findall(text_of(name))]
    return found


@pytest.mark.parametrize(("name", "command", "shown"), promises())
def test_a_program_prints_what_the_text_shows(name: str, command: str, shown: str) -> None:
    printed = MEASURED.sub("N", run(command)).splitlines()
    expected = MEASURED.sub("N", shown).splitlines()
    if name == "04-timers.md":  # on a busy machine two timers may be due at once
        assert set(printed) == set(expected)
    elif "10_turn_by_turn" in command and not ON_THE_MAP:  # how asyncio shows its handles
        assert [line.split("Handle")[0] for line in printed] == [
            line.split("Handle")[0] for line in expected
        ]
    else:
        assert printed == expected


def test_each_program_is_shown_and_fits_on_a_page() -> None:
    shown = {command.split("/")[-1] for _, command, _ in promises()}
    assert shown == set(PROGRAMS)
    assert len(STEPS) == 10
    for name in PROGRAMS:
        lines = (TOUR / name).read_text(encoding="utf-8").splitlines()
        assert len(lines) <= A_PAGE, name


def test_a_program_relies_on_nothing_that_is_not_there() -> None:
    for name in PROGRAMS:
        for node in ast.walk(ast.parse((TOUR / name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [node.module or "."]
            else:
                continue
            assert {module.split(".")[0] for module in modules} <= sys.stdlib_module_names, name


def test_each_step_has_a_recording_an_exercise_and_the_real_thing() -> None:
    for number, name in enumerate(STEPS, 1):
        text = text_of(name)
        assert f"--record step.html docs/tour/{number:02}_" in text, name
        assert f"python3 -m miniloop.study check {number} " in text, name
        table = text.partition("## The real thing")[2]
        files = [file for file, _ in PLACE.findall(table)]
        assert any(file.startswith("asyncio/") for file in files), name
        assert any(file.split("/")[0] in (*OURS, "loop.py") for file in files), name


# Names in sources.


@functools.cache
def names_in(path: Path) -> frozenset[str]:
    """All that a file defines: functions, classes, their methods, attributes and slots."""
    found: set[str] = set()

    def targets(node: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
        return node.targets if isinstance(node, ast.Assign) else [node.target]

    def look(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, (ast.If, ast.Try, ast.With)):
                look(node.body + getattr(node, "orelse", []), prefix)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                found.add(prefix + node.name)
                if isinstance(node, ast.ClassDef):
                    look(node.body, f"{prefix}{node.name}.")
                elif prefix:
                    for inner in ast.walk(node):
                        if isinstance(inner, (ast.Assign, ast.AnnAssign)):
                            found.update(
                                prefix + target.attr
                                for target in targets(inner)
                                if isinstance(target, ast.Attribute)
                            )
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                found.update(
                    prefix + target.id for target in targets(node) if isinstance(target, ast.Name)
                )

    look(ast.parse(path.read_text(encoding="utf-8")).body, "")
    return frozenset(found)


def places(name: str) -> list[tuple[Path, str]]:
    """The places that a text names: the file, and the name in it."""
    library = Path(sysconfig.get_path("stdlib"))
    found = []
    for file, within in PLACE.findall(text_of(name)):
        if file.split("/")[0] in (*OURS, "loop.py"):
            found.append((ROOT / "miniloop" / file, within))
        elif file.split("/")[0] in ("crawler", "benchmarks", "tests"):
            found.append((ROOT / file, within))
        elif ON_THE_MAP:
            found.append((library / file, within))
    return found


@pytest.mark.parametrize("name", TEXTS)
def test_what_a_text_names_is_in_the_sources(name: str) -> None:
    found = places(name)
    assert found or not PLACE.search(text_of(name)) or not ON_THE_MAP
    for path, within in found:
        assert path.is_file(), path
        assert within in names_in(path), f"{path}: {within}"


def test_a_name_that_is_not_there_would_be_found() -> None:
    names = names_in(ROOT / "miniloop" / "kernel" / "scheduler.py")
    assert {"Scheduler", "Scheduler.run_turns", "Scheduler.timer_limit", "MOST_TURNS"} <= names
    assert "Scheduler.no_such_name" not in names


def test_the_glossary_has_each_word_once_in_order_and_in_use() -> None:
    words = re.findall(r"^## (.+)$", text_of("glossary.md"), re.MULTILINE)
    assert len(words) == len(set(words)) == text_of("glossary.md").count("In the code:")
    assert words == sorted(words)
    assert {"entry", "handle", "future", "task", "waiter", "watch", "turn", "poll", "eager"} < {
        *words
    }
    sources = "\n".join(
        path.read_text(encoding="utf-8")
        for room in ("kernel", "net")
        for path in (ROOT / "miniloop" / room).glob("*.py")
    ).lower()
    for word in words:
        spelled = re.escape(word).replace(r"\ ", "[ _]")
        assert re.search(rf"\b_?{spelled}", sources), word


def test_the_files_in_which_most_happens_begin_with_their_invariants_and_their_trap() -> None:
    named = text_of("README.md").partition("The eight in which")[2]
    files = re.findall(r"\w+", named.partition("(")[2].partition(")")[0])
    assert len(files) == 8
    for name in files:
        source = (ROOT / "miniloop" / "kernel" / f"{name}.py").read_text(encoding="utf-8")
        essay = ast.get_docstring(ast.parse(source)) or ""
        assert "Invariants:" in essay, name
        assert re.search("^The (one )?trap:", essay, re.MULTILINE), name


def test_the_map_has_what_a_loop_is_made_of() -> None:
    """Each file of the loop that has a public class or function of that name is on it."""
    named = {file for file, _ in PLACE.findall(text_of("map.md"))}
    known = {path.name for path in (ROOT / "miniloop").rglob("*.py")}
    assert {Path(file).name for file in named if file.split("/")[0] in OURS} <= known
    for essential in ("scheduler", "timers", "poller", "wakeup", "future", "task", "handle"):
        assert f"kernel/{essential}.py" in named


# Links.


def anchors(path: Path) -> set[str]:
    """How GitHub names the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")
        for heading in headings
    }


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_somewhere(name: str) -> None:
    for file, anchor in LINK.findall(text_of(name)):
        if file.startswith("http"):
            continue
        path = (TOUR / file).resolve() if file else TOUR / name
        assert path.exists(), file
        if anchor:
            assert anchor in anchors(path), f"{file}#{anchor}"


def test_each_question_has_an_answer_of_its_own() -> None:
    questions = text_of("README.md").partition("## Questions")[2].partition("\n## ")[0]
    rows = [row for row in questions.splitlines() if row.startswith("| ")][2 - 1 :]
    assert len(rows) >= 10
    answers = [LINK.search(row.split("|")[2]) for row in rows]
    assert all(answers)
    assert len({answer.groups() for answer in answers if answer}) == len(rows)
    for topic in ("Ctrl-C", "drain", "uncancel", "timer"):
        assert any(topic in row for row in rows), topic
