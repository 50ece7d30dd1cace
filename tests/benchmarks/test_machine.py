"""The line that says on what machine a figure was taken."""

from __future__ import annotations

import sysconfig

import pytest

from benchmarks import machine


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("'--prefix=/opt/python' '--enable-optimizations' '--with-lto'", "with profiles (PGO)"),
        ("'--prefix=/opt/python'", "without profiles (PGO)"),
        ("'--enable-shared' '--prefix=/usr' '--libdir=/usr/lib'", "as its distribution builds it"),
        (None, "without profiles (PGO)"),
    ],
)
def test_the_build_of_the_interpreter_is_told_as_far_as_it_is_known(
    monkeypatch: pytest.MonkeyPatch, arguments: str | None, said: str
) -> None:
    monkeypatch.setattr(sysconfig, "get_config_var", {"CONFIG_ARGS": arguments}.get)
    assert machine.describe()["compiler"].endswith(f", {said}")
