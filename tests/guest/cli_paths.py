#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What peerdma says of paths, held against the kernel, real data and the fabric's counters."""

import json
import os
import subprocess
import sys

PEERDMA = os.path.join(os.environ["PEERDMA_BUILD"], "cli/peerdma")
CONTROL = os.path.join(os.environ["PEERDMA_SOURCE"], "lab/guest-tools/peerdma-ctl")
TOPOLOGY = os.environ["PEERDMA_TOPOLOGY"]
IOMMU = os.environ["PEERDMA_IOMMU"] == "1"
SLOT = {name: os.environ[f"PEERDMA_SLOT_{name.upper()}"]
        for name in ("nic0", "acc0", "acc1", "disk0")}

# Topology: answer, mapping, and where the fabric counts what moved.
EXPECTED = {
    "root-ports": ("yes", "through host bridge", "peer_bridge"),
    "root-ports-iommu": ("yes", "IOVA", "peer_bridge"),
    "switch": ("yes", "bus address", "peer_switch"),
    "switch-iommu": ("yes", "bus address", "peer_switch"),
    "root-ports-refused": ("no", "through host bridge", None),
}
ANSWER, MAPPING, ROUTE = EXPECTED[TOPOLOGY]

cases: list[tuple[str, list[str]]] = []


def peerdma(*words: str) -> tuple[int, str, str]:
    done = subprocess.run([PEERDMA, *words], capture_output=True, text=True, check=False,
                          timeout=120)
    return done.returncode, done.stdout, done.stderr


def ask(*words: str) -> tuple[int, dict]:
    status, out, err = peerdma(*words, "--json")
    if not out:
        raise RuntimeError(f"peerdma {' '.join(words)}: status {status}: {err.strip()}")
    return status, json.loads(out)


def control(*words: str) -> dict:
    done = subprocess.run([CONTROL, *words], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


class Case:
    """Collects what is wrong, so that one case shows all of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.wrong: list[str] = []

    def equal(self, what: str, got: object, want: object) -> None:
        if got != want:
            self.wrong.append(f"{what}: {got!r}, not {want!r}")

    def true(self, what: str, got: object) -> None:
        if not got:
            self.wrong.append(what)

    def __enter__(self) -> "Case":
        return self

    def __exit__(self, kind: object, value: object, _: object) -> bool:
        if value is not None:
            self.wrong.append(f"{type(value).__name__}: {value}")
        cases.append((self.name, self.wrong))
        return True


def moved(device: str) -> dict[str, int]:
    (counters,) = control("counters", f"device={device}")["counters"].values()
    return {target: entry["read"]["bytes"] + entry["write"]["bytes"]
            for target, entry in counters["dma"]["data"].items()}


def p2pmem_of(bdf: str) -> int | None:
    try:
        with open(f"/sys/bus/pci/devices/{bdf}/p2pmem/size", encoding="ascii") as file:
            return int(file.read())
    except OSError:
        return None


def list_shows_the_slots() -> None:
    with Case("list shows every slot's device and its regions") as case:
        status, answer = ask("list")
        case.equal("status", status, 0)
        roles = {entry["address"]: entry["role"] for entry in answer["devices"]}
        case.equal("nic0", roles.get(SLOT["nic0"]), "nic")
        case.equal("acc0", roles.get(SLOT["acc0"]), "accelerator")
        case.equal("acc1", roles.get(SLOT["acc1"]), "accelerator")
        case.equal("disk0", roles.get(SLOT["disk0"]), "nvme")
        uris = {entry["uri"]: entry["length"] for entry in answer["regions"]}
        case.equal("VRAM as a region", f"vfio:{SLOT['acc0']}/bar2" in uris, IOMMU)
        case.equal("memory buffer of the drive", uris.get(f"cmb:{SLOT['disk0']}"),
                   p2pmem_of(SLOT["disk0"]))


def topo_agrees_with_the_kernel() -> None:
    with Case("topo has the functions that sysfs has, and a verdict for each pair") as case:
        status, answer = ask("topo")
        case.equal("status", status, 0)
        case.equal("functions", sorted(entry["address"] for entry in answer["functions"]),
                   sorted(os.listdir("/sys/bus/pci/devices")))
        for entry in answer["functions"]:
            link = os.path.realpath(f"/sys/bus/pci/devices/{entry['address']}")
            above = os.path.basename(os.path.dirname(link))
            case.equal(f"parent of {entry['address']}", entry["parent"],
                       above if above.count(":") == 2 else None)
        pairs = {(entry["initiator"], entry["target"]): entry for entry in answer["matrix"]}
        for one in ("acc0", "nic0"):
            entry = pairs[SLOT[one], SLOT["acc1"]]
            case.equal(f"{one} to acc1", (entry["answer"], entry["mapping"]), (ANSWER, MAPPING))


def captured_tree_says_the_same() -> None:
    with Case("a capture says of itself what the machine says") as case:
        directory = f"/tmp/capture-{os.getpid()}"
        status, _, err = peerdma("topo", "--save", directory)
        case.equal(f"status of --save ({err.strip()})", status, 0)
        for words in (("list",), ("topo",), ("doctor",)):
            live, there = ask(*words), ask(*words, "--sysroot", directory)
            case.equal(words[0], there, live)
        status, _, err = peerdma("topo", "--save", directory)
        case.equal("status where there is one already", status, 1)
        case.true("the reason names the directory", directory in err)


def drawings_are_drawings() -> None:
    with Case("svg and dot have every function") as case:
        for option, begin in (("--svg", "<svg"), ("--dot", "digraph")):
            status, out, _ = peerdma("topo", option, "-")
            case.equal(f"status of {option}", status, 0)
            case.true(f"{option} begins with {begin}", out.startswith(begin))
            missing = [bdf for bdf in os.listdir("/sys/bus/pci/devices") if bdf not in out]
            case.equal(f"missing in {option}", missing, [])


def check_pair(a: str, b: str) -> None:
    """From a to b; b is an accelerator. Data must go the predicted way and no other."""
    with Case(f"check {a} {b}: predicted, asked, measured and counted agree") as case:
        before = moved(a)
        status, answer = ask("check", SLOT[a], SLOT[b], "--measure")
        after = moved(a)
        there = answer["directions"][0]
        case.equal("predicted", there["predicted"]["answer"], ANSWER)
        case.equal("mapping", there["predicted"]["mapping"], MAPPING)
        if there["kernel"]["answer"] != "unknown":
            case.equal(f"the kernel ({there['kernel']['how']})", there["kernel"]["answer"], ANSWER)
        elif a == "nic0" and IOMMU:
            case.true(f"the kernel was not asked: {there['kernel']['how']}", False)
        how = there["measured"]["how"]
        if ANSWER == "yes" and (IOMMU or a != "nic0"):
            case.equal("status", status, 0)
            case.equal(f"write ({how})", there["measured"]["write"], "good")
            case.equal(f"read ({how})", there["measured"]["read"], "good")
            case.true("prediction and measurement agree", there["agrees"])
            length = there["measured"]["length"]
            case.true(f"{ROUTE} counts the data", after[ROUTE] - before[ROUTE] >= 2 * length)
            for other in ("peer_switch", "peer_bridge", "peer_qemu"):
                if other != ROUTE:
                    case.equal(other, after[other] - before[other], 0)
        if ANSWER == "no":
            case.true(f"status {status} is 10 or 20", status in (10, 20))
            case.true(f"write is not good ({how})", there["measured"]["write"] != "good")
            case.equal("answer in the end", there["final"]["answer"], "no")


def check_drive() -> None:
    """The NIC reaches the memory buffer of a drive that its kernel driver has."""
    if not p2pmem_of(SLOT["disk0"]):
        return
    with Case("check nic0 disk0: the drive's memory buffer") as case:
        status, answer = ask("check", SLOT["nic0"], SLOT["disk0"], "--measure")
        there = answer["directions"][0]
        how = f"{there['kernel']['how']}; {there['measured']['how']}"
        case.equal("predicted", there["predicted"]["answer"], ANSWER)
        case.equal(f"the kernel ({how})", there["kernel"]["answer"], ANSWER)
        if ANSWER == "yes":
            case.equal("status", status, 0)
            case.equal(f"write ({how})", there["measured"]["write"], "good")
            case.equal(f"read ({how})", there["measured"]["read"], "good")
        else:
            case.equal("status", status, 20)
            case.true(f"write is not good ({how})", there["measured"]["write"] != "good")


def fault(initiator: str, action: str, point: str, cause: str) -> None:
    with Case(f"check --measure tells of {initiator} {point} {action}") as case:
        control("fault", f"device={initiator}", f"point={point}", f"action={action}", "count=0")
        try:
            status, answer = ask("check", SLOT[initiator], SLOT["acc1"], "--measure")
        finally:
            control("fault", f"device={initiator}", f"point={point}", "action=none")
        there = answer["directions"][0]
        case.equal("status", status, 10)
        case.equal("predicted", there["predicted"]["answer"], "yes")
        case.equal("cause in the end", there["final"]["cause"], cause)
        case.true("prediction and measurement differ", not there["agrees"])
        case.equal("first bad byte", there["measured"].get("first_bad"), 0)
        status, answer = ask("check", SLOT[initiator], SLOT["acc1"], "--measure")
        case.equal("status without the fault", status, 0)


def doctor_is_right() -> None:
    with Case("doctor finds what is broken here and nothing else") as case:
        status, answer = ask("doctor")
        broken = [entry["cause"] for entry in answer["findings"] if entry["severity"] == "broken"]
        want = ["host-bridge"] if ANSWER == "no" else []
        case.equal("broken", broken, want)
        case.equal("status", status, 1 if want else 0)
        causes = {entry["cause"] for entry in answer["findings"]}
        case.equal("the IOMMU is told of", "viommu" in causes, IOMMU)


def mistakes_are_told() -> None:
    with Case("mistakes give status 2 and a sentence") as case:
        for words in (("check", SLOT["acc0"]), ("check", SLOT["acc0"], "ff:1f.7"),
                      ("check", SLOT["acc0"], f"vfio:{SLOT['acc1']}/bar2+1T:1"), ("list", "--what"),
                      ("topo", "--sysroot")):
            status, out, err = peerdma(*words)
            case.equal(f"status of {words}", status, 2)
            case.equal(f"output of {words}", out, "")
            told = err.startswith("peerdma: ") and err.count(":") > 1
            case.true(f"{words} says why: {err}", told)
        status, _, err = peerdma("list", "--sysroot", "/nowhere")
        case.equal("status of a tree that is not there", status, 1)
        case.true("its reason names it", "/nowhere" in err)


def main() -> int:
    list_shows_the_slots()
    topo_agrees_with_the_kernel()
    captured_tree_says_the_same()
    drawings_are_drawings()
    doctor_is_right()
    mistakes_are_told()
    check_pair("acc0", "acc1")
    check_pair("acc1", "acc0")
    check_pair("nic0", "acc0")
    check_pair("nic0", "acc1")
    check_drive()
    # Without an IOMMU no program exports what a NIC could register.
    for initiator in [] if ANSWER == "no" else ["acc0", "nic0"] if IOMMU else ["acc0"]:
        fault(initiator, "drop", "dma.peer.read", "writes-only")
        fault(initiator, "drop", "dma.peer.write", "silent-corruption")
        fault(initiator, "corrupt", "dma.peer.write", "silent-corruption")
    print("TAP version 13")
    print(f"1..{len(cases)}")
    for number, (name, wrong) in enumerate(cases, 1):
        print(f"{'not ok' if wrong else 'ok'} {number} - {name}")
        for line in wrong:
            print(f"# {line}")
    return 1 if any(wrong for _, wrong in cases) else 0


if __name__ == "__main__":
    sys.exit(main())
