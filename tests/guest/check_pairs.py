#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""peerdma check --measure on every ordered pair of NIC, two accelerators and disk: predicted, asked
from the kernel and measured are the same.

Who has which device decides what can be tried, so there are steps. A step that cannot measure a
pair must say why, in the words that stand here; in the end each pair must have been measured by one
step at least, which in the topology that refuses means: tried, and refused.
"""

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from fabric import ask

BUILD = os.environ["PEERDMA_BUILD"]
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

# Who makes the mapping and so can tell the address: the accelerator's driver, and the drive's if
# it is this program.
BUS = ("bus address", "through host bridge")

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
        refusal = "does not take the mapping of {nic0} (Bad address): it has no pages"
        return refusal + drive_is_the_kernels()
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


def moved(name: str) -> dict[str, int]:
    """Payload bytes by way."""
    data = ask("counters", name)["dma"]["data"]
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


def resource(name: str) -> list[range]:
    """Where its BARs are."""
    text = (PCI / "devices" / SLOT[name] / "resource").read_text(encoding="ascii")
    lines = [[int(word, 16) for word in line.split()] for line in text.splitlines()[:6]]
    return [range(first, last + 1) for first, last, _ in lines if last]


def compare_used(pair: Pair, found: Found) -> None:
    """By the mapping that was predicted, and an address that fits it."""
    if pair[0] == "nic0" or "/dev/nvme" in found.how:
        assert "mapping" not in found.measured, "the kernel has mapped, and tells nobody where"
        return
    mapping, address = found.measured["mapping"], int(found.measured["address"], 16)
    assert mapping == found.predicted["mapping"], found.measured
    inside = any(address in bar for bar in resource(pair[1]))
    assert inside == (mapping in BUS), f"{mapping} {address:#x}"
    assert "detour" not in found.measured, found.measured


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
    length = found.measured["length"]
    assert length >= 65536 and found.routes[ROUTE] >= 2 * length, (length, found.routes)
    assert sum(found.routes.values()) == found.routes[ROUTE], found.routes
    compare_used(pair, found)


def excuse(pair: Pair, found: Found, why: str) -> None:
    """Not measured, and it is said why."""
    want = why.format(**SLOT)
    assert found.how.startswith("cannot be measured: "), found.how
    assert want in found.how, f"'{found.how}' does not say '{want}'"
    assert found.measured["read"] == "not run", found.measured
    assert found.predicted["answer"] == found.kernel["answer"], found.kernel
    assert found.final["answer"] == found.predicted["answer"], found.final
    assert found.status in (None, 10, 20) if REFUSED else not found.status, found.status


def find_disk() -> Path | None:
    """Its first namespace, which need not be the first that the kernel has found."""
    for path in Path("/sys/block").glob("nvme*n*"):
        is_ours = SLOT["disk0"] in str(path.resolve()) and "c" not in path.name
        if is_ours and (path / "nsid").read_text(encoding="ascii").strip() == "1":
            return Path("/dev", path.name)
    return None


def disk() -> Path:
    """Waits for it: the kernel looks for namespaces after the driver is bound."""
    end = time.monotonic() + 30
    while not ((path := find_disk()) and path.is_block_device()):
        assert time.monotonic() < end, "the disk does not come back"
        time.sleep(0.01)
    return path


def read_disk(length: int) -> bytes:
    with open(disk(), "rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, length, os.POSIX_FADV_DONTNEED)
        return file.read(length)


def write_disk(data: bytes) -> None:
    with open(disk(), "r+b", buffering=0) as file:
        assert file.write(data) == len(data)
        os.fsync(file.fileno())


class Before:
    """Who has what when the test begins, for the tests that come after it in the same guest."""

    def __init__(self) -> None:
        self.driver = {name: driver_of(name) for name in (*ACCELERATORS, "disk0")}
        self.override = {
            name: (PCI / "devices" / SLOT[name] / "driver_override").read_text(encoding="ascii")
            for name in self.driver
        }
        self.disk = read_disk(MIB)

    def give_back(self, name: str) -> None:
        driver = self.driver[name]
        if driver_of(name) != driver:
            unbind(name)
        text = self.override[name].strip()
        override = "\n" if text == "(null)" else text
        write(PCI / "devices" / SLOT[name] / "driver_override", override)
        if driver and driver_of(name) != driver:
            write(PCI / "drivers_probe", SLOT[name])
            assert driver_of(name) == driver, f"{name}: {driver_of(name)}, not {driver}"

    def restore(self) -> None:
        for name in self.driver:
            self.give_back(name)
        for module in ("peerdma_vfio", "peerdma"):
            if Path("/sys/module", module).exists():
                subprocess.run(["rmmod", module], check=True)
        write_disk(self.disk)


class Matrix:
    """One test a pair."""

    def __init__(self) -> None:
        self.found: dict[Pair, Found] = {}
        self.wrong: dict[Pair, str] = {}
        self.checks: dict[str, str | None] = {}

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

    def also(self, name: str, fn: Callable[[], None]) -> None:
        """A test beside those of the pairs."""
        try:
            fn()
            self.checks[name] = None
        except (AssertionError, KeyError, OSError, subprocess.SubprocessError) as error:
            self.checks[name] = f"{type(error).__name__}: {error}"

    def faults(self, target: str, actions: tuple[str, ...]) -> None:
        """What the disk loses on its way is told, with the first bad byte."""
        for point, action, cause in FAULTS:
            if action not in actions:
                continue
            self.also(f"disk0 to {target}: {action} {point}",
                      partial(lose, target, point, action, cause))  # fmt: skip

    def verdict(self, pair: Pair) -> str | None:
        """What is wrong with a pair after all steps."""
        if pair in self.wrong:
            return self.wrong[pair]
        if pair not in self.found or not self.found[pair].is_measured:
            return "no step has measured it"
        return None

    def show(self) -> None:
        print(f"# {'pair':14}{'predicted':28}{'the kernel':12}measured")
        for pair, found in self.found.items():
            predicted = f"{found.predicted['answer']}, {found.predicted['mapping']}"
            print(f"# {' -> '.join(pair):14} {predicted:27} {found.kernel['answer']:11} "
                  f"{found.text}; {found.how}")

    def report(self) -> int:
        self.show()
        tests = [(" to ".join(pair), self.verdict(pair)) for pair in PAIRS]
        tests += self.checks.items()
        print(f"1..{len(tests)}")
        for number, (name, bad) in enumerate(tests, 1):
            print(f"{'not ok' if bad else 'ok'} {number} - {name}")
            if bad:
                print(f"# {bad}")
        return 1 if any(bad for _, bad in tests) else 0


def lose(target: str, point: str, action: str, cause: str) -> None:
    fault = {"device": "disk0", "point": point}
    ask("fault", **fault, action=action, count=0)
    try:
        found, _ = check(("disk0", target))
    finally:
        ask("fault", **fault, action="none")
    assert found.status == 10, (found.status, found.how)
    assert found.predicted["answer"] == "yes" and not found.agrees, found.final
    assert found.final["cause"] == cause, found.final
    assert found.measured["first_bad"] == 0, found.measured


def nobody_tells() -> None:
    """Without the module peerdma nobody names the address of the NIC's memory: an IOMMU helps."""
    found, _ = check(("acc0", "nic0"))
    unloaded = "the kernel module peerdma is not loaded"
    if not IOMMU:
        assert unloaded in found.how and "It tells the address" in found.how, found.how
        excuse_unasked(found)
        return
    assert found.text == "good" and found.agrees, found.measured
    assert found.measured["mapping"] == "IOVA", found.measured
    below_switch = TOPOLOGY.startswith("switch")
    assert (unloaded in found.measured.get("detour", "")) == below_switch, found.measured
    assert found.routes["peer_bridge"] == sum(found.routes.values()) > 0, found.routes


def excuse_unasked(found: Found) -> None:
    assert not found.is_measured and found.how.startswith("cannot be measured: "), found.how
    assert found.final["answer"] == found.predicted["answer"], found.final


def before_the_module(matrix: Matrix) -> None:
    if IOMMU:
        bind("acc0", "vfio-pci")
    else:
        unbind("acc0")
    matrix.also("acc0 to nic0 without the module peerdma", nobody_tells)
    unbind("acc0")


def with_bare_accelerators(matrix: Matrix) -> None:
    """What the NIC and the disk need and do not find. The way back is the same with a driver."""
    for (initiator, target), why in BARE.items():
        reasons = {(initiator, target): why}
        back = (target, initiator)
        reasons[back] = reason(back) or ""
        matrix.look((initiator, target), reasons)


def drive_is_taken() -> None:
    """By another program: then it is not measured, and that program loses nothing."""
    group = (PCI / "devices" / SLOT["disk0"] / "iommu_group").resolve().name
    fd = os.open(f"/dev/vfio/{group}", os.O_RDWR)
    try:
        found, _ = check(("disk0", "nic0"))
    finally:
        os.close(fd)
    excuse_unasked(found)
    assert "Device or resource busy" in found.how, found.how


def drive_reads_nothing() -> None:
    """It says so of its own medium, which is no fault of the path."""
    fault = {"device": "disk0", "point": "nvme.media.read"}
    ask("fault", **fault, action="error", count=0)
    try:
        found, _ = check(("disk0", "nic0"))
    finally:
        ask("fault", **fault, action="none")
    excuse_unasked(found)
    assert SLOT["disk0"] in found.how and "unrecovered read error" in found.how, found.how


def with_programs_drive(matrix: Matrix) -> None:
    """This program drives it: it takes what the block layer does not, and its memory is open."""
    drive_to_programs()
    for name in ACCELERATORS:
        matrix.look((name, "disk0"), {})
    back = {} if IOMMU else {("nic0", "disk0"): BARE["nic0", "acc0"].replace("acc0", "disk0")}
    matrix.look(("disk0", "nic0"), back)
    if not REFUSED:
        matrix.faults("nic0", ("drop",))
    matrix.also("disk0 cannot read its medium", drive_reads_nothing)
    if IOMMU:
        matrix.also("disk0 is another program's", drive_is_taken)
        return
    bind("disk0", "peerdma_vfio")
    matrix.look(("disk0", "nic0"), {})


def disk_is_unchanged(data: bytes) -> None:
    got = read_disk(MIB)
    wrong = [i for i, (one, other) in enumerate(zip(got, data)) if one != other]
    assert got == data, f"{len(got)} bytes, {len(wrong)} of them wrong, from {wrong[:1]} on"


def look_at_all(matrix: Matrix, before: Before) -> None:
    # Zeroes would hide a part of what goes wrong.
    data = os.urandom(MIB)
    write_disk(data)
    before_the_module(matrix)
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
        matrix.faults("acc0", ("drop", "corrupt"))
    with_programs_drive(matrix)
    before.give_back("disk0")
    matrix.also("the disk has what it had", partial(disk_is_unchanged, data))


def main() -> int:
    matrix, before = Matrix(), Before()
    try:
        look_at_all(matrix, before)
    finally:
        before.restore()
    return matrix.report()


if __name__ == "__main__":
    sys.exit(main())
