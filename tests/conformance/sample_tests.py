"""Tests of every fate, for the tests of the harness."""

from __future__ import annotations

import asyncio
import os
import time
import unittest


class Fates(unittest.TestCase):
    def test_passes(self) -> None:
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(asyncio.sleep(0))
        finally:
            loop.close()

    def test_fails(self) -> None:
        self.fail("as it should")

    def test_fails_in_a_part(self) -> None:
        with self.subTest("the part"):
            self.fail("as the part should")

    def test_hangs(self) -> None:
        time.sleep(3600)

    def test_kills_the_process(self) -> None:
        os.abort()

    def test_skips_itself(self) -> None:
        self.skipTest("for a reason")

    def test_uses_no_loop(self) -> None:
        pass


class Spoilt(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        raise RuntimeError("spoilt from the start")

    def test_never_runs(self) -> None:
        raise AssertionError("setUpClass has failed, so this cannot run")
