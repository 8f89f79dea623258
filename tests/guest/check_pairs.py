#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""peerdma check --measure on every ordered pair of NIC, two accelerators and disk: predicted, asked
from the kernel and measured are the same, or nothing can measure the pair and the reason is given.

Who has which device decides what can be tried, so there are steps. A pair counts as measured when
one step has measured it; a step that cannot must say why, in the words that stand here.
"""

import fcntl
import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

BUILD = os.environ["PEERDMA_BUILD"]
CONTROL = "/dev/peerdma-control"
DISK = "/dev/nvme0n1"
LOCK = "/run/peerdma-control.lock"
TOPOLOGY = os.environ["PEERDMA_TOPOLOGY"]
IOMMU = os.environ["PEERDMA_IOMMU"] == "1"
REFUSED = TOPOLOGY == "root-ports-refused"
NAMES = ("nic0", "acc0", "acc1", "disk0")
SLOT = {name: os.environ[f"PEERDMA_SLOT_{name.upper()}"] for name in NAMES}
PAIRS = list(itertools.permutations(NAMES, 2))
ACCELERATORS = ("acc0", "acc1")
PCI = Path("/sys/bus/pci")
MIB = 1 << 20
PEERS = ("peer_switch", "peer_bridge", "peer_qemu")
# Where the fabric counts what moved by a way that the prediction names. A mapping made by the
# IOMMU goes up to the host bridge in any case.
ROUTE = "peer_switch" if TOPOLOGY.startswith("switch") else "peer_bridge"

# What is planted where the disk reaches a peer, and what that is called.
FAULTS = (
    ("dma.peer.write", "drop", "silent-corruption"),
    ("dma.peer.write", "corrupt", "silent-corruption"),
    ("dma.peer.read", "drop", "writes-only"),
    ("dma.peer.read", "corrupt", "writes-only"),
)

Pair = tuple[str, str]


def drive_is_the_kernels() -> str:
    return f"; {'bind the drive to vfio-pci' if IOMMU else 'unbind the drive from its driver'}"


def reason(pair: Pair) -> str | None:
    """What must be said of a pair that the first step can't measure; None: it must measure it."""
    initiator, target = pair
    if initiator in ACCELERATORS and target == "disk0":
        return drive_is_the_kernels()
    if (initiator, target) == ("disk0", "nic0"):
        return "does not take the mapping of {nic0} (Bad address): it has no pages, and its driver"
    if IOMMU:
        return None
    if initiator in ACCELERATORS and target == "nic0":
        return "; only an IOMMU could be given the mapping its driver makes"
    return None


# Of an accelerator that no driver has, which is possible only where there is no IOMMU.
BARE = {
    ("nic0", "acc0"): "has neither dma-buf nor pages to register; bind it to peerdma_vfio",
    ("disk0", "acc0"): "(Bad address): it has no pages; bind it to peerdma_vfio",
}


class Found:
    """One direction of what a run of peerdma check said."""

    def __init__(self, found: dict, routes: dict[str, int], status: int | None) -> None:
        self.predicted, self.kernel = found["predicted"], found["kernel"]
        self.measured, self.final = found["measured"], found["final"]
        self.agrees = found["agrees"]
        self.routes = routes
        self.how = self.measured["how"]
        self.status = status

    @property
    def is_measured(self) -> bool:
        return self.measured["write"] != "not run"

    @property
    def text(self) -> str:
        if not self.is_measured:
            return "not"
        both = {self.measured["write"], self.measured["read"]}
        return both.pop() if len(both) == 1 else f"{self.measured['write']}/{self.measured['read']}"


def control(cmd: str, **more: object) -> dict:
    """By hand: starting a program for it takes longer than a trial."""
    with open(LOCK, "w", encoding="ascii") as lock, open(CONTROL, "r+b", buffering=0) as port:
        fcntl.flock(lock, fcntl.LOCK_EX)
        port.write(json.dumps({"cmd": cmd, **more}).encode() + b"\n")
        line = b""
        while not line.endswith(b"\n"):
            line += port.read(65536)
    answer = json.loads(line)
    assert answer["ok"], f"{cmd}: {answer}"
    return answer


def model(name: str) -> str:
    return f"{os.environ.get('NODE', 'a')}/{name}"


def moved(name: str) -> dict[str, int]:
    """Payload bytes by way."""
    data = control("counters", device=model(name))["counters"][model(name)]["dma"]["data"]
    return {peer: sum(data[peer][way]["bytes"] for way in ("read", "write")) for peer in PEERS}


def check(pair: Pair) -> tuple[Found, Found]:
    """Both directions. The exit status is about the first."""
    before = [moved(name) for name in pair]
    done = subprocess.run(
        [f"{BUILD}/cli/peerdma", "check", "--measure", "--json", *(SLOT[n] for n in pair)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout, f"exit status {done.returncode}: {done.stderr}"
    assert not done.stderr, done.stderr
    after = [moved(name) for name in pair]
    routes = [{peer: a[peer] - b[peer] for peer in PEERS} for a, b in zip(after, before)]
    there, back = json.loads(done.stdout)["directions"]
    return Found(there, routes[0], done.returncode), Found(back, routes[1], None)


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="ascii")


def unbind(name: str) -> None:
    driver = PCI / "devices" / SLOT[name] / "driver"
    if driver.exists():
        write(driver / "unbind", SLOT[name])


def driver_of(name: str) -> str | None:
    link = PCI / "devices" / SLOT[name] / "driver"
    return link.resolve().name if link.exists() else None


def bind(name: str, driver: str) -> None:
    unbind(name)
    write(PCI / "devices" / SLOT[name] / "driver_override", driver)
    write(PCI / "drivers_probe", SLOT[name])
    assert driver_of(name) == driver, f"{name} is not bound to {driver}"


def drive_to_programs() -> None:
    if IOMMU:
        bind("disk0", "vfio-pci")
    else:
        unbind("disk0")


def compare(pair: Pair, found: Found) -> None:
    """What was measured is right in all it says."""
    want = "no" if REFUSED else "yes"
    predicted, kernel = found.predicted["answer"], found.kernel["answer"]
    assert (predicted, kernel) == (want, want), f"{predicted}, {kernel} ({found.kernel['how']})"
    assert found.final["answer"] == want, found.final
    if REFUSED:
        assert found.text != "good" and "good" not in found.text, found.measured
        assert found.status in (None, 10, 20), found.status
        assert not any(found.routes.values()), found.routes
        return
    assert found.text == "good", found.measured
    assert found.agrees and not found.status, (found.agrees, found.status)
    route = "peer_bridge" if pair[1] == "nic0" else ROUTE
    length = found.measured["length"]
    assert length >= 65536 and found.routes[route] >= 2 * length, (length, found.routes)
    assert sum(found.routes.values()) == found.routes[route], found.routes


def excuse(pair: Pair, found: Found, why: str) -> None:
    """Not measured, and it is said why."""
    want = why.format(**SLOT)
    assert found.how.startswith("cannot be measured: "), found.how
    assert want in found.how, f"'{found.how}' does not say '{want}'"
    assert found.measured["read"] == "not run", found.measured
    assert found.predicted["answer"] == found.kernel["answer"], found.kernel
    assert found.final["answer"] == found.predicted["answer"], found.final
    assert found.status in (None, 10, 20) if REFUSED else not found.status, found.status


def read_disk(length: int) -> bytes:
    with open(DISK, "rb", buffering=0) as disk:
        os.posix_fadvise(disk.fileno(), 0, length, os.POSIX_FADV_DONTNEED)
        return disk.read(length)


def write_disk(data: bytes) -> None:
    with open(DISK, "r+b", buffering=0) as disk:
        assert disk.write(data) == len(data)
        os.fsync(disk.fileno())


class Before:
    """Who has what when the test begins, for the tests that come after it in the same guest."""

    def __init__(self) -> None:
        self.driver = {name: driver_of(name) for name in (*ACCELERATORS, "disk0")}
        self.override = {
            name: (PCI / "devices" / SLOT[name] / "driver_override").read_text(encoding="ascii")
            for name in self.driver
        }
        self.disk = read_disk(MIB)

    def restore(self) -> None:
        for name, driver in self.driver.items():
            if driver_of(name) == driver:
                continue
            unbind(name)
            text = self.override[name].strip()
            override = "\n" if text == "(null)" else text
            write(PCI / "devices" / SLOT[name] / "driver_override", override)
            if driver:
                write(PCI / "drivers_probe", SLOT[name])
                assert driver_of(name) == driver, f"{name}: {driver_of(name)}, not {driver}"
        for module in ("peerdma_vfio", "peerdma"):
            if Path("/sys/module", module).exists():
                subprocess.run(["rmmod", module], check=True)
        end = time.monotonic() + 30
        while not Path(DISK).is_block_device():
            assert time.monotonic() < end, f"{DISK} does not come back"
            time.sleep(0.01)
        write_disk(self.disk)


class Matrix:
    """One test a pair."""

    def __init__(self) -> None:
        self.found: dict[Pair, Found] = {}
        self.wrong: dict[Pair, str] = {}
        self.faulty: dict[tuple[str, str], str] = {}
        self.changed: str | None = None

    def look(self, pair: Pair, reasons: dict[Pair, str]) -> None:
        """Both directions. One with a reason must not be measured, the other must."""
        back = (pair[1], pair[0])
        try:
            found = dict(zip((pair, back), check(pair)))
        except (AssertionError, OSError, subprocess.SubprocessError, KeyError) as error:
            self.wrong[pair] = self.wrong[back] = f"{type(error).__name__}: {error}"
            return
        for way, one in found.items():
            self.judge(way, one, reasons.get(way))

    def judge(self, pair: Pair, found: Found, why: str | None) -> None:
        # What one step has measured another may find closed: the best is shown.
        if found.is_measured or pair not in self.found:
            self.found[pair] = found
        try:
            if why:
                assert not found.is_measured, f"measured, against '{why}'"
                excuse(pair, found, why)
            else:
                assert found.is_measured, f"not measured: {found.how}"
                compare(pair, found)
        except (AssertionError, KeyError) as error:
            self.wrong.setdefault(pair, f"{type(error).__name__}: {error}")

    def faults(self) -> None:
        """What the disk loses on its way is told, with the first bad byte."""
        for point, action, cause in FAULTS:
            fault = {"device": model("disk0"), "point": point}
            control("fault", **fault, action=action, count=0)
            try:
                found, _ = check(("disk0", "acc0"))
                assert found.status == 10, found.status
                assert found.predicted["answer"] == "yes" and not found.agrees, found.final
                assert found.final["cause"] == cause, found.final
                assert found.measured["first_bad"] == 0, found.measured
            except (AssertionError, KeyError, OSError, subprocess.SubprocessError) as error:
                self.faulty[point, action] = f"{type(error).__name__}: {error}"
            finally:
                control("fault", **fault, action="none")

    def show(self) -> None:
        print(f"# {'pair':14}{'predicted':28}{'the kernel':12}measured")
        for pair, found in self.found.items():
            predicted = f"{found.predicted['answer']}, {found.predicted['mapping']}"
            print(f"# {' -> '.join(pair):14} {predicted:27} {found.kernel['answer']:11} "
                  f"{found.text}; {found.how}")

    def report(self) -> int:
        self.show()
        tests = [(" to ".join(pair), self.wrong.get(pair)) for pair in PAIRS]
        tests.append(("the disk has what it had", self.changed))
        if not REFUSED:
            tests += [(f"disk0: {action} {point}", self.faulty.get((point, action)))
                      for point, action, _ in FAULTS]
        print(f"1..{len(tests)}")
        for number, (name, bad) in enumerate(tests, 1):
            print(f"{'not ok' if bad else 'ok'} {number} - {name}")
            if bad:
                print(f"# {bad}")
        return 1 if any(bad for _, bad in tests) else 0


def with_bare_accelerators(matrix: Matrix) -> None:
    """What the NIC and the disk need and do not find. The way back is the same with a driver."""
    for (initiator, target), why in BARE.items():
        reasons = {(initiator, target): why}
        back = (target, initiator)
        reasons[back] = reason(back) or ""
        matrix.look((initiator, target), reasons)


def with_programs_drive(matrix: Matrix) -> None:
    """The drive is nobody's any more, so it starts nothing itself and its memory can be opened."""
    drive_to_programs()
    for name in ACCELERATORS:
        reasons = {("disk0", name): "has no namespace under the kernel's nvme driver"}
        matrix.look((name, "disk0"), reasons)


def look_at_all(matrix: Matrix) -> None:
    # Zeroes would hide a part of what goes wrong.
    data = os.urandom(MIB)
    write_disk(data)
    subprocess.run(["insmod", f"{BUILD}/kernel/peerdma.ko"], check=True)
    if not IOMMU:
        for name in ACCELERATORS:
            unbind(name)
        with_bare_accelerators(matrix)
    subprocess.run(
        ["insmod", f"{BUILD}/kernel/peerdma_vfio.ko", f"unsafe_no_iommu={int(not IOMMU)}"],
        check=True,
    )
    for name in ACCELERATORS:
        bind(name, "peerdma_vfio")
    for pair in itertools.combinations(NAMES, 2):
        ways = (pair, (pair[1], pair[0]))
        matrix.look(pair, {way: why for way in ways if (why := reason(way))})
    if not REFUSED:
        matrix.faults()
    if read_disk(MIB) != data:
        matrix.changed = "its first MiB is not what it was"
    with_programs_drive(matrix)


def main() -> int:
    matrix, before = Matrix(), Before()
    try:
        look_at_all(matrix)
    finally:
        before.restore()
    return matrix.report()


if __name__ == "__main__":
    sys.exit(main())
