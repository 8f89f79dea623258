#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A disk that is reset, unbound or whose user dies in the middle of transfers."""

import argparse
import random
import sys
from collections.abc import Callable
from pathlib import Path

from fabric import ask, frozen_until_restart
from nvme_lib import (
    LIMIT, PCI, Direct, Load, bind, disk, is_live, model, pattern, reset_controller, state,
    wait_live,
)  # fmt: skip
from programs import run, wait_for
from tap import tap

MIB = 1 << 20


def checked_transfer() -> None:
    with Direct(disk()) as drive:
        drive.write(512 * MIB, pattern(MIB, 77))
        assert drive.read(512 * MIB, MIB) == pattern(MIB, 77)


def under_load(count: int, reset: Callable[[], None], counter: str) -> Callable[[], None]:
    """fio must not notice: the driver sends again what the reset cut off."""

    def test() -> None:
        before = model()[counter]
        load = Load()
        try:
            for _ in range(count):
                load.wait(30)
                reset()
                wait_live()
            load.wait(30)
        except BaseException:
            load.kill()
            raise
        load.end()
        assert model()[counter] >= before + count
        checked_transfer()

    return test


def pci_reset(method: str) -> Callable[[], None]:
    def reset() -> None:
        (PCI / "reset_method").write_text(method, encoding="ascii")
        (PCI / "reset").write_text("1", encoding="ascii")

    return reset


def bus_reset() -> None:
    """It clears where the memory buffer is, and the driver does not tell again: no queues there."""
    test = under_load(5, pci_reset("bus"), "reset.pci")
    run("modprobe", "-r", "nvme")
    run("modprobe", "nvme", "use_cmb_sqes=0")
    wait_live()
    try:
        assert not any(q["in_cmb"] for q in state()["queues"])
        test()
    finally:
        run("modprobe", "-r", "nvme")
        run("modprobe", "nvme")
        wait_live()


def reset_unknown_to_the_driver() -> None:
    """It is noticed when commands time out. A write that was complete is still there."""
    timeout = Path("/sys/block") / Path(disk()).name / "queue/io_timeout"
    usual = timeout.read_text(encoding="ascii")
    timeout.write_text("2000", encoding="ascii")
    load = Load()
    load.wait(100)
    ask("reset", "disk0")
    looks = frozen_until_restart("disk0", "admin.commands", idle_only=True)
    assert looks > 5, looks
    wait_live()
    load.wait(30)
    load.end()
    timeout.write_text(usual, encoding="ascii")
    checked_transfer()


def kills(count: int, seed: int) -> Callable[[], None]:
    def test() -> None:
        rng = random.Random(seed)
        before = model()["fatal"]
        for _ in range(count):
            load = Load(rng.choice((1, 2)))
            load.wait(rng.randrange(1, 50))
            load.kill()
        assert model()["fatal"] == before and is_live()
        checked_transfer()

    return test


def unbind_under_load() -> None:
    before = model()["shutdowns"]
    load = Load()
    bind("unbind")
    first = state()
    assert first["shutdown"], first
    load.process.communicate(timeout=LIMIT)
    assert load.process.returncode, "fio did not notice that its disk went"
    bind("bind")
    wait_live()
    assert model()["shutdowns"] >= before + 1
    checked_transfer()


def queues_come_back() -> None:
    """After all that there is a queue for each processor and the admin queue, and no more."""
    cpus = int(run("nproc"))
    wait_for("all queues", lambda: len(state()["queues"]) == cpus + 1)
    assert state()["waiting_for_sync"] == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resets", type=int, default=5)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=20261121)
    parser.add_argument("only", nargs="*", help="names of cases")
    args = parser.parse_args()
    wait_live()
    tests = {
        "controller_reset_under_load": under_load(
            args.resets, reset_controller, "reset.controller"
        ),
        "function_reset_under_load": under_load(args.resets, pci_reset("flr"), "reset.pci"),
        "bus_reset_under_load": bus_reset,
        "kill_9_of_fio": kills(args.kills, args.seed),
        "unbind_under_load": unbind_under_load,
        "reset_unknown_to_the_driver": reset_unknown_to_the_driver,
        "queues_come_back": queues_come_back,
    }
    return tap({k: v for k, v in tests.items() if not args.only or k in args.only})


if __name__ == "__main__":
    sys.exit(main())
