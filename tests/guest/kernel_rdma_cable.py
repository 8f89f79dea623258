#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""RDMA of node a on memory of node b's accelerator, which node b registered by its pointer."""

import sys

from fabric import ask
from nic_tools import next_port, pair
from nic_two import ADDRESS, peer, two_nodes
from serve_lib import BUILD
from tap import Tests

FAR = f"{BUILD}/tests/guest/kernel_rdma_far"
MIB = 1 << 20
MANAGEMENT = 4096  # datagrams of the connection manager, which go to host memory


def data_bytes() -> dict[str, dict[str, int]]:
    """Payload that node b's NIC moved, by target and direction."""
    data = ask("counters", "b/nic0")["dma"]["data"]
    return {t: {w: data[t][w]["bytes"] for w in ("read", "write")} for t in data}


def both(mode: str) -> dict[str, dict[str, int]]:
    """Return: what node b's NIC moved meanwhile."""
    port = next_port()
    where = [ADDRESS["b"], str(port)]
    before = data_bytes()
    pair(peer(), [FAR, f"owner{mode}", *where], [FAR, f"user{mode}", *where], port)
    after = data_bytes()
    return {t: {w: after[t][w] - before[t][w] for w in after[t]} for t in after}


def written_read_and_changed() -> None:
    moved = both("")
    for way in ("read", "write"):
        host, device = moved["host"][way], moved["peer_switch"][way]
        print(f"# {way}: {device} bytes device to device, {host} of host memory")
        assert device == MIB and host <= MANAGEMENT, moved


def switched_off() -> None:
    moved = both("-away")
    print(f"# {moved['peer_switch']['write']} bytes device to device")
    assert moved["peer_switch"]["write"] == 0, moved


def tests() -> Tests:
    return {"written_read_and_changed": written_read_and_changed, "switched_off": switched_off}


if __name__ == "__main__":
    sys.exit(two_nodes(tests))
