# SPDX-License-Identifier: MIT
"""peerdma serve on node b, and what tests on node a ask of it."""

import json
import os
import subprocess
from pathlib import Path

from fabric import Json
from nic_tools import AGENT_PORT, next_port
from nic_two import ADDRESS, peer
from programs import LIMIT, run, tail, wait_for

BUILD = os.environ["PEERDMA_BUILD"]
PEERDMA = f"{BUILD}/cli/peerdma"
TOKEN = Path("/run/serve-token")
OTHER_TOKEN = Path("/run/serve-token-other")
FIFO = "/run/serve-control"
LOG = "/run/serve-log"
ACC0 = "accel:" + os.environ["PEERDMA_SLOT_ACC0"]
ACC1 = "accel:" + os.environ["PEERDMA_SLOT_ACC1"]
# One process writes commands to the fifo, the server has it open for both so that it never ends.
START = (
    f'rm -f {FIFO} {LOG}; mkfifo {FIFO}; exec "$0" serve --json --control "$@" <>{FIFO} >{LOG} 2>&1'
)


def on_b(*argv: str) -> str:
    """The agent itself listens on that port: nobody waits for the command to do so."""
    return peer().start(list(argv), AGENT_PORT).wait()


def make_tokens() -> None:
    """A token both nodes have, and one of the same name that only this node has."""
    for path in (TOKEN, OTHER_TOKEN):
        path.unlink(missing_ok=True)
        run(PEERDMA, "serve", "--new-token", str(path))
    text = TOKEN.read_text(encoding="ascii")
    on_b("sh", "-c", f'umask 077; rm -f {TOKEN}; printf %s "$1" > {TOKEN}', "sh", text)


def peerdma(*argv: str, status: int = 0, token: Path | None = TOKEN, limit: float = LIMIT) -> str:
    """Run the command here. Return: all it said."""
    environment = dict(os.environ)
    environment.pop("PEERDMA_TOKEN_FILE", None)
    if token:
        environment["PEERDMA_TOKEN_FILE"] = str(token)
    done = subprocess.run(
        [PEERDMA, *argv],
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
        env=environment,
        stdin=subprocess.DEVNULL,
    )
    said = done.stdout + done.stderr
    assert done.returncode == status, f"peerdma {' '.join(argv)}: {done.returncode}\n{tail(said)}"
    return said


class Server:
    """Regions of node b, served until the end of a with statement."""

    def __init__(self, *args: str) -> None:
        self.port = next_port()
        argv = ["sh", "-c", START, PEERDMA, *args]
        argv += ["--token-file", str(TOKEN), "--port", str(self.port)]
        self.process = peer().start(argv, self.port)
        self.running = True
        wait_for("the server listens", lambda: self.events("listening"))

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        if self.running:
            self.process.stop()

    def uri(self, name: str, by: str = "cm") -> str:
        """By the connection manager, or by an address that it does not know."""
        host = ADDRESS["b"] if by == "cm" else "b"
        return f"rdma://{host}:{self.port}/{name}"

    def _grep(self, kind: str, then: str) -> str:
        # The agent sends the last few thousand characters only.
        return on_b("sh", "-c", f"grep '^{{\"event\":\"{kind}\"' {LOG} | {then}")

    def events(self, kind: str) -> list[Json]:
        """The latest of a kind."""
        return [json.loads(line) for line in self._grep(kind, "tail -n 8").splitlines()]

    def count(self, kind: str) -> int:
        return int(self._grep(kind, "wc -l"))

    def wait_event(self, kind: str, text: str = "") -> Json:
        def there() -> Json | None:
            found = [e for e in self.events(kind) if text in e.get("text", "")]
            return found[-1] if found else None

        return wait_for(f"event {kind} '{text}'", there)

    def say(self, line: str) -> None:
        on_b("sh", "-c", f'echo "$1" > {FIFO}', "sh", line)

    def stats(self) -> Json:
        before = self.count("stats")
        self.say("stats")
        wait_for("stats", lambda: self.count("stats") > before)
        return self.events("stats")[-1]

    def wait_clients(self, n: int) -> Json:
        return wait_for(f"{n} clients", lambda: (s := self.stats())["clients"] == n and s)

    def signal(self, name: str) -> None:
        on_b("sh", "-c", f"kill -{name} $(pgrep -f -- '--port {self.port}$')")

    def quit(self) -> str:
        """Return: what it wrote after all."""
        self.say("quit")
        self.running = False
        self.process.wait()
        return on_b("cat", LOG)

    def stop(self) -> None:
        self.running = False
        self.process.stop()


def dump(uri: str, off: int, length: int) -> bytes:
    said = json.loads(peerdma("dump", "--json", "--off", str(off), "--len", str(length), uri))
    return bytes.fromhex(said["hex"])
