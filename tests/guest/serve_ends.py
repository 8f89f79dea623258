#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How things end: crowds, kill -9 on either side, revokes and resets while data flows."""

import os
import signal
import subprocess
import sys
import time
from typing import Any

from fabric import ask
from nic_two import two_nodes
from programs import wait_for
from serve_lib import ACC0, ACC1, BUILD, PEERDMA, TOKEN, Server, dump, make_tokens, peerdma
from tap import Tests

SLICE = 64 << 10
CROWD = 200


def objects_of_b() -> dict[str, int]:
    """What clients leave behind would show here; keys are not counted, the driver keeps some."""
    count = ask("snapshot", "b/nic0")["state"]["objects"]
    return {kind: count[kind] for kind in ("pd", "cq", "qp")}


class Crowd:
    """Clients of a process of their own, all connected, until they are ended."""

    def __init__(self, server: Server, n: int, by: str):
        where = server.uri("vram", by).removeprefix("rdma://")
        argv = [f"{BUILD}/tests/guest/serve_clients", str(n), where, str(TOKEN), str(SLICE)]
        # pylint: disable=consider-using-with
        self.child = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def wait_ready(self) -> None:
        assert self.child.stdout
        line = self.child.stdout.readline()
        assert line == b"ready\n", line + self.child.stdout.read()

    def leave(self) -> None:
        said = self.child.communicate(timeout=120)[0]
        assert self.child.returncode == 0, said

    def kill(self) -> None:
        self.child.kill()
        self.child.communicate()


class Traffic:
    """A copy that would take long."""

    def __init__(self, server: Server, name: str = "vram", by: str = "cm"):
        environment = {**os.environ, "PEERDMA_TOKEN_FILE": str(TOKEN)}
        once = '"$0" copy --size 32M "$1" "$2"'
        script = f"while {once} >/dev/null; do :; done; exec {once}"
        # The loop ends at the first failure; the one after it must fail at once as well.
        # pylint: disable=consider-using-with
        self.child = subprocess.Popen(
            ["sh", "-c", script, PEERDMA, "host:32M", server.uri(name, by)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def ends(self, limit: float) -> str:
        """It must fail by itself in that time. Return: what it said."""
        try:
            said = self.child.communicate(timeout=limit)[0].decode()
        except subprocess.TimeoutExpired:
            os.killpg(self.child.pid, signal.SIGKILL)
            raise AssertionError(f"the client still waits after {limit:g} s") from None
        assert self.child.returncode == 1, f"{self.child.returncode}: {said}"
        return said

    def kill(self) -> None:
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has ended
        self.child.communicate()


def flows(device: str) -> Any:
    """Wait until payload moves into or out of a device's peers."""

    def total() -> int:
        data = ask("counters", device)["dma"]["data"]
        return sum(way["bytes"] for target in data.values() for way in target.values())

    start = total()
    return wait_for("traffic", lambda: total() > start + (8 << 20))


def crowd(n: int, by: str) -> None:
    before = objects_of_b()
    with Server("--name", "vram", ACC0) as server:
        one = Crowd(server, n, by)
        one.wait_ready()
        stats = server.stats()
        assert stats["clients"] == stats["opens"] == n, stats
        one.leave()
        stats = server.wait_clients(0)
        assert stats["opens"] == stats["violations"] == 0, stats
    wait_for("objects of the NIC are gone", lambda: objects_of_b() == before)


def two_hundred_clients() -> None:
    crowd(CROWD, "numbers")


def many_clients_by_cm() -> None:
    crowd(40, "cm")


def clients_killed() -> None:
    """Those who stay do not notice, and nothing is left of the others."""
    before = objects_of_b()
    with Server("--name", "vram", ACC0) as server:
        stay, go = Crowd(server, 5, "numbers"), Crowd(server, 20, "numbers")
        stay.wait_ready()
        go.wait_ready()
        traffic = Traffic(server, by="numbers")
        flows("b/nic0")
        go.kill()
        traffic.kill()
        stats = server.wait_clients(5)
        assert stats["opens"] == 5, stats
        peerdma("copy", "--verify", "--size", "1M", "host:1M", server.uri("vram") + "+64M")
        stay.leave()
        server.wait_clients(0)
    wait_for("objects of the NIC are gone", lambda: objects_of_b() == before)


def server_killed() -> None:
    """Clients learn it in seconds; nothing of the old server can be reached; a new one serves."""
    before = objects_of_b()
    with Server("--name", "vram", ACC0) as server:
        traffic = Traffic(server)
        flows("b/nic0")
        server.signal("KILL")
        server.stop()
        traffic.ends(30)
    wait_for("objects of the NIC are gone", lambda: objects_of_b() == before)
    with Server("--name", "vram", ACC0) as server:
        peerdma("copy", "--verify", "--size", "1M", "host:1M", server.uri("vram"))


def revoked() -> None:
    """Other exports go on."""
    with Server("--name", "vram", "--name", "other", ACC0, ACC1) as server:
        traffic = Traffic(server)
        flows("b/nic0")
        server.say("revoke vram")
        traffic.ends(30)
        server.wait_event("export-end", "vram")
        # Requests that were under way are no offence.
        assert server.stats()["violations"] == 0
        said = peerdma("dump", server.uri("vram"), status=1)
        assert "serves no 'vram'" in said, said
        peerdma("copy", "--verify", "--size", "1M", "host:1M", server.uri("other"))
        # The last one goes: then there is nothing left to serve.
        server.say("revoke other")
        server.running = False
        try:
            server.process.wait()
        except AssertionError as error:
            assert ": 1" in str(error), error
        else:
            raise AssertionError("the server did not tell of its end by its status")


def revoke_is_told() -> None:
    """A client that does nothing hears of it too."""
    with Server("--name", "vram", ACC0) as server:
        environment = {**os.environ, "PEERDMA_TOKEN_FILE": str(TOKEN)}
        with subprocess.Popen(
            [PEERDMA, "watch", "--json", server.uri("vram")],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        ) as watcher:
            server.wait_event("opened")
            server.signal("HUP")
            said = watcher.communicate(timeout=60)[0]
        assert watcher.returncode == 1, said
        assert "region-revoked" in said, said
        server.running = False


def device_reset() -> None:
    """The exported accelerator is reset while a client writes: its keys die first."""
    with Server("--name", "vram", "--name", "other", ACC0, ACC1) as server:
        traffic = Traffic(server)
        flows("b/nic0")
        server.say("reset vram")
        traffic.ends(30)
        server.wait_event("export-end", "vram")
        before = ask("counters", "b/nic0")["dma"]["data"]
        assert "serves no" in peerdma("dump", server.uri("vram"), status=1)
        assert ask("counters", "b/nic0")["dma"]["data"]["peer_switch"] == before["peer_switch"]
        peerdma("copy", "--verify", "--size", "1M", "host:1M", server.uri("other"))
    with Server("--name", "vram", ACC0) as server:
        peerdma("copy", "--verify", "--size", "1M", "host:1M", server.uri("vram"))


def server_ends_cleanly() -> None:
    with Server("--name", "vram", ACC0) as server:
        traffic = Traffic(server)
        flows("b/nic0")
        start = time.monotonic()
        log = server.quit()
        assert time.monotonic() - start < 20
        assert '"export-end"' not in log or "the server ends" in log
        traffic.ends(30)


def link_cut() -> None:
    """The cable is pulled: the copy fails in bounded time, and works again later."""
    with Server("--name", "vram", ACC0) as server:
        traffic = Traffic(server, by="numbers")
        flows("b/nic0")
        ask("link", "a/nic0", up=False)
        try:
            wait_for("the copy gives up", lambda: traffic.child.poll() is not None, limit=60)
        finally:
            ask("link", "a/nic0", up=True)
            traffic.kill()
        wait_for("works again", lambda: works(server), limit=60)
        assert len(dump(server.uri("vram", "numbers"), 0, 16)) == 16


def works(server: Server) -> bool:
    try:
        peerdma("copy", "--size", "1M", "host:1M", server.uri("vram", "numbers"))
        return True
    except AssertionError:
        return False


def tests() -> Tests:
    make_tokens()
    # The driver makes what it needs for user memory with the first registration, and keeps it.
    with Server("--name", "vram", ACC0) as server:
        peerdma("copy", "--verify", "--size", "1M", "host:1M", server.uri("vram"))
    return {
        "two_hundred_clients": two_hundred_clients,
        "many_clients_by_cm": many_clients_by_cm,
        "clients_killed": clients_killed,
        "server_killed": server_killed,
        "revoked": revoked,
        "revoke_is_told": revoke_is_told,
        "device_reset": device_reset,
        "server_ends_cleanly": server_ends_cleanly,
        "link_cut": link_cut,
    }


sys.exit(two_nodes(tests))
