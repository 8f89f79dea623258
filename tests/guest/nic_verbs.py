#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The unmodified mlx5 driver and RDMA tools on the NIC model, one node talking to itself."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

SLOT = os.environ["PEERDMA_SLOT_NIC0"]
PCI = Path("/sys/bus/pci/devices") / SLOT
DRIVER = Path("/sys/bus/pci/drivers/mlx5_core")
LIMIT = 90.0


def wait_for(what: str, ready: Callable[[], bool], limit: float = 60.0) -> None:
    end = time.monotonic() + limit
    while not ready():
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {limit:g} s")
        time.sleep(0.05)


def port_state() -> str:
    names = list(PCI.glob("infiniband/*/ports/1/state"))
    return names[0].read_text(encoding="ascii").strip() if names else "no RDMA device"


def device() -> str:
    return next(PCI.glob("infiniband/*")).name


def listens(port: int) -> bool:
    rows = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    rows += Path("/proc/net/tcp6").read_text(encoding="ascii").splitlines()[1:]
    columns = [row.split() for row in rows]
    return any(c[1].endswith(f":{port:04X}") and c[3] == "0A" for c in columns)


def pair(program: str, port: int, *args: str) -> str:
    """A server and a client of the same tool. Return: what the client printed."""
    argv = [program, "-d", device(), "-p", str(port), *args]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as server:
        try:
            wait_for(f"{program} listens", lambda: listens(port) or server.poll() is not None)
            client = subprocess.run(
                [*argv, "localhost"], capture_output=True, text=True, timeout=LIMIT, check=False
            )
            said, _ = server.communicate(timeout=LIMIT)
        except BaseException:
            server.kill()
            raise
    assert client.returncode == 0, f"client: {client.returncode}\n{client.stdout}{client.stderr}"
    assert server.returncode == 0, f"server: {server.returncode}\n{said.decode()}"
    return client.stdout


def port_is_active() -> None:
    wait_for("port active", lambda: port_state() == "4: ACTIVE")
    said = subprocess.run(["ibv_devinfo", "-v"], capture_output=True, text=True, check=True).stdout
    assert "PORT_ACTIVE" in said and "InfiniBand" in said, said


def pingpong(kind: str, *args: str) -> Callable[[], None]:
    def run() -> None:
        # -c compares every byte received; -e sleeps for events, which a loaded machine forgives.
        said = pair(f"ibv_{kind}_pingpong", 18515, "-e", "-n", "50", *args)
        assert "50 iters in" in said, said

    return run


def perftest(program: str, port: int, *args: str) -> str:
    """perftest gives up where it can't calibrate its clock, which a busy host makes it: again."""
    for _ in range(8):
        try:
            return pair(program, port, *args)
        except AssertionError as error:
            if "Correlation coefficient" not in str(error):
                raise
    raise AssertionError(f"{program} could not calibrate its clock")


def write_bandwidth() -> None:
    said = perftest("ib_write_bw", 18516, "-s", "65536", "-n", "200")
    assert "65536      200" in said, said


def read_latency() -> None:
    said = perftest("ib_read_lat", 18517, "-s", "8", "-n", "50")
    assert " 8       50" in said, said


def unbound_and_bound() -> None:
    (DRIVER / "unbind").write_text(SLOT, encoding="ascii")
    assert port_state() == "no RDMA device"
    (DRIVER / "bind").write_text(SLOT, encoding="ascii")
    wait_for("port active", lambda: port_state() == "4: ACTIVE")
    pingpong("rc", "-c")()


TESTS: dict[str, Callable[[], None]] = {
    "port_is_active": port_is_active,
    "rc_pingpong": pingpong("rc", "-c"),
    "rc_pingpong_of_many_packets": pingpong("rc", "-c", "-s", "100000"),
    "rc_pingpong_with_odp": pingpong("rc", "-c", "-o"),
    "uc_pingpong": pingpong("uc", "-c"),
    "ud_pingpong": pingpong("ud", "-c"),
    "srq_pingpong": pingpong("srq", "-c"),
    "write_bandwidth": write_bandwidth,
    "read_latency": read_latency,
    "unbound_and_bound": unbound_and_bound,
}


def main() -> int:
    print(f"1..{len(TESTS)}")
    failed = False
    for number, (name, test) in enumerate(TESTS.items(), start=1):
        try:
            test()
            print(f"ok {number} - {name}", flush=True)
        except (AssertionError, OSError, subprocess.SubprocessError, StopIteration) as error:
            failed = True
            for line in str(error).splitlines():
                print(f"# {line}")
            print(f"not ok {number} - {name}", flush=True)
    return int(failed)


sys.exit(main())
