# SPDX-License-Identifier: MIT
"""RDMA tools that come in pairs, on one node or on two, and what is asked of each."""

import itertools
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fabric import NODE
from programs import LIMIT, listens, run, tail, wait_for
from tap import Tests
from tap import tap as tap_all

PCI = Path("/sys/bus/pci/devices") / os.environ["PEERDMA_SLOT_NIC0"]
AGENT_PORT = 7700
ACTIVE = "4: ACTIVE"
NO_DEVICE = "no RDMA device"
Json = dict[str, object]


# ---- the port ----


def port_state() -> str:
    names = list(PCI.glob("infiniband/*/ports/1/state"))
    try:
        return names[0].read_text(encoding="ascii").strip() if names else NO_DEVICE
    except OSError:  # it went meanwhile
        return NO_DEVICE


def wait_active() -> None:
    wait_for("port active", lambda: port_state() == ACTIVE)


def device() -> str:
    return next(PCI.glob("infiniband/*")).name


# ---- commands of which one waits for the other ----


def is_served(port: int) -> bool:
    """By TCP, or by rdma_cm."""
    if listens(port):
        return True
    ids = subprocess.run(
        ["rdma", "resource", "show", "cm_id"], capture_output=True, text=True, check=False
    )
    return any(f":{port} " in row and "LISTEN" in row for row in ids.stdout.splitlines())


class Process:
    """A command under way on this node."""

    def __init__(self, argv: list[str], port: int):
        # pylint: disable=consider-using-with
        self.argv = argv
        # A file: nobody reads from a pipe while the other side is at work.
        self.said = tempfile.TemporaryFile()
        self.child = subprocess.Popen(argv, stdout=self.said, stderr=subprocess.STDOUT)
        try:
            wait_for(f"{argv[0]} listens", lambda: self.child.poll() is not None or is_served(port))
        except BaseException:
            self.stop()
            raise

    def _output(self) -> str:
        self.said.seek(0)
        return tail(self.said.read().decode(errors="replace"))

    def wait(self) -> str:
        status = self.child.wait(timeout=LIMIT)
        assert status == 0, f"{self.argv}: {status}\n{self._output()}"
        return self._output()

    def stop(self) -> str:
        """Return: what it said, in vain."""
        self.child.kill()
        self.child.wait()
        return self._output()


class RemoteProcess:
    """The same on another node, whose agent() does it."""

    def __init__(self, address: str, argv: list[str], port: int):
        self.link = socket.create_connection((address, AGENT_PORT), timeout=LIMIT + 10)
        self.lines = self.link.makefile("rw", encoding="utf-8")
        self._send({"argv": argv, "port": port})
        self._receive()

    def _send(self, message: Json) -> None:
        self.lines.write(json.dumps(message) + "\n")
        self.lines.flush()

    def _receive(self) -> str:
        line = self.lines.readline()
        assert line, "the agent of the other node is gone"
        answer = json.loads(line)
        assert answer["ok"], answer["text"]
        return str(answer["text"])

    def wait(self) -> str:
        self._send({"do": "wait"})
        try:
            return self._receive()
        finally:
            self.link.close()

    def stop(self) -> str:
        self._send({"do": "stop"})
        try:
            return self._receive()
        finally:
            self.link.close()


def _serve(link: socket.socket) -> None:
    lines = link.makefile("rw", encoding="utf-8")
    process: Process | None = None

    def answer(act: Callable[[], str]) -> None:
        try:
            reply: Json = {"ok": True, "text": act()}
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            reply = {"ok": False, "text": f"node {NODE}: {error}"}
        lines.write(json.dumps(reply) + "\n")
        lines.flush()

    def start(request: Json) -> str:
        nonlocal process
        process = Process(request["argv"], request["port"])  # type: ignore[arg-type]
        return ""

    try:
        for line in lines:
            request = json.loads(line)
            if "argv" in request:
                answer(lambda request=request: start(request))
            elif process:
                answer(process.wait if request["do"] == "wait" else process.stop)
                process = None
    except OSError:
        pass
    finally:
        if process:
            process.stop()
        link.close()


def agent() -> None:
    """Carries out what the other node asks for, until it says it is done."""
    with socket.create_server(("", AGENT_PORT), backlog=8) as server:
        server.settimeout(600)
        while True:
            link, _ = server.accept()
            first = link.recv(1, socket.MSG_PEEK)
            if first == b"q":
                link.close()
                return
            threading.Thread(target=_serve, args=(link,), daemon=True).start()


@dataclass
class Place:
    """Where servers run, and how clients name them."""

    node: str | None = None  # None: this one
    name: str = "localhost"  # for tools that use TCP to find each other
    address: str = ""  # for rdma_cm

    def start(self, argv: list[str], port: int) -> Process | RemoteProcess:
        return RemoteProcess(self.node, argv, port) if self.node else Process(argv, port)

    def wait_agent(self) -> None:
        def there() -> bool:
            try:
                socket.create_connection((self.node, AGENT_PORT), timeout=5).close()
                return True
            except OSError:
                return False

        wait_for("the agent of the other node", there)

    def end_agent(self) -> None:
        if self.node:
            with socket.create_connection((self.node, AGENT_PORT), timeout=LIMIT) as link:
                link.sendall(b"q")


def peer_program(place: Place, name: str, *args: str) -> str:
    """Run a script of this folder there to its end. Return: what it said."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
    return place.start([sys.executable, script, *args], 0).wait()


HERE = Place()
_ports = itertools.count(18600)


def next_port() -> int:
    """One that no earlier server has left in TIME_WAIT."""
    return next(_ports)


def pair(place: Place, server: list[str], client: list[str], port: int) -> str:
    """Return: what the client printed."""
    process = place.start(server, port)
    try:
        said = run(*client)
    except subprocess.TimeoutExpired as error:
        text = tail((error.stdout or b"").decode(errors="replace"))
        raise AssertionError(f"{error}\n{text}\nserver:\n{process.stop()}") from error
    except BaseException as error:
        raise AssertionError(f"{error}\nserver:\n{process.stop()}") from error
    process.wait()
    return said


# ---- perftest ----


@dataclass
class Perf:
    """One run of a program of perftest."""

    program: str
    service: str = "RC"
    qps: int = 1
    size: int = 4096
    iters: int = 20
    args: list[str] = field(default_factory=list)
    cm: bool = False
    on: str = ""  # device; the model's by default

    @property
    def name(self) -> str:
        extra = "".join("_" + a.strip("-") for a in self.args if a.startswith("-"))
        qps = f"_{self.qps}_qps" if self.program.endswith("bw") else ""
        cm = "_cm" if self.cm else ""
        return f"{self.program[3:]}_{self.service.lower()}{qps}{cm}{extra}".replace("-", "_")

    def argv(self) -> list[str]:
        argv = [self.program, "-d", self.on or device(), "-c", self.service, *self.args]
        argv += ["-n", str(self.iters)]
        if self.program.endswith("bw"):
            argv += ["-q", str(self.qps)]
        if "atomic" not in self.program and "-a" not in self.args:
            argv += ["-s", str(self.size)]
        return argv + ["-R"] * self.cm

    def check(self, said: str) -> None:
        """The rows name sizes and iterations; every size must be there."""
        rows = [line.split() for line in said.splitlines() if re.match(r"\s*\d+\s+\d+\s", line)]
        got = [(int(r[0]), int(r[1])) for r in rows]
        sizes = [8] if "atomic" in self.program else [self.size]
        if "-a" in self.args:
            sizes = [1 << i for i in range(1, 24)]
        want = [(size, self.iters * self.qps) for size in sizes]
        assert got == want, f"rows {got}, expected {want}\n{said}"


def perftest(place: Place, perf: Perf) -> str:
    """perftest gives up where it can't calibrate its clock, which a busy host makes it: again."""
    for _ in range(8):
        port = next_port()
        argv = [*perf.argv(), "-p", str(port)]
        peer = place.address if perf.cm else place.name
        try:
            said = pair(place, argv, [*argv, peer], port)
            perf.check(said)
            return said
        except AssertionError as error:
            if "Correlation coefficient" not in str(error):
                raise
    raise AssertionError(f"{perf.program} could not calibrate its clock")


PROGRAMS = [
    ("ib_write_bw", ("RC", "UC", "XRC")),
    ("ib_read_bw", ("RC", "XRC")),
    ("ib_send_bw", ("RC", "UC", "UD", "XRC")),
    ("ib_atomic_bw", ("RC", "XRC")),
]


def bandwidth(program: str, service: str, qps: int, size: int, iters: int) -> Perf:
    if service == "UD":
        size = min(size, 2048)
    # perftest posts no more receives than iterations, and an XRC receive queue wants one a QP.
    if service == "XRC" and program == "ib_send_bw":
        iters = max(iters, qps + 1)
    return Perf(program, service, qps, size, iters)


def bandwidths(qps: int, size: int, iters: int) -> list[Perf]:
    return [bandwidth(p, s, qps, size, iters) for p, services in PROGRAMS for s in services]


def latencies(size: int, iters: int) -> list[Perf]:
    return [Perf(p[:-2] + "lat", s, 1, size, iters) for p, services in PROGRAMS for s in services]


def perf_tests(place: Place, runs: list[Perf]) -> Tests:
    def test(perf: Perf) -> Callable[[], None]:
        return lambda: perftest(place, perf) and None

    return {perf.name: test(perf) for perf in runs}


# ---- TAP ----


def tap(tests: Tests, all_of_them: bool = False) -> int:
    """Names as arguments choose tests. Return: the exit status."""
    wanted = [] if all_of_them else [a for a in sys.argv[1:] if not a.startswith("-")]
    chosen = {n: t for n, t in tests.items() if not wanted or n in wanted}
    return tap_all(chosen)
