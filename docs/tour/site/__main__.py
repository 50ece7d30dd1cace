"""Make the pages of the tour.

python3 -m docs.tour.site [FOLDER [NAME]]

The folder is docs/tour/pages, unless one is named; NAME is the beginning of a text's name, such as
03, and then only those pages are made.
"""

from __future__ import annotations

import re
import subprocess
import sys
from functools import partial
from html import escape
from os.path import relpath
from pathlib import Path

from docs.tour.site.markdown import render
from miniloop.study import page, read

TOUR = Path(__file__).parent.parent
ROOT = TOUR.parent.parent
FIRST = "README.md"

PROGRAM = re.compile(r"\[(\w+\.py)\]\(\1\)")
OURS = re.compile(r"((?:kernel|net|system|study)/\w+\.py|loop\.py)(?::|$)")

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<main>
{text}
</main>
</body>
</html>
"""

STYLE = """
:root { color-scheme: light dark; --line: #8885; --back: #8881; }
body { margin: 0; font: 17px/1.55 system-ui, sans-serif; }
main { max-width: 50rem; margin: 2rem auto 6rem; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.25; }
h2 { margin-top: 2.2em; }
code { font: 0.88em/1.5 ui-monospace, monospace; background: var(--back); border-radius: 3px; }
pre { padding: 0.8rem 1rem; overflow-x: auto; background: var(--back); border-radius: 6px; }
pre code { background: none; font-size: 0.78em; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { padding: 0.3rem 0.8rem 0.3rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }
iframe { width: min(76rem, 96vw); height: 640px; border: 1px solid var(--line); border-radius: 6px;
  margin-left: calc(50% - min(38rem, 48vw)); }
hr { border: 0; border-top: 1px solid var(--line); margin: 3rem 0 1rem; }
"""


def main(folder: Path, only: str = "") -> None:
    """Write a page for each text, and the recordings that are shown in them."""
    (folder / "recordings").mkdir(parents=True, exist_ok=True)
    for path in sorted(TOUR.glob(f"{only}*.md")):
        text = path.read_text(encoding="utf-8")
        html = render(text, partial(_link, folder), partial(_code, folder))
        if found := PROGRAM.search(text):
            html = _with_program(html, TOUR / found[1], folder)
        title = escape(text.partition("\n")[0].strip("# ").replace("`", ""))
        name = _page_of(path.name)
        (folder / name).write_text(
            PAGE.format(title=title, style=STYLE, text=html), encoding="utf-8"
        )
        sys.stdout.write(f"{folder / name}\n")


def _page_of(name: str) -> str:
    return "index.html" if name == FIRST else name.removesuffix(".md") + ".html"


def _link(folder: Path, target: str) -> str:
    """A link from a text, as it is to be from its page."""
    name, mark, heading = target.partition("#")
    if not name or "://" in name:
        return target
    if (TOUR / name).parent == TOUR and name.endswith(".md"):
        return _page_of(name) + mark + heading
    return relpath((TOUR / name).resolve(), folder) + mark + heading


def _code(folder: Path, text: str) -> str:
    """Code in a line; the name of a file of ours becomes a link to it."""
    html = f"<code>{escape(text, quote=False)}</code>"
    if found := OURS.match(text):
        return f'<a href="{relpath(ROOT / "miniloop" / found[1], folder)}">{html}</a>'
    return html


def _with_program(html: str, program: Path, folder: Path) -> str:
    """Show the program where it is named first, and its recording below."""
    recording = folder / "recordings" / (program.stem + ".html")
    _record(program, recording)
    source = escape(program.read_text(encoding="utf-8"), quote=False)
    listing = f'<pre tabindex="0"><code>{source}</code></pre>'
    frame = (
        f'<iframe title="The recording of {program.name}, to step through" '
        f'src="recordings/{recording.stem}.framed.html"></iframe>'
        f'<p><a href="recordings/{recording.name}">The recording, on a page of its own</a></p>'
    )
    named = html.index("</p>", html.index(f">{program.name}</a>")) + len("</p>")
    html = html[:named] + listing + html[named:]
    before, heading, after = html.partition('<h2 id="step-through-it">')
    if not heading:
        return html + frame
    title_end = after.index("</h2>") + len("</h2>")
    return before + heading + after[:title_end] + frame + after[title_end:]


def _record(program: Path, path: Path) -> None:
    recorded = path.with_suffix(".miniloop")
    subprocess.run(
        [sys.executable, "-m", "miniloop", "--record", str(recorded), str(program)],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=ROOT,
    )
    recording = read(recorded)
    page.write(recording, path)
    page.write(recording, path.with_suffix(".framed.html"), embedded=True)
    recorded.unlink()


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(Path(arguments[0]).absolute() if arguments else TOUR / "pages", *arguments[1:])
