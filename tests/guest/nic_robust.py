#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Programs and drivers that go away in the middle of a transfer, and a device that is reset."""

import argparse
import random
import sys
import time
from collections.abc import Callable

from fabric import ask, frozen_until_restart
from nic_robust_lib import (
    DRIVER, KINDS, PCI_NAME, Kind, checked_transfer, kernel_resources, mixed, objects,
    start_transfer, wait_active,
)  # fmt: skip
from nic_tools import ACTIVE, NO_DEVICE, PCI, port_state
from programs import run, wait_for
from tap import tap

# Keys of freed memory regions stay in a cache of the driver: a few of each shape, however many
# processes came and went. Unbinding, further down, shows that none is lost.
CACHED = 16
FROZEN_LOOKS = 3
HEALTH = f"pci/{PCI_NAME}"
WRITE_RC: Kind = KINDS[0]
READ_RC: Kind = KINDS[3]
SEND_RC: Kind = KINDS[5]


def is_back(now: dict[str, int], start: dict[str, int]) -> bool:
    more = {k: now[k] - n for k, n in start.items() if now[k] != n}
    return not more or (list(more) == ["mkey"] and more["mkey"] <= CACHED)


class Kills:
    def __init__(self, count: int, seed: int) -> None:
        self._count = count
        self._seed = seed
        self._rng = random.Random(seed)

    def _kill(self, kind: Kind) -> None:
        transfer = start_transfer(kind)
        transfer.wait_packets(self._rng.randrange(1, 5000))
        victim = self._rng.choice((transfer.server, transfer.client))
        victim.kill()
        # The other one has a while to meet the silence, in packets or in whatever it does then.
        for _ in range(self._rng.randrange(3)):
            ask("snapshot", "nic0")
        transfer.end()

    def __call__(self) -> None:
        checked_transfer()  # for what the driver makes once and keeps
        start, resources = objects(), kernel_resources()
        for kind in mixed(self._seed, self._count):
            self._kill(kind)
        try:
            wait_for("objects back", lambda: is_back(objects(), start), 10)
        finally:
            now = objects()
            print(f"# seed {self._seed}, {self._count} kills, objects {start} -> {now}")
        assert kernel_resources() == resources, f"{resources} -> {kernel_resources()}"
        assert port_state() == ACTIVE
        checked_transfer()


def survivor_is_told() -> None:
    """Who talks to a queue pair that is gone gets an error after its retries, not silence."""
    transfer = start_transfer(WRITE_RC)
    transfer.server.kill()
    said, _ = transfer.client.communicate(timeout=30)
    transfer.server.communicate()
    assert transfer.client.returncode, said
    assert "Failed status 12" in said, said  # IBV_WC_RETRY_EXC_ERR


def rebind(kind: Kind) -> None:
    wait_active()
    transfer = start_transfer(kind)
    (DRIVER / "unbind").write_text(PCI_NAME, encoding="ascii")
    state = ask("snapshot", "nic0")["state"]
    assert state["hca"] == "off" and not any(state["objects"].values()), state
    assert port_state() == NO_DEVICE
    transfer.end()
    (DRIVER / "bind").write_text(PCI_NAME, encoding="ascii")


def unbind_under_traffic() -> None:
    """The driver's own objects are the same after each binding: none is left of the one before."""
    seen = []
    for kind in (WRITE_RC, READ_RC, SEND_RC, KINDS[7], KINDS[9]):
        rebind(kind)
        wait_active()
        seen.append(objects())
    assert seen.count(seen[0]) == len(seen), seen
    checked_transfer()


def reset_under_traffic(reset: Callable[[], object]) -> Callable[[], None]:
    def test() -> None:
        wait_active()
        # Else the kernel leaves a second failure within minutes to the administrator.
        run("devlink", "health", "set", HEALTH, "reporter", "fw_fatal", "grace_period", "0")
        transfer = start_transfer(WRITE_RC)
        transfer.wait_packets(1000)
        resets = ask("counters", "nic0")["model"]["resets"]
        reset()
        looks = frozen_until_restart("nic0", "commands")
        said = transfer.end()
        assert ask("counters", "nic0")["model"]["resets"] == resets + 1
        assert looks >= FROZEN_LOOKS, f"the driver came back after {looks} looks:\n{said}"
        wait_active()
        checked_transfer()
        print(f"# {looks} looks between the reset and the driver's first command")

    return test


def reload_under_traffic() -> None:
    wait_active()
    transfer = start_transfer(SEND_RC)
    start = time.monotonic()
    run("devlink", "dev", "reload", f"pci/{PCI_NAME}", "action", "driver_reinit")
    transfer.end()
    wait_active()
    print(f"# devlink: {time.monotonic() - start:.1f} s")
    checked_transfer()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=20261120)
    parser.add_argument("only", nargs="*", help="names of cases")
    args = parser.parse_args()
    tests: dict[str, Callable[[], None]] = {
        "kill_in_mid_transfer": Kills(args.kills, args.seed),
        "survivor_is_told": survivor_is_told,
        "unbind_under_traffic": unbind_under_traffic,
        "function_reset_under_traffic": reset_under_traffic(
            lambda: (PCI / "reset").write_text("1", encoding="ascii")
        ),
        "reset_unknown_to_the_driver": reset_under_traffic(lambda: ask("reset", "nic0")),
        "devlink_reload_under_traffic": reload_under_traffic,
    }
    wait_active()
    return tap({k: v for k, v in tests.items() if not args.only or k in args.only})


if __name__ == "__main__":
    sys.exit(main())
