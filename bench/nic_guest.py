#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""In the guests of bench/nic: runs perftest as the host asks. Node b serves node a."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

sys.path.insert(0, os.environ["PEERDMA_SOURCE"] + "/tests/guest")
# pylint: disable=wrong-import-position
from nic_tools import NODE, Perf, Place, agent, device, perftest, run, wait_active  # noqa: E402

MARK = "answer "
TWO = len(os.environ["PEERDMA_NODES"].split()) > 1
RXE = "rxe0"


def set_up() -> None:
    """rxe goes over the Ethernet between nodes; alone, over a device that leads nowhere."""
    wait_active()
    under = "eth0"
    if not TWO:
        under = "bench0"
        run("ip", "link", "add", under, "type", "dummy")
        run("ip", "addr", "add", "10.99.0.1/24", "dev", under)
    run("ip", "link", "set", under, "mtu", "4500" if TWO else "9000", "up")
    run("rdma", "link", "add", RXE, "type", "rxe", "netdev", under)


def row(said: str) -> list[float]:
    lines = [line.split() for line in said.splitlines()]
    return next([float(x) for x in r] for r in reversed(lines) if r and r[0].isdigit())


def measure(place: Place, request: dict[str, Any]) -> dict[str, Any]:
    program = request["program"]
    perf = Perf(program, size=request["size"], iters=request["iters"])
    if request["on"] == "rxe":
        perf.on = RXE
        # The entry of the IPv4 address.
        perf.args += ["-x", "1"]
    values = row(perftest(place, perf))
    if program.endswith("_bw"):
        return {"mib_s": values[3]}
    return {"us": values[4], "min_us": values[2], "avg_us": values[5], "p99_us": values[7]}


def about() -> dict[str, Any]:
    def said(*argv: str) -> str:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        return (done.stdout + done.stderr).strip()

    return {
        "kernel": os.uname().release,
        "device": device(),
        "perftest": "perftest " + said("ib_write_bw", "--version").split()[-1],
        "processors": os.cpu_count(),
    }


def serve_host(place: Place) -> None:
    handlers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "ready": lambda _: about(),
        "measure": lambda request: measure(place, request),
    }
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = handlers[request["do"]](request)
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            answer = {"error": str(error)}
        print(MARK + json.dumps(answer), flush=True)


def main() -> int:
    set_up()
    if NODE != "a":
        agent()
        return 0
    place = Place(node="b", name="b") if TWO else Place()
    if TWO:
        place.wait_agent()
    try:
        serve_host(place)
    finally:
        place.end_agent()
    return 0


sys.exit(main())
