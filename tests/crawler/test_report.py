"""What the report counts, and that its memory does not grow with the crawl."""

from __future__ import annotations

import json
import random
import re
import subprocess
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crawler.demo.site import Addresses, Site
from crawler.output import Exchange, Record
from crawler.report import About, Tally, render
from crawler.report.bounded import Heaviest, Links
from crawler.report.histogram import Histogram
from crawler.report.timeline import MOST_STEPS, Timeline
from crawler.report.tree import MOST_PARTS, Tree
from tests.crawler.scripted import anchors, pages, serving
from tests.crawler.test_cli import ROOT, command, run_command

Run = Callable[..., Any]


def data_in(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def rounded(data: Any) -> Any:
    """Numbers to the microsecond: a sum depends a little on the order of what is added."""
    if isinstance(data, dict):
        return {name: rounded(value) for name, value in data.items()}
    if isinstance(data, list):
        return [rounded(value) for value in data]
    return round(data, 6) if isinstance(data, float) else data


def page_of(*records: Record, what: str = "h") -> str:
    tally = Tally()
    for record in records:
        tally.add(record)
    return render(tally, About(what))


# ---- the parts ---------------------------------------------------------------------------------


def test_shares_of_a_histogram_are_right_to_within_an_eighth() -> None:
    randomly = random.Random(3)
    histogram = Histogram()
    times = [randomly.lognormvariate(-4, 2) for _ in range(5000)]
    for seconds in times:
        histogram.add(seconds)
    times.sort()
    for share in (0.01, 0.5, 0.9, 0.99):
        exact = times[int(share * len(times))]
        assert exact / 1.13 < histogram.at(share) < exact * 1.13
    assert histogram.at(1) == histogram.longest == times[-1]
    assert len(histogram.counts) < 80


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 1e-5, 0.3, 999.0, 1e9])
def test_a_histogram_of_one_time_is_that_time(seconds: float) -> None:
    histogram = Histogram()
    histogram.add(seconds)
    assert histogram.number == 1
    assert histogram.at(0.5) <= max(seconds, 1.3e-5)
    assert histogram.data()["longest"] == seconds


def test_a_timeline_forgets_nothing_as_its_steps_grow() -> None:
    timeline = Timeline(("pages",))
    for second in range(10_000):
        timeline.add(timeline.at(1000.0 + second), "pages")
    timeline.add(timeline.at(999.0), "pages")  # a clock that was put back
    data = timeline.data()
    sums: Any = data["pages"]
    assert sum(sums) == 10_001
    assert len(sums) <= MOST_STEPS
    assert len(sums) * timeline.step >= 10_000


def test_the_heaviest_are_kept_and_what_is_forgotten_is_counted() -> None:
    things = Heaviest(10, lambda: [0], lambda thing: thing[0])
    for number in range(100):
        things[f"light {number}"][0] += 1
        things["heavy"][0] += 5
    ((name, weight), *_) = things.heaviest(3)
    assert (name, weight) == ("heavy", [500])
    assert len(things.known) <= 20
    assert things.forgotten + len(things.known) == 101


def test_the_most_linked_are_kept_with_a_page_that_links_there() -> None:
    links = Links(100)
    for number in range(1000):
        links.add(f"page {number}", ["all", f"own {number}"])
    assert links.most_linked(1) == [("all", 1000)]
    assert links.page_with("all") == "page 0"
    assert links.page_with("own 500") in ("", "page 500")
    assert links.forgotten > 700


def test_a_tree_of_too_many_parts_still_counts_each_page() -> None:
    tree = Tree()
    for number in range(MOST_PARTS + 500):
        tree.add("http://h", f"/a/{number}", number % 2 == 0, 10, 0.5)
    data: Any = tree.data()
    assert data["pages"] + data["failed"] == MOST_PARTS + 500
    (host,) = data["parts"]
    (folder,) = host["parts"]
    assert folder["pages"] + folder["failed"] == MOST_PARTS + 500
    assert folder["more"] > MOST_PARTS - 100
    assert len(json.dumps(data)) < 10_000


@pytest.mark.parametrize("kind", ["links", "urls", "folders", "types", "details", "hosts"])
def test_a_hostile_site_takes_no_more_memory_than_there_is_room_for(kind: str) -> None:
    long = "x" * 30_000
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    tally = Tally()
    for number in range(400):
        record = Record(f"http://h/{number}", 0, number, 200, seconds=1.0)
        if kind == "links":
            record.links = [f"http://h/{number}/{long}/{other}" for other in range(30)]
        elif kind == "urls":
            record.url = f"http://h/{number}{long}"
        elif kind == "folders":
            record.url = f"http://h/{number}{'/a' * 9_000}"
        elif kind == "types":
            record.type = f"{number}/{long}"
        elif kind == "details":
            record.status, record.error, record.detail = number, "status", long + str(number)
            record.exchanges = [Exchange("", 0.0, "", bytearray(), bytearray(30_000))]
        else:
            record.url = f"http://{number}.{long[:200]}/"
        tally.add(record)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size - before < 3_000_000
    assert len(json.dumps(tally.data())) < 500_000


def test_links_are_counted_without_holding_the_loop() -> None:
    tally = Tally()
    longest = 0.0
    for number in range(40):
        links = [f"http://h/{number}/{other}" for other in range(2_000)]
        began = time.process_time()
        tally.add(Record(f"http://h/{number}", 0, number, 200, links=links))
        longest = max(longest, time.process_time() - began)
    assert longest < 0.25  # a hundredth of a second, on a machine that does nothing else


# ---- the whole ---------------------------------------------------------------------------------


def test_each_record_is_counted_where_it_belongs() -> None:
    data = data_in(
        page_of(
            Record("http://h/a", 0, 5.0, 200, type="text/html", size=10, decoded_size=30,
                   seconds=1.0, timings={"resolve": 0.25}, links=["http://h/b", "http://x/"]),
            Record("http://h/b", 1, 6.0, 404, size=1, error="status", detail="404 Not Found"),
            Record("http://u:p@h/c?q#f", 1, 6.0, 302, final_url="http://h/d"),
            Record("http://h/d", 1, 6.0, None, error="timeout", detail="too long", seconds=30.0),
            Record("http://h/e", 1, 6.0, None, error="robots.txt", detail="no"),
        )
    )  # fmt: skip
    assert (data["pages"], data["failed"], data["redirected"], data["leftOut"]) == (1, 2, 1, 1)
    assert (data["received"], data["decoded"], data["links"]) == (11, 30, 2)
    assert data["statuses"] == [[200, 1], [302, 1], [404, 1]]
    assert [(each["reason"], each["number"]) for each in data["failures"]] == [
        ("status 404", 1),
        ("timeout", 1),
    ]
    assert data["failures"][0]["examples"] == [
        {"url": "http://h/b", "detail": "404 Not Found", "on": "http://h/a"}
    ]
    assert {each["name"]: each["total"] for each in data["phases"]} == {
        "resolve": 0.25,
        "rest": 0.75,
    }
    ((host),) = data["hosts"]
    assert (host["host"], host["pages"], host["failed"]) == ("http://h", 2, 2)
    assert data["slowest"][0] == ["http://h/d", 30.0]
    assert sum(data["timeline"]["pages"]) == 1
    assert sum(data["timeline"]["failed"]) == 2


def test_what_strangers_write_stays_text() -> None:
    nasty = "http://h/</script><script>alert(1)</script><!--"
    page = page_of(
        Record(nasty, status=200, links=[nasty], type="</style>"),
        Record(nasty, error="</script>", detail="<img src=x onerror=alert(1)>"),
        what="<b>'\"&",
    )
    assert data_in(page)["linked"][0][0] == nasty
    assert page.count("</script>") == 2
    assert "<img" not in page
    assert "<title>Crawl of &lt;b&gt;&#x27;&quot;&amp;</title>" in page


def test_the_page_needs_nothing_else() -> None:
    page = page_of(Record("http://h/a", status=200))
    assert not re.findall(r'(?:src|href)="(?!#|data:)', page)
    assert "import " not in re.sub(r"//.*", "", page).replace("@import", "")
    assert "{{" not in page
    assert "default-src 'none'" in page


# ---- the command -------------------------------------------------------------------------------


@pytest.mark.parametrize("loop", ["miniloop", "asyncio", "uvloop"])
def test_a_crawl_draws_itself_alike_on_every_loop(
    tmp_path: Path, site: Site, at: Addresses, loop: str
) -> None:
    pytest.importorskip(loop)
    expected = site.within(at, 3)
    done = run_command(
        *(f"{at.http}/page/0", "--depth", 3, "--allow", f"^{at.http}/", "--loop", loop),
        *("--report", "report.html"),
        cwd=tmp_path,
    )
    assert done.returncode == 1, done.stderr
    data = data_in((tmp_path / "report.html").read_text())
    assert (data["pages"], data["failed"]) == (expected.pages, expected.failures.total())
    assert data["leftOut"] == expected.disallowed
    assert {each["name"] for each in data["phases"]} >= {
        "acquire", "connect_tcp", "send_request", "receive_head", "rest",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["pages.jsonl", "pages.db"])
def test_records_can_be_drawn_later_and_show_the_same(
    tmp_path: Path, at: Addresses, name: str
) -> None:
    done = run_command(
        *(f"{at.http}/page/0", f"{at.http}/missing", "-o", name, "--report", "now.html"),
        cwd=tmp_path,
    )
    assert done.returncode == 1, done.stderr
    later = run_command("report", name, "-o", "later.html", cwd=tmp_path)
    assert later.returncode == 0, later.stderr
    now, then = (data_in((tmp_path / f"{when}.html").read_text()) for when in ("now", "later"))
    for each in (now, then):
        del each["took"], each["timeline"]
        each["slowest"].sort()
    assert rounded(now) == rounded(then)


@pytest.mark.parametrize(
    ("name", "pages_shown"), [("pages.jsonl", 3), ("pages.db", 3), ("pages.csv", 1)]
)
def test_a_crawl_that_was_gone_on_with_is_drawn_as_a_whole_if_it_can_be(
    tmp_path: Path, name: str, pages_shown: int
) -> None:
    (tmp_path / "urls.txt").touch()
    arguments = ("urls.txt", "--state", "s", "--resume", "-o", name, "--report", "report.html")
    with serving(pages({f"/{number}": b"" for number in range(3)})) as server:
        for listed in ((0, 1), (0, 1, 2)):
            (tmp_path / "urls.txt").write_text("".join(f"{server.url}/{n}\n" for n in listed))
            done = run_command(*arguments, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
    page = (tmp_path / "report.html").read_text()
    assert data_in(page)["pages"] == pages_shown
    assert ("Only what was done since" in page) == (pages_shown == 1)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.jsonl", None, "cannot read none.jsonl: No such file or directory"),
        ("bad.jsonl", '{"url": "http://h/"}\n', "line 1 is no record: 'depth'"),
        ("bad.db", "no database at all" * 99, "it is no SQLite database"),
        ("links.tsv", "", "its name must end in .jsonl, .json, .db or .sqlite"),
    ],
)
def test_what_holds_no_records_is_told(
    tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    done = run_command("report", name, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "report.html").exists()


def test_a_report_that_cannot_be_written_is_3(tmp_path: Path) -> None:
    with serving(pages({"/": anchors("/a")})) as server:
        done = run_command(server.url, "-o", "x.jsonl", "--report", "/dev/full", cwd=tmp_path)
        assert done.returncode == 3
        assert "cannot write the report /dev/full: No space left on device" in done.stderr
        never = run_command(server.url, "--report", "no/such/file", cwd=tmp_path)
        assert never.returncode == 2
        assert "cannot write no/such/file" in never.stderr
    later = run_command("report", "x.jsonl", "-o", "no/such/file", cwd=tmp_path)
    assert later.returncode == 3


def test_the_report_can_go_to_standard_output_and_tells_no_passwords(tmp_path: Path) -> None:
    with serving(pages({"/": anchors("/a")})) as server:
        url = server.url.replace("http://", "http://me:secret@")
        # As a page, and as one that fails.
        done = subprocess.run(
            [*command(url, f"{url}/none", "-o", "x.tsv", "--report", "-")],
            cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
            timeout=25, check=False,
        )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert (data_in(done.stdout)["pages"], data_in(done.stdout)["failed"]) == (1, 1)
    assert "secret" not in done.stdout


def test_what_several_workers_did_is_drawn_from_their_records(
    tmp_path: Path, site: Site, at: Addresses
) -> None:
    expected = site.within(at, 3)
    arguments = (f"{at.http}/page/0", "--depth", 3, "--allow", f"^{at.http}/", "--workers", 2)
    done = run_command(*arguments, "-o", "p.db", "--report", "report.html", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    data = data_in((tmp_path / "report.html").read_text())
    assert (data["pages"], data["failed"]) == (expected.pages, expected.failures.total())
    assert {each.name for each in tmp_path.iterdir()} == {"p.db", "report.html"}
    done = run_command(*arguments, "-o", "p.tsv", "--report", "report.html", cwd=tmp_path)
    assert done.returncode == 2
    assert "--report with --workers needs records" in done.stderr
