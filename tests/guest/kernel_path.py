#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""PEERDMA_IOC_PATH: the verdict in each topology, and every errno of its header.

Numbers are typed from include/uapi/peerdma/ioctl.h, not taken from it.
"""

import errno
import fcntl
import itertools
import os
import struct
import subprocess
import sys
from collections.abc import Callable

import peerdma_dev as dev
from peerdma_dev import packed

IOC_PATH = 0xC004B500
SIZE = 80
MAPPED, COMMON = 1, 2
NONE, BUS_ADDR, IOVA = 0, 1, 2
FORMAT = "=II8s8s8sQQQQIiIi"
TOPOLOGY = os.environ["PEERDMA_TOPOLOGY"]
SLOT = {name: os.environ[f"PEERDMA_SLOT_{name}"] for name in ("NIC0", "ACC0", "ACC1")}
BAR = {"NIC0": 0, "ACC0": 2, "ACC1": 2}
PAGE = os.sysconf("SC_PAGESIZE")
NOBODY = 65534
FD = -1


def request(
    initiator: bytes, target: bytes, bar: int, off: int = 0, length: int = PAGE
) -> bytearray:
    none = bytes(8)
    return bytearray(
        struct.pack(FORMAT, SIZE, 0, initiator, target, none, off, length, 0, 0, bar, 0, 0, 0)
    )


class Answer:
    def __init__(self, data: bytes) -> None:
        fields = struct.unpack(FORMAT, data[:SIZE])
        self.flags, self.common = fields[1], fields[4]
        self.bus_addr, self.dma_addr = fields[7], fields[8]
        self.distance, self.mapping, self.map_errno = fields[10], fields[11], fields[12]


def ask(data: bytearray) -> Answer:
    fcntl.ioctl(FD, IOC_PATH, data, True)
    return Answer(bytes(data))


def refused(data: bytearray, want: int) -> None:
    dev.refused_unchanged(FD, IOC_PATH, data, want)


def is_bound(name: str) -> bool:
    return os.path.exists(f"/sys/bus/pci/devices/{SLOT[name]}/driver")


def check_pair(initiator: str, target: str) -> None:
    a = ask(request(packed(SLOT[initiator]), packed(SLOT[target]), BAR[target]))
    switch = TOPOLOGY.startswith("switch")
    assert a.bus_addr == dev.bus_address(SLOT[target], BAR[target]), f"bus address {a.bus_addr:#x}"
    assert bool(a.flags & COMMON) == switch, f"flags {a.flags:#x}"
    assert a.distance == (-1 if TOPOLOGY.endswith("-refused") else 4), f"distance {a.distance}"
    assert bool(a.flags & MAPPED) == (is_bound(initiator) and is_bound(target))
    if not a.flags & MAPPED:
        return
    assert a.map_errno == 0, f"mapping refused: {a.map_errno}"
    want = IOVA if TOPOLOGY == "root-ports-iommu" else BUS_ADDR
    assert a.mapping == want, f"mapping {a.mapping}, address {a.dma_addr:#x}"
    assert (a.dma_addr == a.bus_addr) == (want == BUS_ADDR)


def pairs() -> None:
    for initiator, target in itertools.permutations(SLOT, 2):
        try:
            check_pair(initiator, target)
        except AssertionError as error:
            raise AssertionError(f"{initiator} to {target}: {error}") from error


def to_itself() -> None:
    a = ask(request(packed(SLOT["NIC0"]), packed(SLOT["NIC0"]), 0))
    assert (a.distance, a.mapping) == (0, BUS_ADDR), vars(a)


def mapping_refused() -> None:
    """Both sides bound: the mapping is tried, and refused where the host bridge is not trusted."""
    accelerator = SLOT["ACC0"]
    with open(f"/sys/bus/pci/devices/{accelerator}/driver_override", "w", encoding="ascii") as f:
        f.write("pci-stub")
    subprocess.run(["modprobe", "-q", "pci-stub"], check=False)
    with open("/sys/bus/pci/drivers_probe", "w", encoding="ascii") as f:
        f.write(accelerator)
    assert is_bound("ACC0"), "pci-stub does not take the accelerator"
    a = ask(request(packed(SLOT["NIC0"]), packed(accelerator), 2))
    assert a.flags & MAPPED and a.map_errno and a.mapping == NONE, vars(a)


def older_and_newer() -> None:
    dev.older_and_newer(FD, IOC_PATH, request(packed(SLOT["NIC0"]), packed(SLOT["ACC0"]), 2))


def bad_requests() -> None:
    nic, acc = packed(SLOT["NIC0"]), packed(SLOT["ACC0"])
    nobody = packed("0000:7f:1f.7")
    flagged = request(nic, acc, 2)
    struct.pack_into("=I", flagged, 4, 4)
    refused(flagged, errno.EINVAL)
    refused(request(packed(SLOT["NIC0"], 1), acc, 2), errno.EINVAL)
    refused(request(nic, packed(SLOT["ACC0"], 1), 2), errno.EINVAL)
    refused(request(nobody, acc, 2), errno.ENODEV)
    refused(request(nic, nobody, 2), errno.ENODEV)
    for bar in (5, 6, 0xFFFFFFFF):
        refused(request(nic, acc, bar), errno.ENXIO)
    for off, length in ((0, 0), (1, PAGE), (0, PAGE - 1), (1 << 40, PAGE), (PAGE, 1 << 63),
                        ((1 << 64) - PAGE, 2 * PAGE)):  # fmt: skip
        refused(request(nic, acc, 2, off, length), errno.ENXIO)


def other_errnos() -> None:
    dev.bad_pointer(FD, IOC_PATH)
    with dev.refused(errno.ENOTTY):
        fcntl.ioctl(FD, IOC_PATH + 0x7F, bytearray(SIZE), True)


def without_rights() -> None:
    """The file stays open, the capability goes: the descriptor alone is not enough."""
    data = request(packed(SLOT["NIC0"]), packed(SLOT["ACC0"]), 2)
    dev.in_child(lambda: refused(data, errno.EPERM), NOBODY)


TESTS: list[Callable[[], None]] = [
    pairs, to_itself, older_and_newer, bad_requests, other_errnos, without_rights,
]  # fmt: skip
if TOPOLOGY.endswith("-refused"):
    TESTS.append(mapping_refused)


def main() -> int:
    global FD
    dev.insert("peerdma")
    FD = os.open("/dev/peerdma", os.O_RDWR)
    failed = dev.run_tests(TESTS)
    os.close(FD)
    dev.remove("peerdma")
    return failed


sys.exit(main())
