#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""NVMe over Fabrics: node a uses the disk of node b, whose target stages in the disk's buffer."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from fabric import ask
from nic_tools import peer_program
from nic_two import ADDRESS, peer, two_nodes
from nvme_fabrics_target import NQN
from nvme_lib import PCI_NAME, fio_args, text
from programs import run, wait_for
from tap import Tests

MIB = 1 << 20
PAYLOAD = 16 * MIB  # written, and as much read
KEEP_ALIVE = 5
# Where the kernel finds no way between NIC and disk it stages in host memory, and says nothing.
TOPOLOGY = os.environ["PEERDMA_TOPOLOGY"]
REFUSED = TOPOLOGY == "root-ports-refused"
Moved = dict[str, int]


def target(*args: str) -> None:
    peer_program(peer(), "nvme_fabrics_target.py", *args)


def controller() -> Path | None:
    names = Path("/sys/class/nvme").glob("nvme*")
    return next((p for p in names if text(f"{p}/transport") == "rdma"), None)


def state() -> str:
    found = controller()
    return text(f"{found}/state") if found else "gone"


def disk() -> str:
    """Of the namespace, as opposed to a path to it."""
    for path in Path("/sys/block").glob("nvme*n1"):
        remote = text(f"{path}/device/subsysnqn") == NQN
        if remote and "c" not in path.name and text(f"{path}/size") not in ("", "0"):
            return f"/dev/{path.name}"
    return ""


def connect(loss: int = 60) -> None:
    run(
        "nvme", "connect", "-t", "rdma", "-a", ADDRESS["b"], "-s", "4420", "-n", NQN,
        "-k", str(KEEP_ALIVE), "-c", "1", "-l", str(loss),
    )  # fmt: skip
    wait_for("the disk of the other node", lambda: disk() and Path(disk()).is_block_device())


def disconnect() -> None:
    run("nvme", "disconnect", "-n", NQN)
    assert state() == "gone" and not disk()


def moved() -> Moved:
    """Payload in node b by who moved it and whose memory it was."""
    found: Moved = {}
    for who in ("nic0", "disk0"):
        for memory, ways in ask("counters", f"b/{who}")["dma"]["data"].items():
            kind = "peer" if memory.startswith("peer") else memory
            key = f"{who} {kind}"
            found[key] = found.get(key, 0) + ways["read"]["bytes"] + ways["write"]["bytes"]
    return found


def verify(size: int = PAYLOAD) -> Moved:
    """Return: what moved meanwhile. Pieces are too long to travel inside a command."""
    before = moved()
    run(*fio_args(disk(), "v", "--rw=randwrite", "--bsrange=16k-128k", f"--size={size}"))
    after = moved()
    return {key: after[key] - before[key] for key in after}


def staged(p2pmem: str, in_buffer: bool) -> Callable[[], None]:
    """All that is not payload is commands, and sectors which the kernel looks at by itself."""

    def test() -> None:
        target("up", p2pmem)
        connect()
        got = verify()
        disconnect()
        target("down")
        host = got["nic0 host"], got["disk0 host"]
        device = got["nic0 peer"], got["disk0 own"]
        through, beside = (device, host) if in_buffer else (host, device)
        assert min(through) >= 2 * PAYLOAD, got
        assert max(beside) < PAYLOAD // 16, got

    return test


class Load:
    """fio writing and verifying through the fabric until it is ended."""

    def __init__(self) -> None:
        argv = fio_args(
            disk(), "load", "--rw=randrw", "--bsrange=4k-64k", "--size=16M", "--time_based",
            "--runtime=1000", "--verify_backlog=64",
        )  # fmt: skip
        self.process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.wait(50)

    def wait(self, commands: int) -> None:
        def written() -> int:
            return int(ask("counters", "b/disk0")["model"]["io.write"])

        first = written()
        wait_for("writes", lambda: written() >= first + commands or self.process.poll() is not None)
        assert self.process.poll() is None, self.process.communicate()[0]

    def end(self, fine: bool) -> None:
        if fine:
            self.process.send_signal(signal.SIGINT)
        said = self.process.communicate(timeout=60)[0]
        assert ("err= 0" in said) == fine, said


def link_down_and_up() -> None:
    """Longer than the keep-alive time. What was under way is sent again, nothing is lost."""
    target("up", "0" if REFUSED else "1")
    connect()
    load = Load()
    ask("link", "nic0", up=False)
    down = time.monotonic()
    wait_for("keep-alive is over", lambda: time.monotonic() - down > 2 * KEEP_ALIVE)
    # On its way there it is "resetting" for as long as the NIC needs to give up.
    wait_for("it tries again", lambda: state() == "connecting")
    assert load.process.poll() is None, load.process.communicate()[0]
    ask("link", "nic0", up=True)
    wait_for("connected again", lambda: state() == "live")
    load.wait(50)
    load.end(fine=True)
    disconnect()
    target("down")


def target_goes() -> None:
    """Errors, not hangs; and the next target works."""
    target("up", "1")
    connect(loss=3)
    load = Load()
    target("down")
    load.end(fine=False)
    wait_for("the controller is given up", lambda: state() == "gone")
    target("up", "1")
    connect()
    verify(4 * MIB)
    disconnect()
    target("down")


def tests() -> Tests:
    found: Tests = {
        "staged_in_host_memory": staged("0", False),
        "staged_in_the_buffer_it_chose": staged("1", not REFUSED),
        "staged_in_the_buffer_by_name": staged(PCI_NAME, not REFUSED),
    }
    # Ends are the same wherever the devices are plugged in.
    if not TOPOLOGY.startswith("root-ports"):
        found["link_down_and_up"] = link_down_and_up
        found["target_goes_under_load"] = target_goes
    return found


sys.exit(two_nodes(tests))
