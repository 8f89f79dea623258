#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Two nodes joined by a cable: IPoIB, rdma_cm, verbs."""

import os
import sys
from collections.abc import Callable

from nic_pingpong import pingpongs
from nic_tools import next_port, pair
from nic_two import ADDRESS, peer, two_nodes
from programs import run
from tap import Tests

MIX = os.environ["PEERDMA_BUILD"] + "/tests/guest/nic_mix"
UDADDY_PORT = 7174


def ipoib() -> None:
    """Datagrams as long as one packet, and longer: fragments."""
    run("ping", "-c", "5", "-i", "0.2", "-M", "do", "-s", "1900", ADDRESS["b"])
    run("ping", "-c", "5", "-i", "0.2", "-s", "20000", ADDRESS["b"])


def by_cm(program: str, port: int, server: list[str], client: list[str]) -> Callable[[], None]:
    def both() -> None:
        # To udaddy -p is something else.
        at = ["-p", str(port)] * (program != "udaddy")
        pair(peer(), [program, *server, *at], [program, *client, *at], port)

    return both


def all_transports_at_once() -> None:
    port = str(next_port())
    pair(peer(), [MIX, port], [MIX, port, "b"], int(port))


def tests() -> Tests:
    b = ADDRESS["b"]
    large = ["-V", "-C", "50", "-S", "60000"]
    return {
        "ipoib": ipoib,
        # -V compares the data.
        "rping": by_cm("rping", 7180, ["-s", "-V", "-C", "50"], ["-c", "-a", b, "-V", "-C", "50"]),
        "rping_large": by_cm("rping", 7181, ["-s", *large], ["-c", "-a", b, *large]),
        "ucmatose": by_cm("ucmatose", 7183, [], ["-s", b]),
        "ucmatose_many": by_cm(
            "ucmatose", 7182, ["-c", "8", "-C", "20"], ["-s", b, "-c", "8", "-C", "20"]
        ),
        "udaddy": by_cm("udaddy", UDADDY_PORT, [], ["-s", b]),
        **pingpongs(peer()),
        "all_transports_at_once": all_transports_at_once,
    }


sys.exit(two_nodes(tests))
