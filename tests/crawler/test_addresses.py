"""Which addresses a stranger's page may lead to."""

from __future__ import annotations

import pytest

from crawler.frontier import Guard, is_public


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::808:808",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "2001:db8::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd12::1",
        "fec0::1",
        "ff02::1",
        "192.0.0.8",
        "192.88.99.1",
        "::ffff:0:127.0.0.1",
        "100:0:0:1::1",
        "2001:20::1",
        "3fff::1",
        "5f00::1",
        "nonsense",
    ],
)
def test_what_is_not_of_the_public_internet_is_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "93.184.216.34",
        "2606:4700::1111",
        "::ffff:1.1.1.1",
        "64:ff9b::101:101",
        "2001:200::1",
    ],
)
def test_what_is_of_the_public_internet_is_allowed(address: str) -> None:
    assert is_public(address)


def test_a_host_that_the_user_named_may_be_anywhere() -> None:
    guard = Guard()
    guard.trust("intranet")
    assert guard.permit("intranet", "10.0.0.1")
    assert not guard.permit("elsewhere", "10.0.0.1")
    assert guard.permit("elsewhere", "1.1.1.1")
