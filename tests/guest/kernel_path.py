#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""PEERDMA_IOC_PATH: the verdict in each topology, and every errno of its header.

Numbers are typed from include/uapi/peerdma/ioctl.h, not taken from it.
"""

import ctypes
import errno
import fcntl
import itertools
import os
import struct
import subprocess
import sys
from collections.abc import Callable

IOC_PATH = 0xC004B500
SIZE = 80
MAPPED, COMMON = 1, 2
NONE, BUS_ADDR, IOVA = 0, 1, 2
FORMAT = "=II8s8s8sQQQQIiIi"
MODULE = f"{os.environ['PEERDMA_BUILD']}/kernel/peerdma.ko"
TOPOLOGY = os.environ["PEERDMA_TOPOLOGY"]
SLOT = {name: os.environ[f"PEERDMA_SLOT_{name}"] for name in ("NIC0", "ACC0", "ACC1")}
BAR = {"NIC0": 0, "ACC0": 2, "ACC1": 2}
PAGE = os.sysconf("SC_PAGESIZE")


def packed(bdf: str, reserved: int = 0) -> bytes:
    domain, bus, rest = bdf.split(":")
    device, function = rest.split(".")
    devfn = int(device, 16) << 3 | int(function)
    return struct.pack("=IBBH", int(domain, 16), int(bus, 16), devfn, reserved)


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


def ask(fd: int, data: bytearray) -> Answer:
    fcntl.ioctl(fd, IOC_PATH, data, True)
    return Answer(bytes(data))


def refused(fd: int, data: bytearray, want: int) -> None:
    before = bytes(data)
    try:
        fcntl.ioctl(fd, IOC_PATH, data, True)
    except OSError as error:
        got = error.errno
    else:
        got = 0
    assert got == want, f"{errno.errorcode.get(got, got)}, not {errno.errorcode[want]}"
    assert bytes(data) == before, "a refused request changed its argument"


def resource(name: str) -> int:
    with open(f"/sys/bus/pci/devices/{SLOT[name]}/resource", encoding="ascii") as f:
        return int(f.read().splitlines()[BAR[name]].split()[0], 16)


def is_bound(name: str) -> bool:
    return os.path.exists(f"/sys/bus/pci/devices/{SLOT[name]}/driver")


def check_pair(fd: int, initiator: str, target: str) -> None:
    a = ask(fd, request(packed(SLOT[initiator]), packed(SLOT[target]), BAR[target]))
    switch = TOPOLOGY.startswith("switch")
    assert a.bus_addr == resource(target), f"bus address {a.bus_addr:#x}"
    assert bool(a.flags & COMMON) == switch, f"flags {a.flags:#x}"
    assert a.distance == (-1 if TOPOLOGY.endswith("-refused") else 4), f"distance {a.distance}"
    assert bool(a.flags & MAPPED) == (is_bound(initiator) and is_bound(target))
    if not a.flags & MAPPED:
        return
    assert a.map_errno == 0, f"mapping refused: {a.map_errno}"
    want = IOVA if TOPOLOGY == "root-ports-iommu" else BUS_ADDR
    assert a.mapping == want, f"mapping {a.mapping}, address {a.dma_addr:#x}"
    assert (a.dma_addr == a.bus_addr) == (want == BUS_ADDR)


def pairs(fd: int) -> None:
    for initiator, target in itertools.permutations(SLOT, 2):
        try:
            check_pair(fd, initiator, target)
        except AssertionError as error:
            raise AssertionError(f"{initiator} to {target}: {error}") from error


def to_itself(fd: int) -> None:
    a = ask(fd, request(packed(SLOT["NIC0"]), packed(SLOT["NIC0"]), 0))
    assert (a.distance, a.mapping) == (0, BUS_ADDR), vars(a)


def mapping_refused(fd: int) -> None:
    """Both sides bound: the mapping is tried, and refused where the host bridge is not trusted."""
    accelerator = SLOT["ACC0"]
    with open(f"/sys/bus/pci/devices/{accelerator}/driver_override", "w", encoding="ascii") as f:
        f.write("pci-stub")
    subprocess.run(["modprobe", "-q", "pci-stub"], check=False)
    with open("/sys/bus/pci/drivers_probe", "w", encoding="ascii") as f:
        f.write(accelerator)
    assert is_bound("ACC0"), "pci-stub does not take the accelerator"
    a = ask(fd, request(packed(SLOT["NIC0"]), packed(accelerator), 2))
    assert a.flags & MAPPED and a.map_errno and a.mapping == NONE, vars(a)


def older_and_newer(fd: int) -> None:
    good = request(packed(SLOT["NIC0"]), packed(SLOT["ACC0"]), 2)
    longer = bytearray(good) + bytes(16)
    struct.pack_into("=I", longer, 0, SIZE + 16)
    ask(fd, longer)
    longer[-1] = 1
    refused(fd, longer, errno.E2BIG)
    shorter = bytearray(good)
    struct.pack_into("=I", shorter, 0, SIZE - 1)
    refused(fd, shorter, errno.EINVAL)


def bad_requests(fd: int) -> None:
    nic, acc = packed(SLOT["NIC0"]), packed(SLOT["ACC0"])
    nobody = packed("0000:7f:1f.7")
    flagged = request(nic, acc, 2)
    struct.pack_into("=I", flagged, 4, 4)
    refused(fd, flagged, errno.EINVAL)
    refused(fd, request(packed(SLOT["NIC0"], 1), acc, 2), errno.EINVAL)
    refused(fd, request(nic, packed(SLOT["ACC0"], 1), 2), errno.EINVAL)
    refused(fd, request(nobody, acc, 2), errno.ENODEV)
    refused(fd, request(nic, nobody, 2), errno.ENODEV)
    for bar in (5, 6, 0xFFFFFFFF):
        refused(fd, request(nic, acc, bar), errno.ENXIO)
    for off, length in ((0, 0), (1, PAGE), (0, PAGE - 1), (1 << 40, PAGE), (PAGE, 1 << 63),
                        ((1 << 64) - PAGE, 2 * PAGE)):  # fmt: skip
        refused(fd, request(nic, acc, 2, off, length), errno.ENXIO)


def other_errnos(fd: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.ioctl(fd, ctypes.c_ulong(IOC_PATH), ctypes.c_void_p(8)) == -1
    assert ctypes.get_errno() == errno.EFAULT
    try:
        fcntl.ioctl(fd, IOC_PATH + 0x7F, bytearray(SIZE), True)
    except OSError as error:
        assert error.errno == errno.ENOTTY, error
    else:
        raise AssertionError("an unknown request was taken")


def without_rights(fd: int) -> None:
    """The file stays open, the capability goes: the descriptor alone is not enough."""
    child = os.fork()
    if not child:
        os.setuid(65534)
        try:
            refused(fd, request(packed(SLOT["NIC0"]), packed(SLOT["ACC0"]), 2), errno.EPERM)
        except AssertionError as error:
            print(f"# {error}", flush=True)
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


TESTS: list[Callable[[int], None]] = [
    pairs, to_itself, older_and_newer, bad_requests, other_errnos, without_rights,
]  # fmt: skip
if TOPOLOGY.endswith("-refused"):
    TESTS.append(mapping_refused)


def main() -> int:
    subprocess.run(["insmod", MODULE], check=True)
    failed = False
    print(f"1..{len(TESTS)}")
    fd = os.open("/dev/peerdma", os.O_RDWR)
    for number, test in enumerate(TESTS, start=1):
        try:
            test(fd)
            print(f"ok {number} - {test.__name__}", flush=True)
        except (AssertionError, OSError) as error:
            failed = True
            print(f"not ok {number} - {test.__name__}\n# {error}", flush=True)
    os.close(fd)
    subprocess.run(["rmmod", "peerdma"], check=True)
    return failed


sys.exit(main())
