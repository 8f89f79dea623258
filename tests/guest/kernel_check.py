#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Predicted by peerdma check, and answered by the kernel through its module: the same, of every
pair."""

import itertools
import json
import os
import subprocess
import sys

BUILD = os.environ["PEERDMA_BUILD"]
SLOTS = {n: os.environ.get(f"PEERDMA_SLOT_{n}") for n in ("NIC0", "ACC0", "ACC1", "DISK0")}
# What the kernel's address tells apart; without a mapping its distance alone is known.
MAPPINGS = {"bus-address": "bus address", "through-host-bridge": "through host bridge"}


def check(initiator: str, target: str) -> dict:
    done = subprocess.run(
        [f"{BUILD}/cli/peerdma", "check", "--json", initiator, target],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout, f"exit status {done.returncode}: {done.stderr}"
    return json.loads(done.stdout)["directions"][0]


def compare(initiator: str, target: str) -> None:
    found = check(initiator, target)
    predicted, kernel = found["predicted"], found["kernel"]
    assert "module peerdma" in kernel["how"], kernel["how"]
    said = f"predicted {predicted['answer']}, kernel {kernel['answer']} ({kernel['how']})"
    assert predicted["answer"] == kernel["answer"] != "unknown", said
    if "mapped at" in kernel["how"]:
        mapping = MAPPINGS.get(predicted["mapping"], predicted["mapping"])
        assert f"({mapping})".lower() in kernel["how"].lower(), f"{predicted['mapping']}: {said}"


def main() -> int:
    subprocess.run(["insmod", f"{BUILD}/kernel/peerdma.ko"], check=True)
    pairs = list(itertools.permutations([n for n in SLOTS if SLOTS[n]], 2))
    failed = False
    print(f"1..{len(pairs)}")
    for number, (a, b) in enumerate(pairs, start=1):
        try:
            compare(str(SLOTS[a]), str(SLOTS[b]))
            print(f"ok {number} - {a} to {b}", flush=True)
        except (AssertionError, KeyError, OSError, subprocess.SubprocessError) as error:
            failed = True
            print(f"not ok {number} - {a} to {b}\n# {error}", flush=True)
    subprocess.run(["rmmod", "peerdma"], check=True)
    return failed


sys.exit(main())
