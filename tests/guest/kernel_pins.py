#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Lists, limits, events and tracepoints of /dev/peerdma, with a provider that has no memory."""

import ctypes
import errno
import fcntl
import os
import select
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import peerdma_dev as dev
from peerdma_dev import (
    ATTACH, CGROUP, CLEAR, CPU, EXPORT, GET, HELD, IMPORT, LIMITS, LISTEN, NO_LIMIT, PINS,
    PROVIDERS, SET, USER, Test, events, everything, in_child, limit, listen, page, refused,
)  # fmt: skip

ALICE, BOB = 4001, 4002
MEGA = 1 << 20
GROUPS = Path("/sys/fs/cgroup")
TRACE = Path("/sys/kernel/tracing")
LIBC = ctypes.CDLL(None, use_errno=True)
FD = -1


def shown() -> list[dev.Pin]:
    return everything(FD, PINS)


def kinds() -> list[tuple[int, int]]:
    return [(pin.kind, pin.bytes) for pin in shown()]


def text(field: bytes) -> str:
    return field.rstrip(b"\0").decode()


def group_id(path: Path) -> int:
    return path.stat().st_ino


def groups() -> tuple[Path, Path, Path]:
    """Two beside each other, and one below the first."""
    one, two, below = GROUPS / "one", GROUPS / "two", GROUPS / "one/below"
    for path in (one, two, below):
        path.mkdir(exist_ok=True)
    return one, two, below


def pins_are_what_was_begun_and_not_ended() -> None:
    test = Test()
    provider = test.add(size=64 * MEGA)
    assert [(text(p.driver), p.bytes, p.function) for p in everything(FD, PROVIDERS)] == [
        ("peerdma_test", 64 * MEGA, dev.packed(dev.SLOT))
    ]
    assert not shown()
    mapping = test.charge(provider, CPU, MEGA)
    export = test.charge(provider, EXPORT, 2 * MEGA)
    attach = test.charge(provider, ATTACH, 2 * MEGA, importer=dev.OTHER, parent=export)
    imported = test.charge(provider, IMPORT, 3 * MEGA, 2, dev.OTHER, attach)
    assert kinds() == [(CPU, MEGA), (EXPORT, 2 * MEGA), (ATTACH, 2 * MEGA), (IMPORT, 3 * MEGA)]
    first, _, _, last = shown()
    mine = group_id(GROUPS / Path("/proc/self/cgroup").read_text().split("::")[1].strip()[1:])
    for pin in (first, last):
        assert (pin.pid, pin.uid, pin.cgroup) == (os.getpid(), 0, mine), pin
        assert text(pin.command) == Path("/proc/self/comm").read_text().strip(), pin
        assert pin.exporter == dev.packed(dev.SLOT) and 0 < pin.age_ns < 60e9, pin
    assert first.flags == 0 and text(first.importer) == "", first
    assert last.flags == dev.REVOCABLE and text(last.importer) == dev.OTHER, last
    assert everything(FD, PROVIDERS)[0].charged == 6 * MEGA
    test.ask(dev.HOLD, mapping)
    test.uncharge(mapping)
    assert len(shown()) == 4, "the second holder is gone, and the pin too"
    test.uncharge(mapping)
    test.uncharge(export)
    assert kinds() == [(ATTACH, 2 * MEGA), (IMPORT, 3 * MEGA)]
    test.ask(dev.SET_HELD, provider, size=4096, parent=imported)
    held = shown()[-1]
    assert (held.kind, held.bytes, held.pid, held.age_ns) == (HELD, 4096, os.getpid(), 0), held
    test.ask(dev.SET_HELD, provider, size=8192)
    assert (shown()[-1].bytes, shown()[-1].pid) == (8192, 0)
    test.uncharge(imported)
    test.uncharge(attach)
    assert kinds() == [(HELD, 8192)]
    test.remove(provider)
    assert not shown() and not everything(FD, PROVIDERS)
    test.close()


def each_sees_his_own() -> None:
    test = Test()
    provider = test.add()

    def as_alice() -> None:
        fd = os.open("/dev/peerdma", os.O_RDWR)
        test.charge(provider, CPU, MEGA)
        assert [(p.uid, p.bytes) for p in everything(fd, PINS)] == [(ALICE, MEGA)]
        assert page(fd, PINS, 0).total == 1
        assert len(everything(fd, PROVIDERS)) == 1
        assert [row.id for row in everything(fd, LIMITS, USER)] == [ALICE]
        assert limit(fd, GET, USER, ALICE).used == MEGA
        limit(fd, GET, CGROUP, group_id(GROUPS))
        for request in (SET, CLEAR):
            with refused(errno.EPERM):
                limit(fd, request, USER, ALICE, MEGA if request == SET else 0)
        with refused(errno.EPERM):
            limit(fd, GET, USER, 0)
        with refused(errno.EPERM):
            limit(fd, GET, CGROUP, group_id(groups()[1]))

    groups()
    test.charge(provider, CPU, 2 * MEGA)
    test.ask(dev.SET_HELD, provider, size=4096)
    in_child(as_alice, ALICE)
    pins = shown()
    assert [(p.uid, p.kind) for p in pins] == [(0, CPU), (ALICE, CPU), (0, HELD)], pins
    assert pins[1].flags == dev.OWNER_GONE, "its process has ended"
    test.close()
    assert not shown()


def lists_are_whole_while_they_change() -> None:
    test = Test()
    provider = test.add()
    staying = [test.charge(provider, CPU, 4096 * (n + 1)) for n in range(50)]
    passing = [test.charge(provider, EXPORT, 4096) for _ in range(50)]
    assert page(FD, PINS, 0) == dev.Page([], shown()[0].id, 100)
    seen: list[dev.Pin] = []
    cursor = 0
    while True:
        got = page(FD, PINS, 7, cursor)
        assert got.total >= len(got.rows) and len(got.rows) <= 7
        seen += got.rows
        cursor = got.cursor
        if not cursor:
            break
        if passing:
            test.uncharge(passing.pop())
        test.charge(provider, IMPORT, 4096)
    assert [p.bytes for p in seen if p.kind == CPU] == [4096 * (n + 1) for n in range(50)]
    assert len({p.id for p in seen}) == len(seen)
    short = page(FD, PINS, 2, row=200)
    assert [p.bytes for p in short.rows] == [4096, 8192]
    for handle in staying:
        test.uncharge(handle)
    test.close()
    assert page(FD, PINS, 5) == dev.Page([], 0, 0)


def order_of_going_does_not_matter() -> None:
    """Provider, owner, pins and the file that made them, whichever goes first."""
    test = Test()
    provider = test.add()
    in_child(lambda: [test.charge(provider, CPU, MEGA) for _ in range(3)] and None, ALICE)
    one = test.charge(provider, EXPORT, MEGA)
    test.remove(provider)
    assert {p.flags & dev.PROVIDER_GONE for p in shown()} == {dev.PROVIDER_GONE}
    assert [p.flags & dev.OWNER_GONE for p in shown()] == [dev.OWNER_GONE] * 3 + [0]
    assert limit(FD, GET, USER, ALICE).used == 3 * MEGA
    with refused(errno.ENOENT):
        test.charge(provider, CPU, MEGA)
    other = test.add()
    test.charge(other, IMPORT, MEGA, parent=one)
    test.uncharge(one)
    assert shown()[-1].pid == os.getpid(), "the owner of a pin that is gone"
    test.close()
    assert not shown() and limit(FD, GET, USER, ALICE).used == 0
    gone = GROUPS / "gone"
    gone.mkdir()
    number = group_id(gone)
    test = Test()
    provider = test.add()
    in_child(lambda: test.charge(provider, CPU, MEGA) and None, group=str(gone))
    gone.rmdir()
    assert limit(FD, GET, CGROUP, number).used == MEGA and shown()[0].cgroup == number
    test.close()
    with refused(errno.ENOENT):
        limit(FD, GET, CGROUP, number)


def providers_come_and_go_under_queries() -> None:
    stop, stop_w = os.pipe()

    def ask() -> None:
        fd = os.open("/dev/peerdma", os.O_RDWR)
        poll = select.poll()
        poll.register(stop, select.POLLIN)
        while not poll.poll(0):
            wrong = [p for p in everything(fd, PINS) if p.kind == HELD and p.bytes != 4096]
            assert not wrong, f"held pages that nobody reported: {wrong}"
            everything(fd, PROVIDERS)

    threads = [threading.Thread(target=in_child, args=(ask,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(100):
        test = Test()
        provider = test.add()
        pin = test.charge(provider, CPU, MEGA)
        test.ask(dev.SET_HELD, provider, size=4096, parent=pin)
        test.uncharge(pin)
        test.close()
    os.write(stop_w, b"x")
    for thread in threads:
        thread.join()
    assert not shown()


def a_user_has_a_limit() -> None:
    test = Test()
    provider = test.add()
    limit(FD, SET, USER, ALICE, 4 * MEGA)

    def as_alice() -> None:
        first = test.charge(provider, CPU, 3 * MEGA)
        for kind in (CPU, EXPORT, IMPORT):
            with refused(errno.EDQUOT):
                test.charge(provider, kind, 2 * MEGA)
        test.charge(provider, ATTACH, 100 * MEGA)
        last = test.charge(provider, EXPORT, MEGA)
        with refused(errno.EDQUOT):
            test.charge(provider, CPU, 4096)
        test.uncharge(first)
        test.charge(provider, CPU, 3 * MEGA)
        test.uncharge(last)
        test.charge(provider, CPU, 5 * MEGA, 1)
        with refused(errno.EDQUOT):
            test.charge(provider, CPU, 1)

    def as_bob() -> None:
        test.charge(provider, CPU, 400 * MEGA)

    in_child(as_alice, ALICE)
    in_child(as_bob, BOB)
    now = limit(FD, GET, USER, ALICE)
    assert (now.max, now.used, now.refused) == (4 * MEGA, 8 * MEGA, 5), now
    assert [(r.id, r.used, r.max) for r in everything(FD, LIMITS, USER, 1)] == [
        (ALICE, 8 * MEGA, 4 * MEGA), (BOB, 400 * MEGA, NO_LIMIT),
    ]  # fmt: skip
    test.close()
    assert limit(FD, GET, USER, ALICE).used == 0
    limit(FD, CLEAR, USER, ALICE)
    with refused(errno.ENOENT):
        limit(FD, CLEAR, USER, ALICE)
    assert not everything(FD, LIMITS, USER)


def a_group_has_a_limit_with_all_below() -> None:
    test = Test()
    provider = test.add()
    one, two, below = groups()
    limit(FD, SET, CGROUP, group_id(one), 4 * MEGA)

    def in_one() -> None:
        test.charge(provider, CPU, MEGA)
        with refused(errno.EDQUOT):
            test.charge(provider, CPU, 3 * MEGA)

    in_child(lambda: test.charge(provider, CPU, 2 * MEGA) and None, ALICE, str(below))
    in_child(in_one, BOB, str(one))
    in_child(lambda: test.charge(provider, CPU, 40 * MEGA) and None, BOB, str(two))
    assert limit(FD, GET, CGROUP, group_id(one)).used == 3 * MEGA
    assert limit(FD, GET, CGROUP, group_id(below)).used == 2 * MEGA
    assert limit(FD, GET, CGROUP, group_id(GROUPS)).used >= 43 * MEGA
    limit(FD, SET, CGROUP, group_id(below), MEGA)

    def in_below() -> None:
        """Less than what is used: nothing is taken away, nothing more is given."""
        with refused(errno.EDQUOT):
            test.charge(provider, CPU, 1)

    in_child(in_below, ALICE, str(below))
    assert limit(FD, GET, CGROUP, group_id(below)).used == 2 * MEGA
    limit(FD, CLEAR, CGROUP, group_id(below))
    in_child(lambda: test.charge(provider, CPU, MEGA) and None, ALICE, str(below))
    in_child(lambda: in_below(), 0, str(one))
    test.close()
    limit(FD, CLEAR, CGROUP, group_id(one))
    for path in (below, one, two):
        path.rmdir()
    assert not everything(FD, LIMITS, CGROUP)


def limits_are_held_by_many_at_once() -> None:
    """Six threads fight for room for four; never more, and all of it at the end."""
    test = Test()
    provider = test.add()
    limit(FD, SET, USER, ALICE, 4 * MEGA)

    def fight() -> None:
        for _ in range(50):
            try:
                pin = test.charge(provider, CPU, MEGA)
            except OSError as error:
                assert error.errno == errno.EDQUOT, error
                continue
            test.uncharge(pin)

    def as_alice() -> None:
        fd = os.open("/dev/peerdma", os.O_RDWR)
        threads = [threading.Thread(target=fight) for _ in range(6)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            used = limit(fd, GET, USER, ALICE).used
            assert used <= 4 * MEGA, used
        for _ in range(4):
            test.charge(provider, CPU, MEGA)

    in_child(as_alice, ALICE)
    assert limit(FD, GET, USER, ALICE).used == 4 * MEGA
    test.close()
    limit(FD, CLEAR, USER, ALICE)


def events_tell_what_happens() -> None:
    fd = listen()
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    assert not poll.poll(0)
    test = Test()
    provider = test.add(size=64 * MEGA)
    assert poll.poll(0) == [(fd, select.POLLIN)]
    limit(FD, SET, USER, ALICE, MEGA)

    def as_alice() -> None:
        own = listen()
        for _ in range(3):
            with refused(errno.EDQUOT):
                test.charge(provider, CPU, 2 * MEGA)
        (told,) = events(own)
        assert (told.type, told.id) == (3, ALICE), told

    in_child(as_alice, ALICE)
    for result in (0, -errno.ETIMEDOUT, -errno.EINTR):
        test.ask(dev.REVOKE, provider=provider)
        test.ask(dev.REVOKED, provider=provider, result=result)
    test.remove(provider)
    test.close()
    got = events(fd)
    assert [e.type for e in got] == [1, 3, 4, 5, 4, 6, 4, 5, 2], got
    assert [e.error for e in got if e.type in (5, 6)] == [0, errno.ETIMEDOUT, errno.EINTR]
    assert {e.lost for e in got} == {0} and {e.provider for e in got} == {got[0].provider}
    assert {e.function for e in got} == {dev.packed(dev.SLOT)} and got[0].bytes == 64 * MEGA
    assert [e.time_ns for e in got] == sorted(e.time_ns for e in got)
    hit = got[1]
    assert (hit.scope, hit.id, hit.bytes, hit.used, hit.max) == (USER, ALICE, 2 * MEGA, 0, MEGA)
    assert not poll.poll(0)
    limit(FD, CLEAR, USER, ALICE)
    os.close(fd)


def refusals_are_the_business_of_the_refused() -> None:
    test = Test()
    provider = test.add()
    limit(FD, SET, USER, ALICE, MEGA)

    def as_bob() -> None:
        fd = listen(1 << 3)
        os.write(ready_w, b"x")
        os.read(go, 1)
        assert not events(fd)

    def try_it() -> None:
        with refused(errno.EDQUOT):
            test.charge(provider, CPU, 2 * MEGA)

    go, go_w = os.pipe()
    ready, ready_w = os.pipe()
    bob = threading.Thread(target=in_child, args=(as_bob, BOB))
    bob.start()
    os.read(ready, 1)
    in_child(try_it, ALICE)
    os.write(go_w, b"x")
    bob.join()
    limit(FD, CLEAR, USER, ALICE)
    test.close()


def a_slow_reader_learns_what_it_lost() -> None:
    fd = listen(1 << 4)
    test = Test()
    provider = test.add()
    for _ in range(200):
        test.ask(dev.REVOKE, provider=provider)
    got = events(fd)
    assert len(got) == 128 and got[0].lost == 72 and not any(e.lost for e in got[1:])
    for _ in range(130):
        test.ask(dev.REVOKE, provider=provider)
    with refused(errno.EFAULT):
        libc_read(fd, 8, 80)
    got = events(fd)
    assert len(got) == 128 and got[0].lost == 2, (len(got), got[0].lost)
    test.close()
    os.close(fd)


def libc_read(fd: int, address: int, length: int) -> int:
    n = LIBC.read(fd, ctypes.c_void_p(address), length)
    if n < 0:
        raise OSError(ctypes.get_errno(), "read")
    return n


def a_reader_waits() -> None:
    fd = listen(1 << 1, 0)
    got: list[bytes] = []
    thread = threading.Thread(target=lambda: got.append(os.read(fd, 4096)))
    thread.start()
    wait_asleep(thread)
    test = Test()
    test.add()
    thread.join(30)
    assert len(got) == 1 and len(got[0]) == 80
    test.close()
    os.close(fd)


def wait_asleep(thread: threading.Thread) -> None:
    """Until the kernel says that it sleeps in read()."""
    path = Path(f"/proc/self/task/{thread.native_id}/syscall")
    while not path.read_text().startswith("0 "):
        assert thread.is_alive()


def bad_listens() -> None:
    fd = os.open("/dev/peerdma", os.O_RDWR | os.O_NONBLOCK)
    with refused(errno.ENOTCONN):
        os.read(fd, 4096)
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    assert poll.poll(0) == [(fd, select.POLLERR)]
    for types in (0, 1, 0x80, 1 << 31):
        with refused(errno.EINVAL):
            listen(types)
    for fields in ((16, 2, 1, 0), (16, 2, 0, 1)):
        with refused(errno.EINVAL):
            raw(LISTEN, struct.pack("=IIII", *fields))
    with refused(errno.EINVAL):
        raw(LISTEN, struct.pack("=III", 12, 2, 0))
    os.close(fd)
    fd = listen()
    with refused(errno.EBUSY):
        fcntl.ioctl(fd, LISTEN, bytearray(struct.pack("=IIII", 16, 2, 0, 0)), True)
    with refused(errno.EINVAL):
        os.read(fd, 79)
    with refused(errno.EAGAIN):
        os.read(fd, 80)
    os.close(fd)

    def as_alice() -> None:
        many = [listen() for _ in range(16)]
        with refused(errno.EUSERS):
            listen()
        os.close(many[3])
        listen()

    in_child(as_alice, ALICE)
    for number in [listen() for _ in range(40)]:
        os.close(number)


def raw(request: int, data: bytes) -> None:
    arg = bytearray(data)
    fd = os.open("/dev/peerdma", os.O_RDWR)
    try:
        fcntl.ioctl(fd, request, arg, True)
    except OSError:
        assert arg == data, "a refused request changed its argument"
        raise
    finally:
        os.close(fd)


def bad_lists() -> None:
    test = Test()
    test.charge(test.add(), CPU, MEGA)
    rows = {PINS: 128, PROVIDERS: 56, LIMITS: 48}
    for request, size in rows.items():
        scope = USER if request == LIMITS else 0
        good = [48, 0, 0, size, 0, 0, 0, scope, 0]
        raw(request, struct.pack(dev.LIST_FORMAT, *good))
        for where, value, want in (
            (0, 47, errno.EINVAL), (1, 1, errno.EINVAL), (8, 1, errno.EINVAL),
            (3, size - 1, errno.EINVAL), (3, 4097, errno.E2BIG), (4, 1, errno.EFAULT),
            (7, 3, errno.EINVAL), (7, 1 - scope, errno.EINVAL),
        ):  # fmt: skip
            bad = good.copy()
            bad[where] = value
            with refused(want):
                raw(request, struct.pack(dev.LIST_FORMAT, *bad))
        longer = struct.pack(dev.LIST_FORMAT, 56, *good[1:])
        raw(request, longer + bytes(8))
        with refused(errno.E2BIG):
            raw(request, longer + bytes(7) + b"\1")
        with refused(errno.EFAULT):
            libc_ioctl(request, 8)
    test.close()


def libc_ioctl(request: int, address: int) -> None:
    if LIBC.ioctl(FD, ctypes.c_ulong(request), ctypes.c_void_p(address)):
        raise OSError(ctypes.get_errno(), "ioctl")


def bad_limits() -> None:
    missing = group_id(GROUPS) + (7 << 32)
    for request in (SET, GET, CLEAR):
        value = MEGA if request == SET else 0
        good = [48, USER, 5, value, 0, 0, 0, 0]
        for where, what, want in (
            (0, 47, errno.EINVAL), (1, 0, errno.EINVAL), (1, 3, errno.EINVAL),
            (2, 1 << 32, errno.EINVAL), (2, (1 << 32) - 1, errno.EINVAL),
            (3, NO_LIMIT if request == SET else 1, errno.EINVAL),
            (4, 1, errno.EINVAL), (5, 1, errno.EINVAL), (6, 1, errno.EINVAL),
            (7, 1, errno.EINVAL),
        ):  # fmt: skip
            bad = good.copy()
            bad[where] = what
            with refused(want):
                raw(request, struct.pack(dev.LIMIT_FORMAT, *bad))
        with refused(errno.ENOENT):
            limit(FD, request, CGROUP, missing, value)
        with refused(errno.E2BIG):
            raw(request, struct.pack(dev.LIMIT_FORMAT, 49, *good[1:]) + b"\1")
        with refused(errno.EFAULT):
            libc_ioctl(request, 8)
    assert not everything(FD, LIMITS, USER)


def tracepoints() -> None:
    for name in ("pin", "unpin", "refuse", "revoke"):
        (TRACE / f"events/peerdma/peerdma_{name}/enable").write_text("1")
    test = Test()
    provider = test.add()
    limit(FD, SET, USER, 0, MEGA)
    pin = test.charge(provider, IMPORT, 4096, importer=dev.OTHER)
    with refused(errno.EDQUOT):
        test.charge(provider, CPU, 2 * MEGA)
    test.ask(dev.REVOKE, provider=provider)
    test.ask(dev.REVOKED, provider=provider, result=-errno.ETIMEDOUT)
    test.uncharge(pin)
    limit(FD, CLEAR, USER, 0)
    test.close()
    (TRACE / "events/peerdma/enable").write_text("0")
    said = [line for line in (TRACE / "trace").read_text().splitlines() if ": peerdma_" in line]
    words = [
        ("peerdma_pin: ", "kind=import bytes=4096", f"exporter={dev.SLOT}", f"pid={os.getpid()}"),
        ("peerdma_refuse: ", "bytes=2097152", "limit of user 0", "used=4096 max=1048576"),
        ("peerdma_revoke: ", f"exporter={dev.SLOT} begin"),
        ("peerdma_revoke: ", f"end result=-{errno.ETIMEDOUT}"),
        ("peerdma_unpin: ", "kind=import", f"importer={dev.OTHER}"),
    ]
    assert len(said) == len(words), said
    for line, wanted in zip(said, words):
        assert all(word in line for word in wanted), line


def modules_stay_while_they_are_used() -> None:
    test = Test()
    for name in ("peerdma", "peerdma_test"):
        with refused(errno.EWOULDBLOCK):
            if LIBC.delete_module(name.encode(), os.O_NONBLOCK):
                raise OSError(ctypes.get_errno(), "delete_module")
    test.close()


TESTS: list[Callable[[], None]] = [
    pins_are_what_was_begun_and_not_ended, each_sees_his_own, lists_are_whole_while_they_change,
    order_of_going_does_not_matter, providers_come_and_go_under_queries, a_user_has_a_limit,
    a_group_has_a_limit_with_all_below, limits_are_held_by_many_at_once, events_tell_what_happens,
    refusals_are_the_business_of_the_refused, a_slow_reader_learns_what_it_lost, a_reader_waits,
    bad_listens, bad_lists, bad_limits, tracepoints, modules_stay_while_they_are_used,
]  # fmt: skip


def main() -> int:
    global FD
    dev.mount("cgroup2", str(GROUPS))
    dev.mount("tracefs", str(TRACE))
    dev.insert("peerdma", "peerdma_test")
    FD = os.open("/dev/peerdma", os.O_RDWR)
    failed = dev.run_tests(TESTS)
    os.close(FD)
    dev.remove("peerdma_test", "peerdma")
    return failed


sys.exit(main())
