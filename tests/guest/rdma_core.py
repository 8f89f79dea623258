#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rdma-core's own test suite as Debian ships it, on the NIC model; each case must do what
tests/pyverbs/expected.json says. docs/pyverbs.md tells about it.

    rdma_core.py [PATTERN]...     only cases whose name has one of these shell patterns in it
"""

import fnmatch
import gzip
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

SOURCE = Path(os.environ["PEERDMA_SOURCE"])
sys.path.insert(0, str(SOURCE / "tests/pyverbs"))

from expected import Expected, load_expected  # noqa: E402
from supervise import Outcome, Suite  # noqa: E402

SHIPPED = Path("/usr/share/doc/rdma-core/tests")
FOLDER = Path("/run/pyverbs/tests")
ARTEFACTS = Path(os.environ["PEERDMA_ARTEFACTS"])
SLOT = os.environ["PEERDMA_SLOT_NIC0"]
PCI = Path("/sys/bus/pci/devices") / SLOT
# These drive the NIC from user space: they get it when all others are done.
VFIO_CASES = "tests.test_mlx5_vfio."
ADDRESS = "10.88.0.1/24"
HUGE_PAGES = "64"
CASE_LIMIT = 180.0
START_LIMIT = 60.0


def unpack() -> None:
    """Debian compresses what is large; nothing else is done to the suite."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in sorted(SHIPPED.iterdir()):
        if path.suffix == ".gz":
            (FOLDER / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
        elif path.is_file():
            (FOLDER / path.name).write_bytes(path.read_bytes())


def wait_for_port() -> str:
    """Return: the name of the RDMA device once its port is active."""
    end = time.monotonic() + START_LIMIT
    while time.monotonic() < end:
        for state in PCI.glob("infiniband/*/ports/1/state"):
            if state.read_text(encoding="ascii").startswith("4:"):
                return state.parents[2].name
        time.sleep(0.05)
    raise RuntimeError("the port does not become active")


def prepare() -> str:
    """What the suite needs to find in its machine. Return: the RDMA device."""
    unpack()
    device = wait_for_port()
    for argv in (["addr", "replace", ADDRESS, "dev", "ib0"], ["link", "set", "ib0", "up"]):
        subprocess.run(["ip", *argv], check=True)
    Path("/proc/sys/vm/nr_hugepages").write_text(HUGE_PAGES, encoding="ascii")
    return device


def bind(driver: str) -> None:
    """Give the NIC to another driver."""
    (PCI / "driver/unbind").write_text(SLOT, encoding="ascii")
    (PCI / "driver_override").write_text(driver, encoding="ascii")
    Path("/sys/bus/pci/drivers_probe").write_text(SLOT, encoding="ascii")
    assert (PCI / "driver").resolve().name == driver, f"{driver} does not take the NIC"


def names() -> list[str]:
    """All cases, as the suite itself lists them."""
    argv = [sys.executable, str(FOLDER / "run_tests.py"), "--list-tests"]
    said = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120).stdout
    return [line for line in said.splitlines() if line.startswith("tests.")]


def report(number: int, outcome: Outcome, want: Expected | None) -> bool:
    """One line of TAP. Return: is the outcome the expected one?"""
    good = want is not None and want.verdict == outcome.verdict
    if good and want and want.said:
        good = want.said in outcome.why
    print(f"{'ok' if good else 'not ok'} {number} - {outcome.case}")
    print(f"# {outcome.verdict}, {outcome.seconds:.1f} s")
    for line in outcome.why.splitlines()[-40:]:
        print(f"#   {line}")
    if not good:
        print(f"# expected: {f'{want.verdict} {want.said}' if want else 'nothing: a new case'}")
    sys.stdout.flush()
    return good


def check_health(number: int, device: str) -> bool:
    """After all that the NIC still works, and nobody holds anything of it."""
    state = (PCI / "infiniband" / device / "ports/1/state").read_text(encoding="ascii")
    rows = json.loads(subprocess.run(["rdma", "-j", "resource", "show", "qp"],
                                     capture_output=True, check=True).stdout)
    left = [row for row in rows if "pid" in row]
    good = state.startswith("4:") and not left
    print(f"{'ok' if good else 'not ok'} {number} - the port is active and no queue pair is left")
    if not good:
        print(f"# port: {state.strip()}; queue pairs of users: {left}")
    return good


def main() -> int:
    device = prepare()
    every = names()
    wanted = sys.argv[1:]
    run = [n for n in every if not wanted or any(fnmatch.fnmatch(n, f"*{w}*") for w in wanted)]
    table = load_expected(SOURCE / "tests/pyverbs/expected.json")
    gone = [] if wanted else [n for n in table if n not in every]
    print(f"1..{len(run) + len(gone) + 1}", flush=True)
    done: list[Outcome] = []
    bad: list[str] = list(gone)

    def tell(outcome: Outcome) -> None:
        done.append(outcome)
        if not report(len(done), outcome, table.get(outcome.case)):
            bad.append(outcome.case)

    with (ARTEFACTS / "pyverbs.log").open("wb") as log:
        common = [n for n in run if not n.startswith(VFIO_CASES)]
        options = ["--dev", device, "--port", "1"]
        Suite(FOLDER, options, log, CASE_LIMIT, tell).run([n for n in every if n not in common])
        vfio = [n for n in run if n.startswith(VFIO_CASES)]
        if vfio:
            bind("vfio-pci")
        # One that fails keeps the device open as long as its process lives.
        for name in vfio:
            options = ["--pci-dev", SLOT, "--port", "1"]
            Suite(FOLDER, options, log, CASE_LIMIT, tell).run([n for n in every if n != name])
        if vfio:
            bind("mlx5_core")
            device = wait_for_port()
    for number, name in enumerate(gone, start=len(done) + 1):
        print(f"not ok {number} - {name}\n# in the table, but not in the suite")
    good = check_health(len(done) + len(gone) + 1, device) and not bad
    results = [asdict(o) for o in done]
    (ARTEFACTS / "pyverbs.json").write_text(json.dumps(results, indent="\t"), encoding="utf-8")
    count = {v: sum(o.verdict == v for o in done) for v in ("pass", "skip", "fail")}
    print(f"# {count['pass']} passed, {count['skip']} skipped, {count['fail']} failed")
    return 0 if good else 1


sys.exit(main())
