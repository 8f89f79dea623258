# SPDX-License-Identifier: MIT
"""peerdma-lab demo: judges and shows what lab/demo/guest.py found out in two nodes."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from .errors import LabError
from .topology import Topology

NODES = ["a", "b"]
COMMAND = ["python3", "/peerdma/source/lab/demo/guest.py"]
SIZE = 64 << 20
HEAD = f"{'':24} {'':8} {'MiB through':>22} {'MiB through':>21} {'median':>9}"
SECOND = (
    f"{'what went where':24} {'engine':8} {'host RAM: a':>13} {'b':>8} "
    f"{'peer path: a':>13} {'b':>7} {'ms':>9} {'GB/s':>7}"
)


def environment() -> dict[str, str]:
    return {"PEERDMA_DEMO_TOKEN": secrets.token_hex(32)}


def refuse(tree: Topology) -> None:
    if not tree.iommu:
        raise LabError(
            f"the demonstration needs VFIO, and {tree.name} has no IOMMU",
            "take -t switch-iommu or root-ports-iommu",
        )


@dataclass(frozen=True)
class Row:
    """One way to move data, median and bytes of one copy."""

    name: str
    engine: str
    length: int
    ns: int
    host: tuple[int, int]  # payload in host RAM by the devices of a and of b
    peer: tuple[int, int]  # to and from other devices' memory

    def text(self) -> str:
        mib = [x / (1 << 20) for x in (*self.host, *self.peer)]
        return (
            f"{self.name:24} {self.engine:8} {mib[0]:13.1f} {mib[1]:8.1f} {mib[2]:13.1f} "
            f"{mib[3]:7.1f} {self.ns / 1e6:9.2f} {self.length / self.ns:7.2f}"
        )


def _row(data: dict) -> Row:
    nodes = [data[n] for n in NODES]
    host = tuple(n["host"] for n in nodes)
    peer = tuple(n["peer_switch"] + n["peer_bridge"] for n in nodes)
    return Row(data["name"], data["engine"], data["bytes"], data["ns"], host, peer)  # type: ignore


@dataclass(frozen=True)
class Outcome:
    rows: list[Row]
    checks: dict[str, bool]

    @property
    def failed(self) -> list[str]:
        return [what for what, good in self.checks.items() if not good]


def judge(data: dict) -> Outcome:
    """Every sentence that the demonstration claims, and whether it is true."""
    to_b, to_a, direct, staged = rows = [_row(x) for x in data["rows"]]
    length = data["length"]
    checks = {
        "the file came back as it was": data["same"],
        "b's accelerator finds the CRC32C of the file in its memory": data["crc_b"]
        == data["crc_file"],
        "the CRC32C of both accelerators' memory is the same": data["crc_a_acc0"]
        == data["crc_b_acc1"],
        "whole files were moved": to_b.length == to_a.length == length > 0,
        "64 MiB were moved between accelerators": direct.length == staged.length == SIZE,
        "no byte of the file went through host RAM of b": to_b.host[1] == to_a.host[1] == 0,
        "all bytes of the file went straight to b's accelerator": to_b.peer[1] == length,
        "all bytes came straight from b's accelerator": to_a.peer[1] == length,
        "no byte between accelerators went through host RAM": direct.host == (0, 0),
        "all bytes between accelerators went device to device": direct.peer == (SIZE, SIZE),
        "the staged copy did go through host RAM of a": staged.host[0] >= 2 * SIZE,
    }
    return Outcome(rows, checks)


def _load(output: Path) -> dict:
    path = output / "artefacts/a/demo.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise LabError(f"the demonstration left no {path}") from error


def show(output: Path) -> int:
    """Return: 0 if every claim is true."""
    data = _load(output)
    outcome = judge(data)
    direct, staged = outcome.rows[2:]
    print(f"\n{HEAD}\n{SECOND}")
    for row in outcome.rows:
        print(row.text())
    print(f"\nVRAM to VRAM, direct: {staged.ns / direct.ns:.2f} times as fast as staged")
    print(f"CRC32C {data['crc_file']} of the file by the CPU, {data['crc_b']} by b's accelerator")
    for what, good in outcome.checks.items():
        print(f"{'yes' if good else 'NO '}  {what}")
    for name in ("report.html", "topology.svg"):
        print(f"{output}/artefacts/a/{name}")
    return 1 if outcome.failed else 0
