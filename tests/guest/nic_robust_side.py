# SPDX-License-Identifier: MIT
"""One end of a test over the cable: queue pairs and memory by pyverbs, programs, counters. Node a
has an end of its own and drives the one of node b by messages over the Ethernet.
"""

import json
import os
import random
import select
import socket
import subprocess
import time
from typing import Any

import pyverbs.enums as e
from nic_robust_lib import LIMIT, counter
from nic_tools import device, port_state
from programs import run
from pyverbs.addr import AH, AHAttr
from pyverbs.cq import CQ
from pyverbs.device import Context
from pyverbs.mr import MR
from pyverbs.pd import PD
from pyverbs.qp import QP, QPAttr, QPCap, QPInitAttr
from pyverbs.wr import SGE, RecvWR, SendWR

PORT = 7471
MEMORY = 8 << 20
CANARY = 4096
GRH = 40
QKEY = 0x11111111
DEPTH = 256
TYPES = {"rc": e.IBV_QPT_RC, "uc": e.IBV_QPT_UC, "ud": e.IBV_QPT_UD}
OPS = {
    "write": e.IBV_WR_RDMA_WRITE,
    "read": e.IBV_WR_RDMA_READ,
    "send": e.IBV_WR_SEND,
    "add": e.IBV_WR_ATOMIC_FETCH_AND_ADD,
}
ACCESS = (
    e.IBV_ACCESS_LOCAL_WRITE
    | e.IBV_ACCESS_REMOTE_WRITE
    | e.IBV_ACCESS_REMOTE_READ
    | e.IBV_ACCESS_REMOTE_ATOMIC
)


def pattern(seed: int, length: int) -> bytes:
    return random.Random(seed).randbytes(length)


def event_fd() -> int:
    """Of asynchronous events. pyverbs has it, waits on it with the interpreter's lock, and does not
    tell; nobody else here opens one.
    """
    for fd in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{fd}") == "anon_inode:[infinibandevent]":
                return int(fd)
        except FileNotFoundError:  # the list's own
            pass
    raise AssertionError("no event file")


class Side:
    """Every public method may be called from the other node: plain values in and out."""

    def __init__(self) -> None:
        self._ctx = Context(name=device())
        self._event_fd = event_fd()
        self._pd = PD(self._ctx)
        self._mr = MR(self._pd, MEMORY, ACCESS)
        self._cq: Any = None
        self._qp: Any = None
        self._kind = ""
        self._peer: dict[str, int] = {}
        self._ah: Any = None
        self._events: list[str] = []
        self._jobs: list["subprocess.Popen[str]"] = []

    # queue pairs

    def new_qp(self, kind: str) -> dict[str, int]:
        """Replaces the one there was. Return: what the peer must know."""
        for old in (self._qp, self._ah, self._cq):
            if old is not None:
                old.close()
        self._ah = None
        self._kind = kind
        self._cq = CQ(self._ctx, 4 * DEPTH)
        cap = QPCap(max_send_wr=DEPTH, max_recv_wr=DEPTH, max_send_sge=1, max_recv_sge=1)
        init = QPInitAttr(qp_type=TYPES[kind], scq=self._cq, rcq=self._cq, cap=cap, sq_sig_all=1)
        self._qp = QP(self._pd, init)
        return {
            "qpn": self._qp.qp_num,
            "lid": self._ctx.query_port(1).lid,
            "rkey": self._mr.rkey,
            "addr": self._mr.buf,
        }

    def connect(self, peer: dict[str, int], timeout: int, retries: int) -> None:
        self._peer = peer
        where = AHAttr(dlid=peer["lid"], port_num=1)
        attr = QPAttr(port_num=1)
        attr.qp_access_flags = ACCESS
        attr.dest_qp_num = peer["qpn"]
        attr.path_mtu = e.IBV_MTU_1024
        attr.max_rd_atomic = attr.max_dest_rd_atomic = 4
        attr.timeout, attr.retry_cnt, attr.rnr_retry, attr.min_rnr_timer = timeout, retries, 7, 1
        attr.qkey = QKEY
        attr.ah_attr = where
        self._qp.to_rts(attr)
        if self._kind == "ud":
            self._ah = AH(self._pd, attr=where)

    def state(self) -> int:
        return self._qp.query(e.IBV_QP_STATE)[0].qp_state

    def post(self, op: str, off: int, length: int, roff: int = 0) -> None:
        sge = SGE(self._mr.buf + off, length, self._mr.lkey)
        wr = SendWR(opcode=OPS[op], num_sge=1, sg=[sge], send_flags=e.IBV_SEND_SIGNALED)
        if self._ah:
            wr.set_wr_ud(self._ah, self._peer["qpn"], QKEY)
        elif op == "add":
            wr.set_wr_atomic(self._peer["rkey"], self._peer["addr"] + roff, 1, 0)
        elif op != "send":
            wr.set_wr_rdma(self._peer["rkey"], self._peer["addr"] + roff)
        self._qp.post_send(wr)

    def recv(self, off: int, length: int) -> None:
        sge = SGE(self._mr.buf + off, length, self._mr.lkey)
        self._qp.post_recv(RecvWR(wr_id=off, num_sge=1, sg=[sge]))

    def done(self, count: int, limit: float = LIMIT) -> list[tuple[int, int, int]]:
        """The next completions: status, length, and where a receive lies. Fewer when time is up."""
        got: list[tuple[int, int, int]] = []
        end = time.monotonic() + limit
        while len(got) < count and time.monotonic() < end:
            got += [(w.status, w.byte_len, w.wr_id) for w in self._cq.poll(16)[1] or []]
        return got

    # memory

    def fill(self, off: int, length: int, seed: int) -> None:
        self._mr.write(pattern(seed, length), length, off)

    def wipe(self, off: int, length: int) -> None:
        """Zeros, with a canary at either end of them."""
        self._mr.write(bytes(length), length, off)
        self.fill(off - CANARY, CANARY, 1)
        self.fill(off + length, CANARY, 2)

    def first_bad(self, off: int, length: int, seed: int) -> int:
        """Where the bytes or the canaries around them are wrong, -1 if they are right."""
        off -= CANARY
        wanted = pattern(1, CANARY) + pattern(seed, length) + pattern(2, CANARY)
        found = self._mr.read(len(wanted), off)
        if found == wanted:
            return -1
        return off + next(i for i, (x, y) in enumerate(zip(found, wanted)) if x != y)

    def which(self, places: list[int], length: int, first: int, count: int) -> list[int]:
        """Which of the patterns from seed first on lies at each place, counted from 0; -1: none."""
        known = {pattern(first + i, length): i for i in range(count)}
        return [known.get(bytes(self._mr.read(length, off)), -1) for off in places]

    def word(self, off: int) -> int:
        return int.from_bytes(self._mr.read(8, off), "little")

    # the port, the machine

    def events(self) -> list[str]:
        """Asynchronous events so far."""
        while select.select([self._event_fd], [], [], 0)[0]:
            event = self._ctx.get_async_event()
            self._events.append(str(e.ibv_event_type(event.event_type).name))
            event.ack()
        return self._events

    def forget_events(self) -> None:
        self.events()
        self._events = []

    def port(self) -> str:
        return port_state()

    def count(self, *names: str) -> list[int]:
        return [counter(n) for n in names]

    def must(self, *argv: str) -> str:
        return run(*argv)

    def start(self, *argv: str) -> int:
        self._jobs.append(
            subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        )
        return len(self._jobs) - 1

    def finish(self, job: int, limit: float = LIMIT) -> tuple[int, str]:
        """Return: the exit status, and what it said."""
        try:
            said, _ = self._jobs[job].communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            self._jobs[job].kill()
            said = "killed after its time\n" + self._jobs[job].communicate()[0]
        return self._jobs[job].returncode, said


class Remote:
    """A Side on the other node. What fails there is an AssertionError here."""

    def __init__(self, address: str) -> None:
        end = time.monotonic() + LIMIT
        while True:
            try:
                self._file = socket.create_connection((address, PORT), 5).makefile("rw")
                return
            except OSError:
                assert time.monotonic() < end, f"nobody serves at {address}"
                time.sleep(0.05)

    def call(self, name: str, *args: Any) -> Any:
        self._file.write(json.dumps([name, *args]) + "\n")
        self._file.flush()
        line = self._file.readline()
        assert line, f"{name}: the other node is gone"
        failed, value = json.loads(line)
        assert not failed, f"{name} on the other node: {value}"
        return value

    def tell_bye(self) -> None:
        self._file.write('["bye"]\n')
        self._file.flush()

    def __getattr__(self, name: str) -> Any:
        return lambda *args: self.call(name, *args)


def serve(side: Side) -> None:
    """Until the other node says bye."""
    with socket.create_server(("", PORT)) as listener:
        connection = listener.accept()[0]
    with connection, connection.makefile("rw") as file:
        for line in file:
            name, *args = json.loads(line)
            if name == "bye":
                return
            try:
                answer = [False, getattr(side, name)(*args)]
            except Exception as error:  # whatever it is, the driver must hear of it
                answer = [True, f"{type(error).__name__}: {error}"]
            file.write(json.dumps(answer) + "\n")
            file.flush()
    raise AssertionError("the other node went away")
