"""docs/crawler.md cannot lie: its commands are run, its tables are held against the code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from crawler.cli import main
from crawler.configuration import read
from crawler.demo.site import Addresses
from crawler.http.trace import STEPS
from crawler.options import make_parser
from crawler.output import FIELDS, FORMATS, HEADER, format_for
from crawler.output.database import Database
from crawler.page import KINDS
from tests.crawler.scripted import anchors, pages, serving
from tests.crawler.test_cli import ROOT
from tests.crawler.test_files import start

DOCS = (ROOT / "docs" / "crawler.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    found = re.search(
        rf"^##+ {re.escape(title)}\n(.*?)(?=^##+ |\Z)", DOCS, re.MULTILINE | re.DOTALL
    )
    assert found is not None, title
    return found[1]


def first_cells(text: str) -> list[str]:
    """The code in the first cell of each row of the tables in a text."""
    rows = re.findall(r"^\| (`[^|]*?) \|", text, re.MULTILINE)
    return [code for row in rows for code in re.findall(r"`([^`]+)`", row)]


def commands() -> list[str]:
    """What is typed in the console blocks, continued lines together."""
    found: list[str] = []
    for block in re.findall(r"^```console\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(line[2:])
            else:
                assert line.startswith("> "), line
                found[-1] += "\n" + line[2:]
    return found


# A dozen processes.
@pytest.mark.one_python
@pytest.mark.timeout(120)
def test_the_commands_work_one_after_the_other(tmp_path: Path) -> None:
    words = tmp_path / "bin"
    words.mkdir()
    module = "import sys; sys.argv[0] = 'warcio'; from warcio.cli import main; main()"
    for name, how in (("crawler", "-m crawler"), ("warcio", f'-c "{module}"')):
        (words / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {how} "$@"\n')
        (words / name).chmod(0o755)
    (words / "python3").symlink_to(sys.executable)
    folder = tmp_path / "folder"
    folder.mkdir()
    answers = {"/": anchors("/a", "/b?sort=x"), "/a": anchors("/b", "/"), "/b": b"<p>the end</p>"}
    answers["/b?sort=x"] = b""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment["PATH"] = f"{words}:{environment['PATH']}"
    printed = {}
    with serving(pages(answers)) as server:
        assert len(commands()) > 12
        for command in commands():
            words_of_it = command.replace("https://example.org", server.url)
            done = subprocess.run(
                ["bash", "-o", "pipefail", "-c", words_of_it],
                cwd=folder, env=environment, capture_output=True, text=True, timeout=25,
            )  # fmt: skip
            assert done.returncode == 0, f"{command}\n{done.stderr}"
            printed[command.split("\n")[0]] = done.stdout
        url = server.url
    assert printed["crawler fetch https://example.org"] == answers["/"].decode()
    (jsonl,) = (text for command, text in printed.items() if "--format jsonl" in command)
    assert f"200 2 {url}/a" in jsonl.splitlines()
    assert {each.name for each in folder.iterdir()} >= {
        "links.tsv", "pages.jsonl", "pages.db", "site.warc.gz", "report.html", "again.html",
    }  # fmt: skip


def test_every_option_is_in_a_table_and_no_other() -> None:
    told = {code.split()[0] for code in first_cells(section("All options"))}
    known = set()
    for action in make_parser().actions:
        names = set(action.option_strings)
        positive = {name for name in names if not name.startswith("--no-")}
        if action.default is True:  # what is told is how to turn it off
            positive = {f"--no-{name[2:]}" for name in positive}
        known |= positive or names
    assert told == known


def test_every_option_in_a_table_says_what_it_takes() -> None:
    takes = {
        code.split()[0]: code.split()[1:] for code in first_cells(section("All options"))
    }  # fmt: skip
    for action in make_parser().actions:
        name = next((each for each in action.option_strings if each.startswith("--")), None)
        if name in takes and action.dest != "format":
            metavar = [] if action.nargs == 0 else [action.metavar]
            assert takes[name] == metavar, name


def test_the_formats_and_their_endings_are_those_that_there_are() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", section("What it writes"), re.MULTILINE)
    assert [name for name, _ in rows] == list(FORMATS)
    for name, endings in rows:
        for ending in re.findall(r"`(\.[\w.]+)`", endings):
            assert format_for(Path(f"file{ending}")).name == name
    assert HEADER.split() == re.findall(r"`(\w+_url)`", section("tsv: links"))


def test_the_fields_and_phases_are_those_that_there_are() -> None:
    told = first_cells(section("jsonl and csv: records"))
    assert told == [*FIELDS, *STEPS]


def test_the_columns_are_those_that_there_are(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.db")
    database._open(append=False)
    columns = [row[1] for row in database._database.execute("pragma table_info(pages)")]
    links = [row[1] for row in database._database.execute("pragma table_info(links)")]
    database._database.close()
    text = section("sqlite: a database")
    assert sorted(first_cells(text)) == sorted(columns)
    assert all(f"`{name}`" in text for name in links)


def test_the_kinds_of_links_are_those_that_there_are() -> None:
    (row,) = re.findall(r"^\| `--links KINDS` \|(.*)\|$", DOCS, re.MULTILINE)
    assert re.findall(r"`(\w+)`", row)[: len(KINDS)] == list(KINDS)


def test_the_file_of_options_is_one(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```toml\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)
    (tmp_path / "crawler.toml").write_text(block)
    assert read(tmp_path / "crawler.toml", make_parser())["depth"] == 2


def test_links_within_the_page_lead_somewhere() -> None:
    titles = re.findall(r"^##+ (.*)$", DOCS, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
    assert set(re.findall(r"\]\(#([^)]+)\)", DOCS)) <= anchors


# ---- exit codes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        (0, ["{http}/page/0"]),
        (1, ["{http}/page/0", "{http}/missing"]),
        (2, ["--no-such-option"]),
        (2, ["no-such-list"]),
        (3, ["{http}/page/0", "-o", "/dev/full"]),
        (3, ["{http}/page/0", "-o", "/dev/full", "--format", "jsonl"]),
        (3, ["{http}/page/0", "-o", "/dev/full", "--format", "warc"]),
        (3, ["{http}/page/0", "--summary", "/dev/full"]),
        (3, ["{http}/page/0", "--report", "/dev/full"]),
        # What could not be written counts for more than what could not be fetched.
        (3, ["{http}/missing", "--report", "/dev/full"]),
        (0, ["fetch", "{http}/missing"]),
        (1, ["fetch", "{nobody}/"]),
        (2, ["fetch"]),
        (2, ["report", "no-such-file.jsonl"]),
    ],
)
def test_exit_codes_say_what_the_page_says(
    tmp_path: Path,
    at: Addresses,
    code: int,
    arguments: list[str],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        got: object = main([word.format(http=at.http, nobody=at.nobody) for word in arguments])
    except SystemExit as stop:
        got = stop.code
    said = capfd.readouterr().err
    assert got == code, said
    assert "Traceback" not in said
    assert f"\n| {code} |" in section("Exit codes")


def test_nobody_reading_the_records_is_141(tmp_path: Path, at: Addresses) -> None:
    urls = [f"{at.http}/page/{number}" for number in range(50)]
    process = start(*urls, "-o", "-", "--format", "jsonl", cwd=tmp_path, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr:
        assert "Traceback" not in process.stderr.read()
    assert process.wait(timeout=25) == 141
