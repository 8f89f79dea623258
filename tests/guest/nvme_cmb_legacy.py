#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A memory buffer of before NVMe 1.4, which is there without being asked for, with the driver."""

import os
import sys

from nvme_cmb import (
    CMB, P2P, direct_io, memory_is_given_back, queues_in_the_buffer, stays_over_resets,
)  # fmt: skip
from nvme_lib import CTRL, state, wait_live
from programs import run
from tap import tap


def registered() -> None:
    assert int((P2P / "size").read_text(encoding="ascii")) == CMB
    assert int((P2P / "published").read_text(encoding="ascii")) == 1
    now = state()
    assert now["cmb"] == CMB, now
    if os.environ["PEERDMA_IOMMU"] == "0":
        lines = run("nvme", "show-regs", CTRL).splitlines()
        regs = dict(line.split(":", 1) for line in lines if ":" in line)
        values = {name.strip(): int(value, 16) for name, value in regs.items()}
        assert not values["cap"] >> 57 & 1, "CAP.CMBS"
        assert values["cmbsz"] == 0x1F | CMB >> 12 << 12 and not values["cmbmsc"], values


def main() -> int:
    wait_live()
    return tap(
        {
            "registered_the_old_way": registered,
            "queues_in_the_buffer": queues_in_the_buffer,
            "o_direct_into_the_buffer": direct_io,
            "memory_is_given_back": memory_is_given_back,
            "stays_over_resets": stays_over_resets,
        }
    )


if __name__ == "__main__":
    sys.exit(main())
