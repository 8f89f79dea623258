#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""By hand: four to eight nodes on one switch of the subnet. The same program in each:

    lab/peerdma-lab run -t special/nic-only -n 8 --memory 640M --on all --timeout 600 \\
        --modules ib_ipoib,ib_umad -- python3 /peerdma/source/tests/guest/nic_robust_many.py
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable

from fabric import NODE
from nic_robust_lib import LIMIT, counter, wait_active
from nic_tools import PCI, device
from programs import run, wait_for
from tap import tap

NODES = os.environ["PEERDMA_NODES"].split()
ME = NODES.index(NODE)
PATIENCE = 6 * LIMIT


def ethernet(number: int) -> str:
    return f"10.77.0.{number + 1}"


def ipoib(number: int) -> str:
    return f"10.90.0.{number + 1}"


def succeeds(*argv: str) -> bool:
    return subprocess.run(argv, capture_output=True, timeout=LIMIT, check=False).returncode == 0


def lids_differ() -> None:
    """Every node sees all others in the subnet, each with a LID of its own."""
    wait_active()
    run("ip", "addr", "replace", f"{ipoib(ME)}/24", "dev", "ib0")
    run("ip", "link", "set", "ib0", "up")
    lid = int(next(PCI.glob("infiniband/*/ports/1/lid")).read_text(encoding="ascii"), 0)

    def others() -> set[int]:
        rows = run("saquery", "NR").splitlines()
        return {int(r.split(".")[-1]) for r in rows if r.strip().startswith("lid.")}

    wait_for("all in the subnet", lambda: len(others() - {1}) == len(NODES), PATIENCE)
    assert lid in others() and lid != 1
    print(f"# lid {lid} of {sorted(others())}")


def all_ping_all() -> None:
    for other in range(len(NODES)):
        if other != ME:
            where = ipoib(other)
            wait_for(f"ping {where}", lambda: succeeds("ping", "-c1", "-W2", where), PATIENCE)
    print(f"# {len(NODES) - 1} others answered over IPoIB")


def pairs_write() -> None:
    """Nodes a and b, c and d ... at the same time; each pair's bytes leave the first of them."""
    argv = ["ib_write_bw", "-d", device(), "-F", "-n", "500", "-s", "65536", "-p", "18700"]
    mate = ME ^ 1
    if mate >= len(NODES):
        return
    if ME % 2:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return
    before = counter("unicast_xmit_packets")
    end = time.monotonic() + PATIENCE
    while True:
        done = subprocess.run(
            [*argv, ethernet(mate)], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        if done.returncode == 0:
            break
        assert time.monotonic() < end, done.stdout + done.stderr
        time.sleep(0.1)
    assert counter("unicast_xmit_packets") - before >= 500 * 65536 // 4096
    print("# " + next(r for r in done.stdout.splitlines() if r.strip().startswith("65536")).strip())


TESTS: dict[str, Callable[[], None]] = {
    "lids_differ": lids_differ,
    "all_ping_all": all_ping_all,
    "pairs_write": pairs_write,
    # Nobody leaves before the last one is through.
    "all_ping_all_again": all_ping_all,
}


if __name__ == "__main__":
    sys.exit(tap(TESTS))
