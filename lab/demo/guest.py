#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The demonstration, in each of two nodes: b serves memory of its accelerator, a moves data.

a asks b for what only b can do (start and stop serving, counters, the accelerator's CRC) over the
launcher's Ethernet; data takes the RDMA cable. a leaves demo.json in $PEERDMA_ARTEFACTS.
"""

import filecmp
import json
import os
import socket
import subprocess
import sys
import time
import xmlrpc.client
import xmlrpc.server
from collections.abc import Callable
from pathlib import Path

NODE = os.environ["NODE"]
BUILD = Path(os.environ["PEERDMA_BUILD"])
PEERDMA = str(BUILD / "cli/peerdma")
CRC = str(BUILD / "bench/accel_crc")
ACC0, ACC1 = (os.environ[f"PEERDMA_SLOT_ACC{i}"] for i in range(2))
TOKEN = Path("/run/peerdma-token")
# On the Ethernet between the nodes, so that nothing but the data takes the cable and is counted.
SERVER = "10.77.0.2"
CONTROL = (SERVER, 4711)
LIMIT = 120.0
SAMPLES = 5
SIZE = 64 << 20
TARGETS = ("host", "own", "peer_switch", "peer_bridge", "peer_qemu", "link")
Bytes = dict[str, dict[str, int]]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(argv)}: exit status {done.returncode}\n{done.stderr}")
    return done.stdout


def write_token() -> None:
    TOKEN.touch(mode=0o600)
    TOKEN.write_text(f"demo:{os.environ['PEERDMA_DEMO_TOKEN']}\n", encoding="ascii")


def counters() -> Bytes:
    """Payload that each device of this node moved, by the memory it read or wrote."""
    found = {}
    for device in ("nic0", "acc0", "acc1"):
        answer = json.loads(run("peerdma-ctl", "counters", f"device={device}"))
        data = answer["counters"][f"{NODE}/{device}"]["dma"]["data"]
        found[device] = {
            t: data[t]["read"]["bytes"] + data[t]["write"]["bytes"] for t in TARGETS
        }
    return found


class Server:
    """What b does for a."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> bool:
        self._process = subprocess.Popen(
            [PEERDMA, "serve", "--json", "--token-file", str(TOKEN), "--name", "vram",
             f"accel:{ACC1}"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout
        return bool(self._process.stdout.readline())

    def stop(self) -> int:
        assert self._process
        self._process.terminate()
        self._process.communicate(timeout=LIMIT)
        return self._process.returncode

    def counters(self) -> Bytes:
        return counters()

    def crc(self, off: int, length: int) -> str:
        return run(CRC, ACC1, str(off), str(length)).strip()


def serve() -> int:
    server = xmlrpc.server.SimpleXMLRPCServer(
        CONTROL, requestHandler=xmlrpc.server.SimpleXMLRPCRequestHandler, logRequests=False,
        allow_none=True,
    )  # fmt: skip
    over = []
    server.register_instance(Server())
    server.register_function(lambda: over.append(True), "over")
    while not over:
        server.handle_request()
    return 0


def connect() -> xmlrpc.client.ServerProxy:
    end = time.monotonic() + LIMIT
    while True:
        try:
            socket.create_connection(CONTROL, timeout=LIMIT).close()
            break
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
    return xmlrpc.client.ServerProxy(f"http://{CONTROL[0]}:{CONTROL[1]}", allow_none=True)


def copy(source: str, target: str, *options: str) -> dict:
    return json.loads(run(PEERDMA, "copy", "--json", "--token-file", str(TOKEN), *options, source,
                          target))  # fmt: skip


def moved(before: Bytes, after: Bytes) -> dict[str, int]:
    return {t: sum(after[d][t] - before[d][t] for d in after) // SAMPLES for t in TARGETS}


def both(b: xmlrpc.client.ServerProxy) -> tuple[Bytes, Bytes]:
    return counters(), b.counters()  # type: ignore[return-value]


def measure(b: xmlrpc.client.ServerProxy, name: str, once: Callable[[], dict]) -> dict:
    say(f"{name}: {SAMPLES} times")
    before = both(b)
    done = [once() for _ in range(SAMPLES)]
    after = both(b)
    times = sorted(x["time_ns"] for x in done)
    return {
        "name": name,
        "bytes": done[0]["bytes"],
        "engine": done[0]["engine"],
        "why": done[0]["why"],
        "ns": times[SAMPLES // 2],
        "ns_min": times[0],
        "ns_max": times[-1],
        "a": moved(before[0], after[0]),
        "b": moved(before[1], after[1]),
    }


def kernel_image() -> Path:
    return next(Path("/boot").glob("vmlinuz-*"))


def harm(b: xmlrpc.client.ServerProxy) -> None:
    """For tests: arm the fault that $PEERDMA_DEMO_HARM names, as "DEVICE POINT ACTION"."""
    what = os.environ.get("PEERDMA_DEMO_HARM", "").split()
    if what:
        device, point, action = what
        run("peerdma-ctl", "fault", f"device={device}", f"point={point}", f"action={action}",
            "arg=4711")  # fmt: skip


def move_data(b: xmlrpc.client.ServerProxy) -> dict:
    vram = f"rdma://{SERVER}/vram"
    file, back = kernel_image(), Path("/run/vmlinuz-back")
    length = file.stat().st_size
    there = f"{vram}+0:{length}"
    vram_half = f"{vram}+64M:{SIZE}"
    acc = f"accel:{ACC0}+0:{SIZE}"
    rows = [
        measure(b, "file of a to VRAM of b", lambda: copy(str(file), there)),
        measure(b, "VRAM of b to file of a", lambda: copy(there, str(back))),
    ]
    # Something else than zeroes for the accelerators: the file, and what lies behind it.
    copy(str(file), f"accel:{ACC0}+0:{length}")
    direct = measure(b, "VRAM of a to VRAM of b", lambda: copy(acc, vram_half))
    staged = measure(b, "the same, staged in a",
                     lambda: copy(acc, vram_half, "--engine", "staged"))  # fmt: skip
    return {
        "length": length,
        "rows": [*rows, direct, staged],
        "same": filecmp.cmp(file, back, shallow=False),
        "crc_file": run(CRC, str(file)).strip(),
        "topology": os.environ["PEERDMA_TOPOLOGY"],
    }


def drive() -> int:
    b = connect()
    try:
        if not b.start():
            raise SystemExit("b does not serve")
        harm(b)
        result = move_data(b)
        result["serve_status"] = b.stop()
        say("CRC32C by the accelerators")
        result["crc_b"] = b.crc(0, result["length"])
        result["crc_a_acc0"] = run(CRC, ACC0, "0", str(SIZE)).strip()
        result["crc_b_acc1"] = b.crc(64 << 20, SIZE)
        artefacts = Path(os.environ["PEERDMA_ARTEFACTS"])
        (artefacts / "demo.json").write_text(json.dumps(result, indent=2), encoding="ascii")
        run(PEERDMA, "topo", "--svg", str(artefacts / "topology.svg"))
        run(PEERDMA, "report", "--output", str(artefacts / "report.html"))
    finally:
        b.over()
    return 0


def main() -> int:
    write_token()
    return drive() if NODE == "a" else serve()


if __name__ == "__main__":
    sys.exit(main())
