"""The page as a file: one that needs nothing else, made of modules that can be joined."""

from __future__ import annotations

import base64
import json
import re
import zipfile
import zlib
from itertools import accumulate
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from miniloop.study import page
from miniloop.study.page.writing import joined_modules, packed
from tests.study.stories import kitchen

ROOT = Path(__file__).parents[2]
FILES = ROOT / "miniloop" / "study" / "page" / "files"


def test_the_page_loads_nothing_from_elsewhere() -> None:
    text = page.html(kitchen().model())
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", text)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    assert "default-src 'none'" in text


def test_a_recording_may_contain_what_ends_a_script_element() -> None:
    story = kitchen()
    story.program = "/x/<b>&.py </script><b>"
    text = page.html(story.model())
    assert "</script><b>" not in text
    assert "<title>&lt;b&gt;&amp;.py &lt;/script&gt;&lt;b&gt; ·" in text


def luminance(colour: str) -> float:
    """How light a colour is (WCAG 2.2, "relative luminance")."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_each_colour_of_code_can_be_read_on_each_mark() -> None:
    style = (FILES / "page.css").read_text("utf-8")
    themes = re.findall(r":root[^{]*\{([^}]*--runs[^}]*)\}", style)
    _, dark_by_the_system, dark_by_choice = (
        dict(re.findall(r"--([\w-]+): (#\w{6})", theme)) for theme in themes
    )
    assert dark_by_the_system == dark_by_choice
    for theme in themes:
        colours = dict(re.findall(r"--([\w-]+): (#\w{6})", theme))
        for word in (name for name in colours if name.startswith("py-")):
            for mark in ("panel", "runs", "stops", "queued"):
                dark, light = sorted(luminance(colours[name]) for name in (word, mark))
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (word, mark)


def test_what_is_packed_is_all_there() -> None:
    model = kitchen().model() | {"program": "naïve\udc80.py"}
    unpacked = json.loads(zlib.decompress(base64.b64decode(packed(model))))
    columns, events = unpacked.pop("events"), model.pop("events")
    assert unpacked == model
    times = list(accumulate(columns.pop("time")))
    causes = [e - back if back >= 0 else -1 for e, back in enumerate(columns.pop("cause"))]
    assert columns | {"time": times, "cause": causes} == events


def test_anything_with_a_model_can_be_written(tmp_path: Path) -> None:
    story = kitchen()
    page.write(story, tmp_path / "page.html", step=3)
    text = (tmp_path / "page.html").read_text("utf-8")
    assert text == page.html(story.model(), step=3)
    assert 'data-step="3"' in text


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ('import { a as b } from "./other.js";\n', "plain forms"),
        ('import * as other from "./other.js";\n', "plain forms"),
        ("export default 1;\n", "plain forms"),
        ('import { a } from "./app.js";\n', "in a circle: app.js → app.js"),
        ('import { a } from "./other.js";\nconst a = 1;\n', "'a' is taken by other.js"),
        ("// </script>\n", "would end the script"),
    ],
)
def test_modules_that_cannot_be_joined_are_refused(
    source: str, complaint: str, tmp_path: Path
) -> None:
    (tmp_path / "app.js").write_text(source)
    (tmp_path / "other.js").write_text("export const a = 1;\n")
    with pytest.raises(ValueError, match=complaint):
        joined_modules(tmp_path)


def test_a_module_stands_after_those_that_it_imports(tmp_path: Path) -> None:
    (tmp_path / "app.js").write_text('import { a } from "./other.js";\na();\n')
    (tmp_path / "other.js").write_text("export function a() {}\n")
    assert joined_modules(tmp_path) == "// ---- other.js\nfunction a() {}\n\n// ---- app.js\na();\n"


def test_every_file_of_the_page_is_in_the_wheel(tmp_path: Path) -> None:
    wheel = next(WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"]))
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    assert {path.relative_to(ROOT).as_posix() for path in FILES.iterdir()} <= inside
