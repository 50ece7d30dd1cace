"""Fuzzing with atheris, which finds its way by what code an input reaches.

    pip install atheris
    python -m tests.crawler.fuzzing replies -max_total_time=600
    python -m tests.crawler.fuzzing heads -max_total_time=600
    python -m tests.crawler.fuzzing pages -max_total_time=600

It begins with the corpus, and keeps what it finds to be new in a folder of its own (``--keep``).
What fails is made small and kept with the corpus, which ``test_fuzz.py`` plays back in every run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
KINDS = {"replies": CORPUS / "replies", "heads": CORPUS / "replies", "pages": CORPUS}


def targets() -> dict[str, Callable[[bytes], None]]:
    """What is fed; imported when atheris is watching."""
    from tests.crawler.test_fuzz import check_page, check_reply
    from tests.crawler.test_plain_heads import check_head

    return {"replies": check_reply, "heads": check_head, "pages": check_page}


def main() -> None:
    import atheris

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir(), "crawler-fuzz"))
    options, others = parser.parse_known_args()
    with atheris.instrument_imports(include=["crawler", "h11"]):
        target = targets()[options.kind]
    kept = options.keep / options.kind
    kept.mkdir(parents=True, exist_ok=True)
    atheris.Setup([sys.argv[0], *others, str(kept), str(KINDS[options.kind])], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
