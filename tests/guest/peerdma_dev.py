# SPDX-License-Identifier: MIT
"""/dev/peerdma and /dev/peerdma_test for tests. Numbers are typed from the headers, not taken."""

import contextlib
import errno
import fcntl
import os
import struct
import subprocess
import traceback
from collections.abc import Callable, Iterator
from ctypes import CDLL, addressof, c_char, c_ulong, c_void_p, get_errno
from typing import NamedTuple

MODULES = f"{os.environ['PEERDMA_BUILD']}/kernel"
PROVIDERS, PINS, LIMITS, SET, GET, CLEAR, LISTEN = (0xC004B500 + n for n in range(1, 8))
USER, CGROUP = 1, 2
NO_LIMIT = (1 << 64) - 1
CPU, EXPORT, ATTACH, IMPORT, HELD = range(1, 6)
REVOCABLE, FORCED, OWNER_GONE, PROVIDER_GONE = 1, 2, 4, 8
ADD, REMOVE, CHARGE, HOLD, UNCHARGE, SET_HELD, REVOKE, REVOKED = range(1, 9)
LIST_FORMAT, LIMIT_FORMAT, LISTEN_FORMAT = "=IIQIIQQII", "=IIQQQQII", "=IIII"
EVENT_FORMAT = "=QQIi8sQQQQQII"
TEST_FORMAT = "=IIIIIIiIQ8s32s"
TEST = 0xC0000000 | struct.calcsize(TEST_FORMAT) << 16 | 0xB600
SLOT = os.environ["PEERDMA_SLOT_ACC0"]
OTHER = os.environ["PEERDMA_SLOT_NIC0"]


class Pin(NamedTuple):
    id: int
    kind: int
    flags: int
    pid: int
    uid: int
    cgroup: int
    provider: int
    exporter: bytes
    bytes: int
    age_ns: int
    driver: bytes
    command: bytes
    importer: bytes


class Provider(NamedTuple):
    id: int
    function: bytes
    driver: bytes
    bytes: int
    charged: int
    flags: int
    reserved: int


class Limit(NamedTuple):
    size: int
    scope: int
    id: int
    max: int
    used: int
    refused: int
    flags: int
    reserved: int


class Event(NamedTuple):
    lost: int
    time_ns: int
    type: int
    error: int
    function: bytes
    provider: int
    bytes: int
    id: int
    used: int
    max: int
    scope: int
    reserved: int


ROWS = {
    PINS: ("=QIIiIQQ8sQQ16s16s32s", Pin),
    PROVIDERS: ("=Q8s16sQQII", Provider),
    LIMITS: (LIMIT_FORMAT, Limit),
}


def packed(bdf: str, reserved: int = 0) -> bytes:
    domain, bus, rest = bdf.split(":")
    device, function = rest.split(".")
    devfn = int(device, 16) << 3 | int(function)
    return struct.pack("=IBBH", int(domain, 16), int(bus, 16), devfn, reserved)


def bus_address(bdf: str, bar: int) -> int:
    with open(f"/sys/bus/pci/devices/{bdf}/resource", encoding="ascii") as f:
        return int(f.read().splitlines()[bar].split()[0], 16)


class Page(NamedTuple):
    rows: list
    cursor: int
    total: int


def page(fd: int, request: int, n: int, cursor: int = 0, scope: int = 0, row: int = 0) -> Page:
    """One request for n rows of row bytes."""
    form, kind = ROWS[request]
    row = row or struct.calcsize(form)
    rows = bytearray(b"\xaa" * (n * row or 1))
    where = addressof((c_char * len(rows)).from_buffer(rows))
    arg = bytearray(struct.pack(LIST_FORMAT, 48, 0, where, row, n, cursor, 0, scope, 0))
    fcntl.ioctl(fd, request, arg, True)
    _, _, _, _, written, cursor, total, _, _ = struct.unpack(LIST_FORMAT, arg)
    assert all(b == 0xAA for b in rows[written * row : n * row]), "written beyond the rows"
    size = struct.calcsize(form)
    cut = [bytes(rows[i * row : (i + 1) * row]).ljust(size, b"\0")[:size] for i in range(written)]
    return Page([kind(*struct.unpack(form, one)) for one in cut], cursor, total)


def everything(fd: int, request: int, scope: int = 0, at_once: int = 64) -> list:
    found: list = []
    cursor = 0
    while True:
        got = page(fd, request, at_once, cursor, scope)
        found += got.rows
        cursor = got.cursor
        if not cursor:
            return found


def limit(fd: int, request: int, scope: int, who: int, value: int = 0) -> Limit:
    arg = bytearray(struct.pack(LIMIT_FORMAT, 48, scope, who, value, 0, 0, 0, 0))
    fcntl.ioctl(fd, request, arg, True)
    return Limit(*struct.unpack(LIMIT_FORMAT, arg))


def listen(types: int = 0x7E, flags: int = os.O_NONBLOCK) -> int:
    fd = os.open("/dev/peerdma", os.O_RDWR | flags)
    arg = bytearray(struct.pack(LISTEN_FORMAT, 16, types, 0, 0))
    try:
        fcntl.ioctl(fd, LISTEN, arg, True)
    except OSError:
        os.close(fd)
        raise
    assert struct.unpack(LISTEN_FORMAT, arg)[2] == 128
    return fd


def events(fd: int) -> list[Event]:
    found = []
    size = struct.calcsize(EVENT_FORMAT)
    with contextlib.suppress(BlockingIOError):
        while True:
            data = os.read(fd, 7 * size + 3)
            found += [Event(*one) for one in struct.iter_unpack(EVENT_FORMAT, data)]
    return found


class Test:
    """What one file of /dev/peerdma_test made."""

    def __init__(self) -> None:
        self.fd = os.open("/dev/peerdma_test", os.O_RDWR)

    def ask(self, op: int, handle: int = 0, provider: int = 0, parent: int = 0, kind: int = 0,
            flags: int = 0, result: int = 0, size: int = 0, importer: str = "",
            function: bytes = b"") -> int:  # fmt: skip
        arg = bytearray(struct.pack(TEST_FORMAT, op, handle, provider, parent, kind, flags, result,
                                    0, size, function, importer.encode()))  # fmt: skip
        fcntl.ioctl(self.fd, TEST, arg, True)
        return struct.unpack(TEST_FORMAT, arg)[1]

    def add(self, bdf: str = SLOT, size: int = 1 << 30) -> int:
        return self.ask(ADD, function=packed(bdf), size=size)

    def remove(self, handle: int) -> None:
        self.ask(REMOVE, handle)

    def charge(self, provider: int, kind: int, size: int, flags: int = 0, importer: str = "",
               parent: int = 0) -> int:  # fmt: skip
        return self.ask(CHARGE, provider=provider, kind=kind, size=size, flags=flags,
                        importer=importer, parent=parent)  # fmt: skip

    def uncharge(self, handle: int) -> None:
        self.ask(UNCHARGE, handle)

    def close(self) -> None:
        os.close(self.fd)


@contextlib.contextmanager
def refused(want: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        assert error.errno == want, f"{error}, not {errno.errorcode[want]}"
    else:
        raise AssertionError(f"taken, not {errno.errorcode[want]}")


def refused_unchanged(fd: int, request: int, data: bytearray, want: int) -> None:
    before = bytes(data)
    with refused(want):
        fcntl.ioctl(fd, request, data, True)
    assert bytes(data) == before, "a refused request changed its argument"


def older_and_newer(fd: int, request: int, good: bytearray) -> None:
    """A longer argument is taken as long as what is not known is 0, a shorter one is not."""
    longer = good + bytes(16)
    struct.pack_into("=I", longer, 0, len(longer))
    fcntl.ioctl(fd, request, bytearray(longer), True)
    longer[-1] = 1
    refused_unchanged(fd, request, longer, errno.E2BIG)
    shorter = bytearray(good)
    struct.pack_into("=I", shorter, 0, len(good) - 1)
    refused_unchanged(fd, request, shorter, errno.EINVAL)


def bad_pointer(fd: int, request: int) -> None:
    libc = CDLL(None, use_errno=True)
    assert libc.ioctl(fd, c_ulong(request), c_void_p(8)) == -1
    assert get_errno() == errno.EFAULT


def in_child(work: Callable[[], None], uid: int = 0, group: str = "") -> None:
    """Run it in a process of its own, as this user and in this control group."""
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0, "a check failed in the child, see above"
        return
    status = 1
    try:
        if group:
            with open(f"{group}/cgroup.procs", "w", encoding="ascii") as f:
                f.write("0")
        if uid:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        work()
        status = 0
    except Exception:  # the child ends below, whatever it was
        print("".join(f"# {line}\n" for line in traceback.format_exc().splitlines()), flush=True)
    finally:
        os._exit(status)


def insert(*names: str) -> None:
    for name in names:
        subprocess.run(["insmod", f"{MODULES}/{name}.ko"], check=True)


def mount(kind: str, where: str) -> None:
    with open("/proc/mounts", encoding="ascii") as f:
        mounted = [line.split()[1] for line in f]
    if where not in mounted:
        subprocess.run(["mount", "-t", kind, "none", where], check=True)


def remove(*names: str) -> None:
    for name in names:
        subprocess.run(["rmmod", name], check=True)


def run_tests(tests: list[Callable[[], None]]) -> int:
    failed = 0
    print(f"1..{len(tests)}")
    for number, test in enumerate(tests, start=1):
        try:
            test()
            print(f"ok {number} - {test.__name__}", flush=True)
        except Exception:  # what a test did not expect fails that test, and only that
            failed = 1
            text = "".join(f"# {line}\n" for line in traceback.format_exc().splitlines())
            print(f"{text}not ok {number} - {test.__name__}", flush=True)
    return failed
