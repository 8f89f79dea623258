#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Two nodes and a bad cable between them. Node a drives, node b does as it is told."""

import argparse
import sys
from collections.abc import Callable
from typing import Any

from fabric import NODE, ask
from nic_robust_lib import wait_active
from nic_robust_side import CANARY, DEPTH, GRH, Remote, Side, serve
from nic_tools import ACTIVE
from programs import wait_for
from tap import tap

ETHERNET_B = "10.77.0.2"
IPOIB = {"a": "10.89.0.1", "b": "10.89.0.2"}
A, B = "a/nic0", "b/nic0"
OK, FLUSHED, RETRIES_EXCEEDED = 0, 5, 12  # enum ibv_wc_status
RTS, ERR = 3, 6  # enum ibv_qp_state
KIB = 1 << 10
# Acknowledgement time-outs: 4.096 us * 2 ** n
QUICK, USUAL = 10, 14
SRC, DST = CANARY, (4 << 20) + CANARY


class Cable:
    """Its two ends; main() brings them."""

    a: Side
    b: Any  # Remote

    def join(self, kind: str, timeout: int = QUICK, retries: int = 7) -> None:
        """New queue pairs on both sides."""
        at_a, at_b = self.a.new_qp(kind), self.b.new_qp(kind)
        self.a.connect(at_b, timeout, retries)
        self.b.connect(at_a, timeout, retries)

    def set_link(self, up: bool) -> None:
        ask("link", A, up=up)

    def wait_ports(self, state: str) -> None:
        wait_for(f"ports {state}", lambda: self.a.port() == state and self.b.port() == state, 20)

    # ---- transfers ----

    def expect(self, side: Any, count: int) -> list[tuple[int, int, int]]:
        got = side.done(count)
        assert [g[0] for g in got] == [OK] * count, got
        return got

    def write(self, seed: int, length: int = 256 * KIB, pieces: int = 4) -> None:
        self.a.fill(SRC, length, seed)
        self.b.wipe(DST, length)
        part = length // pieces
        for i in range(pieces):
            self.a.post("write", SRC + i * part, part, DST + i * part)
        self.expect(self.a, pieces)
        assert self.b.first_bad(DST, length, seed) == -1, "written bytes"

    def read(self, seed: int, length: int = 256 * KIB, pieces: int = 4) -> None:
        self.b.fill(SRC, length, seed)
        self.a.wipe(DST, length)
        part = length // pieces
        for i in range(pieces):
            self.a.post("read", DST + i * part, part, SRC + i * part)
        self.expect(self.a, pieces)
        assert self.a.first_bad(DST, length, seed) == -1, "read bytes"

    def send(self, seed: int, length: int = 256 * KIB, pieces: int = 8) -> None:
        self.a.fill(SRC, length, seed)
        self.b.wipe(DST, length)
        part = length // pieces
        for i in range(pieces):
            self.b.recv(DST + i * part, part)
        for i in range(pieces):
            self.a.post("send", SRC + i * part, part)
        self.expect(self.a, pieces)
        got = self.expect(self.b, pieces)
        assert [g[1] for g in got] == [part] * pieces, got
        assert self.b.first_bad(DST, length, seed) == -1, "sent bytes"

    def add(self, count: int = 16) -> None:
        """Each once, however often it had to be sent."""
        self.b.wipe(DST, 8)
        for i in range(count):
            self.a.post("add", SRC + 8 * i, 8, DST)
        self.expect(self.a, count)
        assert [self.a.word(SRC + 8 * i) for i in range(count)] == list(range(count))
        assert self.b.word(DST) == count

    def all_ways(self, seed: int) -> None:
        self.write(seed)
        self.read(seed + 1)
        self.send(seed + 2)
        self.add()


cable = Cable()


def model(name: str, device: str = A) -> int:
    return ask("counters", device)["model"][name]


class Fault:
    """A fault point that is armed inside a with block."""

    def __init__(self, device: str, point: str, action: str, permille: int, arg: int = 0) -> None:
        self._device = device
        self._point = point
        self._how = {"action": action, "permille": permille, "arg": arg}
        self.hits = 0

    def __enter__(self) -> "Fault":
        ask("fault", self._device, point=self._point, **self._how)
        return self

    def __exit__(self, *_: object) -> None:
        self.hits = ask("faults", self._device)["faults"][self._device][self._point]["hits"]
        ask("fault", self._device, point=self._point, action="none")


# ---- link down ----


def bounce_in_transfer(wait_down: Callable[[], object]) -> None:
    """The link goes down with requests on their way, and up when wait_down returns."""
    length = 2 << 20
    cable.a.fill(SRC, length, 7)
    cable.b.wipe(DST, length)
    part = length // DEPTH
    for i in range(DEPTH):
        cable.a.post("write", SRC + i * part, part, DST + i * part)
        if i == DEPTH // 2:
            cable.set_link(False)
    wait_down()
    cable.set_link(True)


def short_outage() -> None:
    """Shorter than the retries: nobody notices but the counters and who listens for events."""
    cable.join("rc", USUAL)
    cable.a.forget_events()
    cable.b.forget_events()
    downed, timeouts = [s.count("link_downed")[0] for s in (cable.a, cable.b)], model("timeouts")
    bounce_in_transfer(lambda: wait_for("time-outs", lambda: model("timeouts") >= timeouts + 2))
    got = cable.a.done(DEPTH)
    assert [g[0] for g in got] == [OK] * DEPTH, got
    assert cable.b.first_bad(DST, 2 << 20, 7) == -1
    assert cable.a.state() == RTS and model("retransmits") > 0
    cable.wait_ports(ACTIVE)
    for side, before in zip((cable.a, cable.b), downed):
        assert side.count("link_downed")[0] == before + 1
        wait_for("port events", lambda: "IBV_EVENT_PORT_ACTIVE" in side.events(), 10)
        assert "IBV_EVENT_PORT_ERR" in side.events(), side.events()
    cable.all_ways(10)


def long_outage() -> None:
    """Longer than the retries: an error completion, the rest flushed; new connections work."""
    cable.join("rc", USUAL - 3, 3)
    got: list[tuple[int, int, int]] = []
    bounce_in_transfer(lambda: got.extend(cable.a.done(DEPTH)))
    bad = [g[0] for g in got if g[0] != OK]
    assert len(got) == DEPTH and bad[0] == RETRIES_EXCEEDED, got
    assert bad[1:] == [FLUSHED] * (len(bad) - 1), got
    assert cable.a.state() == ERR and cable.b.state() == RTS
    cable.wait_ports(ACTIVE)
    cable.join("rc")
    cable.all_ways(20)


# ---- what the cable does to packets ----


def rc_hides_it(device: str, point: str, action: str, permille: int, arg: int = 0) -> None:
    cable.join("rc")
    with Fault(device, point, action, permille, arg) as fault:
        cable.all_ways(30)
    assert fault.hits, f"{point} {action} has not struck"
    assert cable.a.state() == RTS and cable.b.state() == RTS
    print(f"# {point} {action}: {fault.hits} packets")


def rc_over_a_bad_cable() -> None:
    for action, permille, arg in (
        ("drop", 30, 0), ("corrupt", 30, 0), ("dup", 100, 0), ("reorder", 50, 0),
        ("delay", 50, 400),
    ):  # fmt: skip
        rc_hides_it(A, "cable.tx", action, permille, arg)
    for action, permille, arg in (
        ("drop", 50, 0), ("corrupt", 50, 0), ("dup", 100, 0), ("reorder", 50, 0),
        ("delay", 100, 400),
    ):  # fmt: skip
        rc_hides_it(B, "cable.ack", action, permille, arg)


def counters_move() -> None:
    """What the receiver's checksum finds, and what is thrown away, is counted once each."""
    for action, side, names in (
        ("corrupt", cable.b, ("symbol_error", "port_rcv_errors")),
        ("drop", cable.a, ("port_xmit_discards",)),
    ):
        cable.join("rc")
        before, sent_again = side.count(*names), model("retransmits")
        with Fault(A, "cable.tx", action, 30) as fault:
            cable.write(40)
        more = [now - then for now, then in zip(side.count(*names), before)]
        assert fault.hits and more == [fault.hits] * len(names), (names, more, fault.hits)
        assert model("retransmits") > sent_again


def datagrams(action: str, permille: int, expected: Callable[[int, int], int]) -> list[int]:
    """Return: the datagrams' numbers in the order they came in; each has the right bytes."""
    count, size, slot = 60, 1000, 2048
    cable.join("ud")
    for i in range(2 * count):
        cable.b.recv(DST + i * slot, GRH + size)
    for i in range(count):
        cable.a.fill(SRC + i * slot, size, 100 + i)
    with Fault(A, "cable.tx", action, permille, 300) as fault:
        for i in range(count):
            cable.a.post("send", SRC + i * slot, size)
        cable.expect(cable.a, count)
        wanted = expected(count, ask("faults", A)["faults"][A]["cable.tx"]["hits"])
        got = cable.expect(cable.b, wanted)
    assert fault.hits and not cable.b.done(1, 0.05), (action, fault.hits)
    assert all(length == GRH + size for _, length, _ in got), got
    order = cable.b.which([off + GRH for _, _, off in got], size, 100, count)
    assert -1 not in order, (action, order)
    return order


def datagrams_are_lost_as_they_should() -> None:
    for action in ("drop", "corrupt"):
        order = datagrams(action, 200, lambda n, hits: n - hits)
        assert order == sorted(set(order)), order
    order = datagrams("dup", 200, lambda n, hits: n + hits)
    assert order == sorted(order) and set(order) == set(range(60)), order
    order = datagrams("delay", 200, lambda n, hits: n)
    assert sorted(order) == list(range(60)), order
    order = datagrams("reorder", 200, lambda n, hits: n)
    assert sorted(order) == list(range(60)) and order != sorted(order), order


def unconnected_messages_are_lost_whole() -> None:
    """UC: a message that misses a packet is gone, its neighbours are not, nothing is sent again."""
    count, size, slot = 60, 3000, 4096
    cable.join("uc")
    for i in range(count):
        cable.a.fill(SRC + i * slot, size, 200 + i)
        cable.b.recv(DST + i * slot, size)
    again = model("retransmits")
    with Fault(A, "cable.tx", "drop", 60) as fault:
        for i in range(count):
            cable.a.post("send", SRC + i * slot, size)
        cable.expect(cable.a, count)
    got = cable.b.done(count, 1)
    assert fault.hits and count - fault.hits <= len(got) < count, (fault.hits, len(got))
    assert all(g[:2] in ((OK, size), [OK, size]) for g in got), got
    order = cable.b.which([g[2] for g in got], size, 200, count)
    assert -1 not in order and order == sorted(order), order
    assert model("retransmits") == again
    print(f"# {fault.hits} packets lost, {count - len(got)} of {count} messages")


# ---- IPoIB and the connection manager ----


def ipoib_up() -> None:
    for side, node in ((cable.a, "a"), (cable.b, "b")):
        side.must("ip", "addr", "replace", f"{IPOIB[node]}/24", "dev", "ib0")
        side.must("ip", "link", "set", "ib0", "up")


def pings() -> bool:
    done = cable.a.finish(cable.a.start("ping", "-c", "1", "-W", "1", IPOIB["b"]))
    return done[0] == 0


def carrier(side: Any) -> bool:
    return side.must("cat", "/sys/class/net/ib0/carrier").strip() == "1"


def rping(count: int) -> tuple[int, int]:
    args = ["-a", IPOIB["b"], "-V", "-C", str(count), "-S", "4000"]
    server = cable.b.start("rping", "-s", *args)
    # It has no way to say that it listens; who comes too early is refused and comes again.
    return server, cable.a.start("sh", "-c", 'until rping -c "$@"; do :; done', "sh", *args)


def joined(*jobs: int) -> None:
    server, client = jobs
    for side, job in ((cable.a, client), (cable.b, server)):
        status, said = side.finish(job, 30)
        assert status == 0, f"rping: {status}\n{said}"


def ip_and_cm_survive() -> None:
    """The broadcast group must be joined again, or addresses are not found any more."""
    ipoib_up()
    wait_for("ping", pings)
    joined(*rping(5))
    sent = cable.a.count("port_xmit_packets")[0]
    jobs = rping(400)
    wait_for("rping at work", lambda: cable.a.count("port_xmit_packets")[0] > sent + 100)
    cable.set_link(False)
    assert cable.a.port() == cable.b.port() == "1: DOWN"
    # Not before the kernel is through with it: a join that fails while groups go is its own bug.
    wait_for("carrier off", lambda: not (carrier(cable.a) or carrier(cable.b)))
    cable.set_link(True)
    cable.wait_ports(ACTIVE)
    joined(*jobs)
    for side in (cable.a, cable.b):
        side.must("ip", "neigh", "flush", "dev", "ib0")
    wait_for("ping after the bounce", pings)
    joined(*rping(5))


TESTS: dict[str, Callable[[], None]] = {
    "short_outage": short_outage,
    "long_outage": long_outage,
    "rc_over_a_bad_cable": rc_over_a_bad_cable,
    "counters_move": counters_move,
    "datagrams_are_lost_as_they_should": datagrams_are_lost_as_they_should,
    "unconnected_messages_are_lost_whole": unconnected_messages_are_lost_whole,
    "ip_and_cm_survive": ip_and_cm_survive,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help="names of cases")
    args = parser.parse_args()
    wait_active()
    if NODE != "a":
        return tap({"served": lambda: serve(Side())})
    cable.a, cable.b = Side(), Remote(ETHERNET_B)
    status = tap({k: v for k, v in TESTS.items() if not args.only or k in args.only})
    cable.b.tell_bye()
    return status


if __name__ == "__main__":
    sys.exit(main())
