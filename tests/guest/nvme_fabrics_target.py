#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The kernel's NVMe target on RDMA over the disk of this node.

    nvme_fabrics_target.py up 0|1|PCI-ADDRESS    what p2pmem of the namespace is set to
    nvme_fabrics_target.py down
"""

import sys
from pathlib import Path

from fabric import NODE
from nic_two import ADDRESS
from nvme_lib import disk, wait_live
from programs import run

CONFIGFS = Path("/sys/kernel/config")
ROOT = CONFIGFS / "nvmet"
NQN = "nqn.2026-11.lab.peerdma:disk"
SUBSYSTEM = ROOT / "subsystems" / NQN
NAMESPACE = SUBSYSTEM / "namespaces/1"
PORT = ROOT / "ports/1"
LINK = PORT / "subsystems" / NQN


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="ascii")


def up(p2pmem: str) -> None:
    wait_live()
    if not ROOT.exists():
        run("mount", "-t", "configfs", "none", str(CONFIGFS))
    SUBSYSTEM.mkdir()
    write(SUBSYSTEM / "attr_allow_any_host", "1")
    NAMESPACE.mkdir()
    write(NAMESPACE / "device_path", disk())
    write(NAMESPACE / "p2pmem", p2pmem)
    said = (NAMESPACE / "p2pmem").read_text(encoding="ascii").strip()
    assert said == p2pmem, f"p2pmem is {said}, not {p2pmem}"
    write(NAMESPACE / "enable", "1")
    PORT.mkdir()
    for name, text in (
        ("trtype", "rdma"), ("adrfam", "ipv4"), ("traddr", ADDRESS[NODE]), ("trsvcid", "4420"),
    ):  # fmt: skip
        write(PORT / f"addr_{name}", text)
    LINK.symlink_to(SUBSYSTEM)


def down() -> None:
    LINK.unlink()
    PORT.rmdir()
    write(NAMESPACE / "enable", "0")
    NAMESPACE.rmdir()
    SUBSYSTEM.rmdir()


if __name__ == "__main__":
    if sys.argv[1] == "up":
        up(sys.argv[2])
    else:
        down()
