#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""peerdma check --measure on every ordered pair of NIC, two accelerators and disk: predicted, asked
from the kernel and measured are the same, or nothing can measure the pair and the reason is given.

Who has which device decides what can be tried, so there are steps. A pair counts as measured when
one step has measured it; a step that cannot must say why, in the words that stand here.
"""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

BUILD = os.environ["PEERDMA_BUILD"]
CONTROL = os.path.join(os.environ["PEERDMA_SOURCE"], "lab/guest-tools/peerdma-ctl")
TOPOLOGY = os.environ["PEERDMA_TOPOLOGY"]
IOMMU = os.environ["PEERDMA_IOMMU"] == "1"
REFUSED = TOPOLOGY == "root-ports-refused"
NAMES = ("nic0", "acc0", "acc1", "disk0")
SLOT = {name: os.environ[f"PEERDMA_SLOT_{name.upper()}"] for name in NAMES}
PAIRS = list(itertools.permutations(NAMES, 2))
ACCELERATORS = ("acc0", "acc1")
PCI = Path("/sys/bus/pci")
PEERS = ("peer_switch", "peer_bridge", "peer_qemu")
# Where the fabric counts what moved by a way that the prediction names. A mapping made by the
# IOMMU goes up to the host bridge in any case.
ROUTE = "peer_switch" if TOPOLOGY.startswith("switch") else "peer_bridge"

Pair = tuple[str, str]


def drive_is_the_kernels(pair: Pair) -> str:
    return f"; {'bind the drive to vfio-pci' if IOMMU else 'unbind the drive from its driver'}"


def reason(pair: Pair) -> str | None:
    """What must be said of a pair that the first step can't measure; None: it must measure it."""
    initiator, target = pair
    if initiator in ACCELERATORS and target == "disk0":
        return drive_is_the_kernels(pair)
    if (initiator, target) == ("disk0", "nic0"):
        return "does not take the mapping of {nic0} (Bad address): it has no pages, and its driver"
    if IOMMU:
        return None
    if initiator in ACCELERATORS and target == "nic0":
        return "; only an IOMMU could be given the mapping its driver makes"
    if initiator == "nic0" and target in ACCELERATORS:
        return "has neither dma-buf nor pages to register; bind it to peerdma_vfio"
    if initiator == "disk0" and target in ACCELERATORS:
        return "(Bad address): it has no pages; bind it to peerdma_vfio"
    return None


class Found:
    def __init__(self, pair: Pair) -> None:
        before = moved(pair[0])
        done = subprocess.run(
            [f"{BUILD}/cli/peerdma", "check", "--measure", "--json", *(SLOT[n] for n in pair)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.stdout, f"exit status {done.returncode}: {done.stderr}"
        assert not done.stderr, done.stderr
        self.status = done.returncode
        after = moved(pair[0])
        found = json.loads(done.stdout)["directions"][0]
        self.predicted, self.kernel = found["predicted"], found["kernel"]
        self.measured, self.final = found["measured"], found["final"]
        self.agrees = found["agrees"]
        self.routes = {peer: after[peer] - before[peer] for peer in PEERS}
        self.how = self.measured["how"]

    @property
    def is_measured(self) -> bool:
        return self.measured["write"] != "not run"

    @property
    def text(self) -> str:
        if not self.is_measured:
            return "not"
        both = {self.measured["write"], self.measured["read"]}
        return both.pop() if len(both) == 1 else f"{self.measured['write']}/{self.measured['read']}"


def control(*words: str) -> dict:
    done = subprocess.run([CONTROL, *words], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def moved(device: str) -> dict[str, int]:
    (counters,) = control("counters", f"device={device}")["counters"].values()
    return {peer: sum(counters["dma"]["data"][peer][way]["bytes"] for way in ("read", "write"))
            for peer in PEERS}


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="ascii")


def unbind(name: str) -> None:
    driver = PCI / "devices" / SLOT[name] / "driver"
    if driver.exists():
        write(driver / "unbind", SLOT[name])


def bind(name: str, driver: str) -> None:
    unbind(name)
    write(PCI / "devices" / SLOT[name] / "driver_override", driver)
    write(PCI / "drivers_probe", SLOT[name])
    link = PCI / "devices" / SLOT[name] / "driver"
    assert link.resolve().name == driver, f"{name} is not bound to {driver}"


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
        assert found.status in (10, 20), found.status
        assert not any(found.routes.values()), found.routes
        return
    assert found.text == "good", found.measured
    assert found.agrees and found.status == 0, (found.agrees, found.status)
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
    assert found.status == (20 if REFUSED else 0), found.status


class Matrix:
    """One test a pair."""

    def __init__(self) -> None:
        self.found: dict[Pair, Found] = {}
        self.wrong: dict[Pair, str] = {}

    def look(self, pair: Pair, why: str | None) -> None:
        try:
            found = self.found[pair] = Found(pair)
            if why and not found.is_measured:
                excuse(pair, found, why)
            else:
                assert found.is_measured, f"not measured: {found.how}"
                compare(pair, found)
        except (AssertionError, OSError, subprocess.SubprocessError, KeyError) as error:
            self.wrong[pair] = f"{type(error).__name__}: {error}"

    def show(self) -> None:
        print(f"# {'pair':14}{'predicted':28}{'the kernel':12}measured")
        for pair, found in self.found.items():
            predicted = f"{found.predicted['answer']}, {found.predicted['mapping']}"
            print(f"# {' -> '.join(pair):14} {predicted:27} {found.kernel['answer']:11} "
                  f"{found.text}; {found.how}")

    def report(self) -> int:
        self.show()
        print(f"1..{len(PAIRS)}")
        for number, pair in enumerate(PAIRS, 1):
            bad = self.wrong.get(pair)
            print(f"{'not ok' if bad else 'ok'} {number} - {' to '.join(pair)}")
            if bad:
                print(f"# {bad}")
        return 1 if self.wrong else 0


def main() -> int:
    matrix = Matrix()
    subprocess.run(["insmod", f"{BUILD}/kernel/peerdma.ko"], check=True)
    if IOMMU:
        subprocess.run(["insmod", f"{BUILD}/kernel/peerdma_vfio.ko"], check=True)
        for name in ACCELERATORS:
            bind(name, "peerdma_vfio")
    for pair in PAIRS:
        matrix.look(pair, reason(pair))
    drive_to_programs()
    for name in ACCELERATORS:
        pair = (name, "disk0")
        if pair not in matrix.wrong:
            matrix.look(pair, None)
    return matrix.report()


if __name__ == "__main__":
    sys.exit(main())
