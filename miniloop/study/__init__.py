"""See the loop: record what a program did, step through it, ask why."""

from __future__ import annotations

from miniloop.study.session import Session, recording

__all__ = ["Session", "recording"]
