# SPDX-License-Identifier: MIT
"""What the nic_robust tests share: the NIC as it is seen from outside, perftest under way."""

import os
import random
import signal
import subprocess
from pathlib import Path

from fabric import ask
from nic_tools import ACTIVE, PCI, device, port_state
from programs import listens, run, wait_for

PCI_NAME = os.environ["PEERDMA_SLOT_NIC0"]
DRIVER = Path("/sys/bus/pci/drivers/mlx5_core")
LIMIT = 60.0
# Kinds of transfer: a name, and the arguments of perftest.
Kind = tuple[str, list[str]]
KINDS: list[Kind] = [
    ("ib_write_bw", ["-c", "RC"]),
    ("ib_write_bw", ["-c", "UC"]),
    ("ib_write_bw", ["-c", "XRC"]),
    ("ib_read_bw", ["-c", "RC"]),
    ("ib_read_bw", ["-c", "XRC"]),
    ("ib_send_bw", ["-c", "RC"]),
    ("ib_send_bw", ["-c", "UC"]),
    ("ib_send_bw", ["-c", "UD", "-s", "2048"]),
    ("ib_send_bw", ["-c", "XRC"]),
    ("ib_atomic_bw", ["-c", "RC"]),
    ("ib_atomic_bw", ["-c", "XRC"]),
]


def objects(nic: str = "nic0") -> dict[str, int]:
    return ask("snapshot", nic)["state"]["objects"]


# ---- the device as the kernel shows it ----


def opens() -> bool:
    """What user space opens comes a little later than the device."""
    argv = ["ibv_devinfo", "-d", device()]
    return not subprocess.run(argv, capture_output=True, timeout=LIMIT, check=False).returncode


def wait_active() -> None:
    wait_for("port active", lambda: port_state() == ACTIVE and opens())


def counter(name: str) -> int:
    path = next(PCI.glob(f"infiniband/*/ports/1/counters/{name}"))
    return int(path.read_text(encoding="ascii"))


def kernel_resources() -> str:
    """Of rdma(8): pd, cq, qp, cm_id, mr, ctx, srq of the one device."""
    return run("rdma", "res").strip().partition(": ")[2].partition(": ")[2]


# ---- perftest without an end ----


class Transfer:
    """A server and a client of perftest in this node, which go on until they are ended."""

    next_port = 20000

    def __init__(self, kind: Kind) -> None:
        program, args = kind
        port = Transfer.next_port
        Transfer.next_port += 1
        self.name = " ".join([program, *args])
        self._argv = [program, "-d", device(), "-p", str(port), "-F", "-D", "1000", *args]
        self._said = ""
        before = counter("port_xmit_packets")
        self.server = self._start([])
        self.client = self.server
        try:
            wait_for(f"{self.name} listens", lambda: listens(port) or self._over())
            self.client = self._start(["localhost"])
            self.wait_packets(1, before)
        except BaseException:
            self.end()
            raise

    def _start(self, more: list[str]) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*self._argv, *more], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def _over(self) -> bool:
        return self.server.poll() is not None or self.client.poll() is not None

    def wait_packets(self, count: int, before: int | None = None) -> None:
        """Until the port has sent so many more; a transfer that ended meanwhile has failed."""
        first = counter("port_xmit_packets") if before is None else before
        wait_for(
            f"{count} packets of {self.name}",
            lambda: counter("port_xmit_packets") - first >= count or self._over(),
        )
        if self._over():
            raise AssertionError(f"{self.name} ended by itself:\n{self.end()}")

    def end(self) -> str:
        """Return: what both said."""
        for process in {self.server, self.client} if not self._said else ():
            process.send_signal(signal.SIGKILL)
            self._said += process.communicate()[0] + "\n"
        return self._said


def start_transfer(kind: Kind) -> Transfer:
    """perftest gives up where it can't calibrate its clock, which a busy host makes it: again."""
    for _ in range(8):
        try:
            return Transfer(kind)
        except AssertionError as error:
            if "Correlation coefficient" not in str(error):
                raise
    raise AssertionError(f"{kind[0]} could not calibrate its clock")


def checked_transfer() -> None:
    """The device works: bytes arrive and are compared."""
    argv = ["ibv_rc_pingpong", "-d", device(), "-p", "19999", "-e", "-c", "-n", "20"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as server:
        try:
            wait_for("pingpong listens", lambda: listens(19999) or server.poll() is not None)
            said = run(*argv, "localhost")
            server.communicate(timeout=LIMIT)
        except BaseException:
            server.kill()
            raise
    assert server.returncode == 0 and "20 iters in" in said, said


def mixed(seed: int, count: int) -> list[Kind]:
    """Every kind at least once; ib_write_bw, which waits a second before it starts, less often."""
    rng = random.Random(seed)
    kinds = list(KINDS) + [k for k in KINDS if k[0] != "ib_write_bw"] * (count // 8)
    chosen = (kinds + rng.choices(kinds, k=count))[:count]
    rng.shuffle(chosen)
    return chosen
