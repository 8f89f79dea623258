#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Two NICs of one node, which hang on one switch of the subnet."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from fabric import ask
from nic_robust_lib import DRIVER, LIMIT, objects
from nic_tools import ACTIVE, NO_DEVICE
from programs import listens, run, wait_for
from tap import tap

NICS = {name: os.environ[f"PEERDMA_SLOT_{name.upper()}"] for name in ("nic0", "nic1")}


def port(nic: str) -> Path | None:
    return next(Path(f"/sys/bus/pci/devices/{NICS[nic]}").glob("infiniband/*/ports/1"), None)


def rdma_name(nic: str) -> str:
    where = port(nic)
    assert where, f"{nic} has no RDMA device"
    return where.parents[1].name


def attribute(nic: str, name: str) -> str:
    where = port(nic)
    try:
        return (where / name).read_text(encoding="ascii").strip() if where else NO_DEVICE
    except OSError:  # it went meanwhile
        return NO_DEVICE


def opens(nic: str) -> bool:
    argv = ["ibv_devinfo", "-d", rdma_name(nic)]
    return not subprocess.run(argv, capture_output=True, timeout=LIMIT, check=False).returncode


def wait_active(nic: str) -> None:
    wait_for(f"{nic} active", lambda: attribute(nic, "state") == ACTIVE and opens(nic))


def across(program: str, *args: str) -> None:
    """Node a's second NIC serves, the first asks; every byte that comes is compared."""
    server_argv = [program, "-d", rdma_name("nic1"), "-p", "18600", "-c", *args]
    with subprocess.Popen(server_argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as server:
        try:
            wait_for(f"{program} listens", lambda: listens(18600) or server.poll() is not None)
            run(program, "-d", rdma_name("nic0"), "-p", "18600", "-c", *args, "localhost")
            said, _ = server.communicate(timeout=LIMIT)
        except BaseException:
            server.kill()
            raise
    assert server.returncode == 0, said


def both_are_there() -> None:
    for nic in NICS:
        wait_active(nic)
    for name in ("lid", "gids/0"):
        assert attribute("nic0", name) != attribute("nic1", name), name
    assert attribute("nic0", "sm_lid") == attribute("nic1", "sm_lid")


def they_reach_each_other() -> None:
    before = ask("counters", "nic1")["dma"]["data"]["host"]["write"]["bytes"]
    across("ibv_rc_pingpong", "-e", "-n", "50", "-s", "100000")
    assert ask("counters", "nic1")["dma"]["data"]["host"]["write"]["bytes"] - before >= 5000000
    across("ibv_uc_pingpong", "-e", "-n", "50")
    across("ibv_ud_pingpong", "-e", "-n", "50")


def one_goes_and_comes() -> None:
    """Counts of the other do not move, and nothing is left of the one."""
    other = objects("nic1")
    (DRIVER / "unbind").write_text(NICS["nic0"], encoding="ascii")
    assert not any(objects("nic0").values()) and objects("nic1") == other
    assert attribute("nic1", "state") == ACTIVE
    (DRIVER / "bind").write_text(NICS["nic0"], encoding="ascii")
    wait_active("nic0")
    they_reach_each_other()


def one_is_reset() -> None:
    resets = ask("counters", "nic1")["bus"]["resets"]
    other = objects("nic1")
    Path(f"/sys/bus/pci/devices/{NICS['nic0']}/reset").write_text("1", encoding="ascii")
    assert objects("nic1") == other and ask("counters", "nic1")["bus"]["resets"] == resets
    wait_for("nic0 out of service", lambda: attribute("nic0", "state") != ACTIVE)
    wait_active("nic0")
    they_reach_each_other()


TESTS: dict[str, Callable[[], None]] = {
    "both_are_there": both_are_there,
    "they_reach_each_other": they_reach_each_other,
    "one_goes_and_comes": one_goes_and_comes,
    "one_is_reset": one_is_reset,
}


if __name__ == "__main__":
    sys.exit(tap(TESTS))
