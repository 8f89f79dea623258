# SPDX-License-Identifier: MIT
"""Two nodes joined by a cable: node a runs the tests, node b what node a asks for."""

import time
from collections.abc import Callable

from fabric import NODE
from nic_tools import Place, agent, tap, wait_active
from programs import run
from tap import Tests

ADDRESS = {"a": "10.88.0.1", "b": "10.88.0.2"}


def peer() -> Place:
    return Place(node="b", name="b", address=ADDRESS["b"])


def set_up_ipoib() -> None:
    """rdma_cm finds its way by the addresses of IPoIB."""
    wait_active()
    run("ip", "addr", "replace", f"{ADDRESS[NODE]}/24", "dev", "ib0")
    run("ip", "link", "set", "ib0", "up")


def ping_until_answered() -> None:
    end = time.monotonic() + 60
    while True:
        try:
            run("ping", "-c", "1", "-W", "1", ADDRESS["b"])
            return
        except AssertionError:
            if time.monotonic() > end:
                raise


def two_nodes(tests: Callable[[], Tests]) -> int:
    """Return: the exit status."""
    set_up_ipoib()
    if NODE != "a":
        return tap({"serves": agent}, all_of_them=True)
    place = peer()
    place.wait_agent()
    try:
        ping_until_answered()
        return tap(tests())
    finally:
        place.end_agent()
