# SPDX-License-Identifier: MIT
"""The fabric of the lab, as tests in a node see it."""

import os
import sys
import time
from typing import Any

sys.path.append(os.path.join(os.environ["PEERDMA_SOURCE"], "lab/guest-tools"))

from peerdma_control import request  # noqa: E402

NODE = os.environ.get("NODE", "a")
RESTART_LIMIT = 60.0
Json = dict[str, Any]


def ask(cmd: str, device: str, **more: Any) -> Json:
    """One request, about a device of this node ("nic0") or of another ("b/nic0")."""
    name = device if "/" in device else f"{NODE}/{device}"
    message = {"cmd": cmd, "device": name, **more}
    answer = request(message)
    assert answer.pop("ok"), f"{message}: {answer}"
    return next(iter(answer.values()))[name] if cmd in ("counters", "snapshot") else answer


def all_dma(counters: Json) -> int:
    """Bytes the device has moved, whatever for and wherever."""
    return sum(
        way["bytes"]
        for kind in counters["dma"].values()
        for target in kind.values()
        for way in target.values()
    )


def frozen_until_restart(device: str, commands: str, idle_only: bool = False) -> int:
    """No byte moves and no interrupt goes out before the driver's next command, which the model
    counts as commands. idle_only: a look counts only while the model counts nothing at all. Return:
    looks."""
    first = ask("counters", device)
    looks = 0
    end = time.monotonic() + RESTART_LIMIT
    while True:
        assert time.monotonic() < end, "the driver does not come back"
        now = ask("counters", device)
        if now["model"][commands] != first["model"][commands]:
            return looks
        if idle_only and now["model"] != first["model"]:
            continue
        assert all_dma(now) == all_dma(first), f"{all_dma(first)} -> {all_dma(now)} bytes"
        assert now["irq"] == first["irq"], f"{first['irq']} -> {now['irq']}"
        looks += 1
