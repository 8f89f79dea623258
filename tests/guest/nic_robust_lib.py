# SPDX-License-Identifier: MIT
"""What the nic_robust tests share: the fabric's view of the NIC, perftest under way, TAP."""

import fcntl
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

NODE = os.environ.get("NODE", "a")
PCI_NAME = os.environ["PEERDMA_SLOT_NIC0"]
PCI = Path("/sys/bus/pci/devices") / PCI_NAME
DRIVER = Path("/sys/bus/pci/drivers/mlx5_core")
CONTROL = Path("/dev/peerdma-control")
LOCK = Path("/run/peerdma-control.lock")
LIMIT = 60.0
ACTIVE = "4: ACTIVE"
NO_DEVICE = "no RDMA device"
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


def wait_for(what: str, ready: Callable[[], Any], limit: float = LIMIT) -> None:
    end = time.monotonic() + limit
    while not ready():
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {limit:g} s")
        time.sleep(0.01)


def run(*argv: str, limit: float = LIMIT) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=limit, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


# ---- the fabric ----


def ask(cmd: str, device: str = "nic0", **more: Any) -> dict[str, Any]:
    """One request to the fabric, of this node's NIC or of another's ("b/nic0")."""
    name = device if "/" in device else f"{NODE}/{device}"
    request = {"cmd": cmd, "device": name, **more}
    with open(LOCK, "w", encoding="ascii") as lock, open(CONTROL, "r+b", buffering=0) as port:
        fcntl.flock(lock, fcntl.LOCK_EX)
        port.write(json.dumps(request).encode() + b"\n")
        line = b""
        while not line.endswith(b"\n"):
            line += port.read(65536)
    answer = json.loads(line)
    assert answer.pop("ok"), f"{request}: {answer}"
    return next(iter(answer.values()))[name] if cmd in ("counters", "snapshot") else answer


def objects() -> dict[str, int]:
    return ask("snapshot")["state"]["objects"]


def all_dma(counters: dict[str, Any]) -> int:
    """Bytes the NIC has moved, whatever for and wherever."""
    return sum(
        way["bytes"]
        for kind in counters["dma"].values()
        for target in kind.values()
        for way in target.values()
    )


# ---- the device as the kernel shows it ----


def port_state() -> str:
    names = list(PCI.glob("infiniband/*/ports/1/state"))
    try:
        return names[0].read_text(encoding="ascii").strip() if names else NO_DEVICE
    except OSError:  # it went meanwhile
        return NO_DEVICE


def opens() -> bool:
    """What user space opens comes a little later than the device."""
    argv = ["ibv_devinfo", "-d", device()]
    return not subprocess.run(argv, capture_output=True, timeout=LIMIT, check=False).returncode


def wait_active() -> None:
    wait_for("port active", lambda: port_state() == ACTIVE and opens())


def device() -> str:
    return next(PCI.glob("infiniband/*")).name


def counter(name: str) -> int:
    path = next(PCI.glob(f"infiniband/*/ports/1/counters/{name}"))
    return int(path.read_text(encoding="ascii"))


def kernel_resources() -> str:
    """Of rdma(8): pd, cq, qp, cm_id, mr, ctx, srq of the one device."""
    return run("rdma", "res").strip().partition(": ")[2].partition(": ")[2]


def listens(port: int) -> bool:
    rows = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    rows += Path("/proc/net/tcp6").read_text(encoding="ascii").splitlines()[1:]
    columns = [row.split() for row in rows]
    return any(c[1].endswith(f":{port:04X}") and c[3] == "0A" for c in columns)


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


# ---- TAP ----


def tap(tests: dict[str, Callable[[], None]]) -> int:
    print(f"1..{len(tests)}", flush=True)
    failed = False
    for number, (name, test) in enumerate(tests.items(), start=1):
        start = time.monotonic()
        try:
            test()
            verdict = "ok"
        except Exception as error:  # those of pyverbs, too
            failed = True
            verdict = "not ok"
            for line in f"{type(error).__name__}: {error}".splitlines():
                print(f"# {line}")
        print(f"# {name}: {time.monotonic() - start:.1f} s")
        print(f"{verdict} {number} - {name}", flush=True)
    return int(failed)
