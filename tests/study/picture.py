"""python -m tests.study.picture: draws docs/images/recording.png, the picture in the README.

It is what a reader sees: a recording of docs/images/kitchen.py, made and opened here, at the step
in which a cook holds the loop.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.browser import NoBrowser, start
from tests.study.opening import open_recording

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "docs" / "images" / "kitchen.py"
PICTURE = ROOT / "docs" / "images" / "recording.png"


def draw(picture: Path) -> None:
    """Record the program, open the page, and take a picture of it."""
    browser = start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "kitchen.html"
            command = [sys.executable, "-m", "miniloop", "--record", str(page), str(PROGRAM)]
            subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
            open_recording(browser, page)
            browser.run("study.go(study.hints.find((hint) => hint.kind === 'held the loop').step)")
            picture.write_bytes(browser.screenshot())
    finally:
        browser.driver.quit()


if __name__ == "__main__":
    try:
        draw(PICTURE)
    except NoBrowser as missing:
        sys.exit(f"cannot draw {PICTURE.name}: {missing}")
    print(PICTURE.relative_to(ROOT))
