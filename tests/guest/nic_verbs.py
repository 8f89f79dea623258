#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The unmodified mlx5 driver and libibverbs' tools on the NIC model, one node talking to itself."""

import os
import sys
from pathlib import Path

from nic_pingpong import pingpong, pingpongs
from nic_tools import HERE, next_port, pair, port_state, tap, wait_active
from programs import run
from tap import Tests

SLOT = os.environ["PEERDMA_SLOT_NIC0"]
DRIVER = Path("/sys/bus/pci/drivers/mlx5_core")
MIX = os.environ["PEERDMA_BUILD"] + "/tests/guest/nic_mix"


def port_is_active() -> None:
    wait_active()
    said = run("ibv_devinfo", "-v")
    assert "PORT_ACTIVE" in said and "InfiniBand" in said, said


def all_transports_at_once() -> None:
    port = str(next_port())
    pair(HERE, [MIX, port], [MIX, port, "localhost"], int(port))


def unbound_and_bound() -> None:
    (DRIVER / "unbind").write_text(SLOT, encoding="ascii")
    assert port_state() == "no RDMA device"
    (DRIVER / "bind").write_text(SLOT, encoding="ascii")
    wait_active()
    pingpong(HERE, "rc", "-c", "-n", "200")()


TESTS: Tests = {
    "port_is_active": port_is_active,
    **pingpongs(HERE),
    "all_transports_at_once": all_transports_at_once,
    "unbound_and_bound": unbound_and_bound,
}

sys.exit(tap(TESTS))
