"""Options from a file: flags win, and what is wrong is said with its file, line and key."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from crawler.arguments import Switch
from crawler.configuration import BadConfiguration, parse, read
from crawler.options import make_parser
from tests.crawler.scripted import anchors, asked, pages, serving
from tests.crawler.test_cli import command, exit_code, run_command


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the usual file would be."""
    monkeypatch.chdir(tmp_path)
    return Path("crawler.toml")


def test_a_file_says_what_one_would_type(file: Path) -> None:
    file.write_text(
        """\
        urls = ["http://a/", "http://b/"]
        depth = 3                      # a number
        delay = 0.5
        same-site = true
        robots = false
        output = "out.jsonl"
        links = ["a", "link"]
        deny = ["/x", "[?]y"]
        "format" = "csv"
        """
    )
    options = parse(make_parser(), [])
    assert options.urls == ["http://a/", "http://b/"]
    assert (options.depth, options.delay, options.same_site, options.robots) == (
        3,
        0.5,
        True,
        False,
    )
    assert (options.output, options.format) == (Path("out.jsonl"), "csv")
    assert options.links == {"a", "link"}
    assert [each.pattern for each in options.deny] == ["/x", "[?]y"]
    assert options.timeout == 30.0
    assert options.config == file


def test_flags_win(file: Path) -> None:
    file.write_text(
        'urls = "list.txt"\ndepth = 3\nsame-site = true\ndeny = ["/x"]\nquiet = true\n'
        'robots = false\nlinks = "link"\n'
    )
    typed = "http://a/ --depth 1 --no-same-site --deny /y --deny /z --no-quiet --robots --links a"
    options = parse(make_parser(), typed.split())
    assert options.urls == ["http://a/"]
    assert (options.depth, options.same_site, options.quiet, options.robots) == (
        1,
        False,
        False,
        True,
    )
    assert [each.pattern for each in options.deny] == ["/y", "/z"]
    assert options.links == {"a"}


def test_another_file_can_be_named_or_none(file: Path) -> None:
    file.write_text("depth = 3\n")
    Path("other.toml").write_text("depth = 2\n")
    assert parse(make_parser(), []).depth == 3
    assert parse(make_parser(), ["--config", "other.toml"]).depth == 2
    assert parse(make_parser(), ["--no-config"]).depth == 0
    file.unlink()
    assert parse(make_parser(), []).depth == 0


def complaint(text: str | bytes, file: Path) -> str:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BadConfiguration) as caught:
        read(file, make_parser())
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# one\nper_host = 3\n", "2: per_host: there is no such option; did you mean per-host?"),
        ("dept = 3", "1: dept: there is no such option; did you mean depth?"),
        ("zzzzzzzz = 3", "1: zzzzzzzz: there is no such option"),
        ("\n\ndepth = true", "3: depth: must be a text or a number, got true"),
        ("depth = -1", "1: depth: must be a whole number from 0, got '-1'"),
        ("depth = [1]", "1: depth: must be a text or a number, got [1]"),
        ("timeout = 'soon'", "1: timeout: must be a number of seconds above 0, got 'soon'"),
        ("same-site = 'yes'", "1: same-site: must be true or false, got 'yes'"),
        ("format = 'xml'", "1: format: must be one of tsv, jsonl, csv, sqlite, warc, got 'xml'"),
        ("allow = ['a', '(']", "1: allow: no regular expression: '('"),
        ("links = ['a', 'b']", "1: links: "),
        ("[limits]\ndepth = 3", "1: limits: there are no tables in this file"),
        ("help = true", "1: help: there is no such option"),
        ("config = 'x'", "1: config: there is no such option"),
        ("no-robots = true", "1: no-robots: there is no such option; did you mean robots?"),
        ("depth = \n", "1: depth: Invalid value, column 9"),
        ("depth = 1\nallow = [\n  'a',\n  b]", "4: allow: Invalid value, column 3"),
        ("depth = 1\nallow = [\n  'a'", "3: allow: Unclosed array"),
        ("= 1", "1: Invalid statement, column 1"),
        ('deny = ["""\nx = 1""",\n  "x = 1",\n  "x"]\nx = 1', "5: x: there is no such option"),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_key(file: Path, text: str, said: str) -> None:
    assert complaint(text, file).startswith(f"crawler.toml:{said}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\nproxy = 'ftp://foo'", "2: proxy: ftp://foo: invalid URL"),
        ("loop = 'none'", "1: loop: the loop must be one of"),
        ("depth = 1\nca-file = 'no.pem'", "2: ca-file: cannot read certificates from no.pem"),
        ("output = 'no/such'", "1: output: cannot write no/such"),
        ("resume = true", "1: resume: --resume needs the --state"),
    ],
)
def test_what_is_found_wrong_later_has_its_line_and_key_too(
    file: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(text)
    assert exit_code(["http://127.0.0.1:9/", "-q"]) == 2
    assert capsys.readouterr().err.startswith(f"crawler: error: crawler.toml:{said}")


def test_what_is_wrong_with_a_flag_is_not_said_of_the_file(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("output = 'a/b'\ndepth = 1")
    assert exit_code(["http://a/", "-q", "--output", "no/such"]) == 2
    assert capsys.readouterr().err.startswith("crawler: error: cannot write no/such")


def test_all_that_is_wrong_is_said_at_once(file: Path) -> None:
    assert complaint("depth = 0.5\n\ndelya = 1\n", file) == (
        "crawler.toml:1: depth: must be a whole number from 0, got '0.5'\n"
        "crawler.toml:3: delya: there is no such option; did you mean delay?"
    )


def test_a_key_that_is_there_twice_is_told(file: Path) -> None:
    assert "Cannot overwrite a value" in complaint("depth = 3\ndepth = 4", file)


def test_what_is_no_text_is_told(file: Path) -> None:
    assert complaint(b"\xff\xfe", file) == "crawler.toml is not UTF-8: invalid start byte"


def test_the_command_reads_it_and_says_so(tmp_path: Path) -> None:
    with serving(pages({"/": anchors("/a"), "/a": anchors("/b"), "/b": b""})) as server:
        (tmp_path / "crawler.toml").write_text(f'urls = "{server.url}"\ndepth = 2\nrobots = false')
        done = run_command(cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stderr.startswith("crawler: options from crawler.toml\n")
        assert sorted(asked(server)) == ["/", "/a", "/b"]
    (tmp_path / "crawler.toml").write_text("wrokers = 2")
    done = run_command(cwd=tmp_path)
    assert done.returncode == 2
    assert "error: crawler.toml:1: wrokers: there is no such option" in done.stderr


def test_every_switch_can_be_turned_on_and_off() -> None:
    parser = make_parser()
    switches = [action for action in parser.actions if isinstance(action, Switch)]
    assert len(switches) > 8
    for switch in switches:
        name = next(each[2:] for each in switch.option_strings if each.startswith("--"))
        assert getattr(parser.parse_args([f"--{name}"]), switch.dest) is True
        assert getattr(parser.parse_args([f"--no-{name}"]), switch.dest) is False


# ---- completion --------------------------------------------------------------------------------


def completed(script: str, words: str, folder: Path) -> list[str]:
    """What bash offers for the last of the words."""
    lines = f"""
{script}
COMP_WORDS=({words}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)) COMP_LINE='{words}' COMP_POINT=99
COMP_TYPE=9
function_of=$(complete -p crawler | sed 's/.*-F \\([^ ]*\\).*/\\1/')
before="${{COMP_WORDS[$((COMP_CWORD - 1))]}}"
$function_of crawler "${{COMP_WORDS[$COMP_CWORD]}}" "$before" 2>/dev/null
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(
        ["bash", "--norc", "-c", lines], cwd=folder, capture_output=True, text=True, timeout=25
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_bash_completes_options_their_values_and_files(tmp_path: Path) -> None:
    done = run_command("--print-completion", "bash", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (tmp_path / "urls.txt").touch()
    assert completed(done.stdout, "crawler --max-p", tmp_path) == ["--max-pages", "--max-per-host"]
    assert completed(done.stdout, "crawler --format s", tmp_path) == ["sqlite"]
    assert "urls.txt" in completed(done.stdout, "crawler -o u", tmp_path)
    assert "fetch" in completed(done.stdout, "crawler f", tmp_path)
    assert completed(done.stdout, "crawler fetch --tim", tmp_path) == ["--timings", "--timeout"]
    assert completed(done.stdout, "crawler status --w", tmp_path) == ["--watch"]
    assert completed(done.stdout, "crawler --loop u", tmp_path) == ["uvloop"]
    assert "urls.txt" in completed(done.stdout, "crawler --state u", tmp_path)
    # Where the function has nothing to say, bash is to complete files: here, the list.
    assert not completed(done.stdout, "crawler url", tmp_path)
    assert re.search("^complete .*-o default .*crawler$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_get_a_script_too(tmp_path: Path, shell: str) -> None:
    done = run_command("--print-completion", shell, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"max-pages", done.stdout)
    assert "crawler" in done.stdout


def test_a_byte_order_mark_is_passed_over(file: Path) -> None:
    file.write_text("depth = 3\n", encoding="utf-8-sig")
    assert parse(make_parser(), []).depth == 3


@pytest.mark.parametrize("key", ["output", "report", "state", "urls"])
def test_a_nul_is_told(file: Path, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(f'{key} = "a\\u0000b"\n')
    with pytest.raises(SystemExit):
        parse(make_parser(), [])
    assert f"crawler.toml:1: {key}: must have no NUL" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full device")
def test_a_completion_that_cannot_be_written_is_told() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command("--print-completion", "bash"),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 3
    assert done.stderr == "crawler: cannot write the completion: No space left on device\n"
