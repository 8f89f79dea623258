# SPDX-License-Identifier: MIT
"""Pictures of topologies, drawn by Graphviz."""

import re
import subprocess
from pathlib import Path

from .errors import LabError
from .topology import Slot, Topology

COLOURS = {"nic": "#cfe8cf", "accel": "#cfdcf2", "disk": "#eee3c8"}
KINDS = {"nic": "NIC", "accel": "accelerator", "disk": "NVMe disk"}
FONT = 'fontname="sans-serif", fontsize=11'
HEAD = f"""\
graph "%s" {{
    graph [rankdir=TB, nodesep=0.25, ranksep=0.35, bgcolor=transparent, {FONT}]
    node [shape=box, style="rounded,filled", fillcolor=white, {FONT}]
    edge [color="#555555"]
"""


def _slot(slot: Slot, address: str) -> str:
    label = f"{slot.name}\\n{KINDS[slot.kind]}\\n{address}"
    return f'    "{slot.name}" [label="{label}", fillcolor="{COLOURS[slot.kind]}"]'


def _switch(tree: Topology) -> list[str]:
    lines = []
    for switch in tree.switches:
        lines += [
            f'    subgraph "cluster_{switch.name}" {{',
            f'        label="switch {switch.name}"; fontsize=11; color="#888888"; style=rounded',
            f'        "{switch.name}" [label="upstream port"]',
        ]
        lines += [f'        "{port}" [label="{port}"]' for port in switch.ports]
        lines += [f'        "{switch.name}" -- "{port}"' for port in switch.ports]
        lines += ["    }", f'    "{switch.on}" -- "{switch.name}"']
    return lines


def dot(tree: Topology) -> str:
    iommu = "with IOMMU" if tree.iommu else "no IOMMU"
    peers = "forwards peer traffic" if tree.host_bridge_p2p else "forwards no peer traffic"
    lines = [f'    "root" [label="host bridge\\n{iommu}\\n{peers}", fillcolor="#f2f2f2"]']
    for port in tree.root_ports:
        lines.append(f'    "{port.name}" [label="root port {port.name}"]')
        lines.append(f'    "root" -- "{port.name}"')
    lines += _switch(tree)
    addresses = tree.addresses()
    for slot in tree.slots:
        lines += [_slot(slot, addresses[slot.name]), f'    "{slot.on}" -- "{slot.name}"']
    return HEAD % tree.name + "\n".join(lines) + "\n}\n"


def svg(tree: Topology) -> str:
    try:
        done = subprocess.run(
            ["dot", "-Tsvg"], input=dot(tree), capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise LabError("dot is not installed", "apt-get install graphviz") from None
    if done.returncode:
        raise LabError(f"dot failed: {done.stderr.strip()}")
    # The version of the program is noise in a file under version control.
    text = re.sub(r"<!--.*?-->\n?", "", done.stdout, flags=re.DOTALL)
    first, rest = text.split("\n", 1)
    return f"{first}\n<!-- SPDX-License-Identifier: MIT -->\n{rest}"


def write_all(trees: list[Topology], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for tree in trees:
        (folder / f"{tree.name}.svg").write_text(svg(tree), encoding="utf-8")
