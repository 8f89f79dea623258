# SPDX-License-Identifier: MIT
"""The process that hosts the device models of a lab: its configuration, its start, its control
socket.
"""

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from .disks import Disks
from .errors import LabError
from .procs import Process, describe_status
from .topology import Topology

READY_SECONDS = 20.0
ANSWER_SECONDS = 10.0
# Answers with the counters of many devices are long lines.
ANSWER_MAX = 64 << 20
# Which model fills a slot of a kind.
MODEL_OF = {"nic": "nic", "accel": "accel", "disk": "nvme"}


def models_of(binary: Path) -> set[str]:
    """The device models which this fabric has."""
    try:
        done = subprocess.run(
            [binary, "--list-models"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"cannot run the fabric {binary}: {error}") from None
    if done.returncode:
        raise LabError(f"{binary} --list-models failed: {done.stderr.strip()}")
    return set(done.stdout.split())


def kinds_of(models: set[str], disks: Disks) -> set[str]:
    """The kinds of slots that get a model."""
    kinds = {kind for kind, model in MODEL_OF.items() if model in models}
    return kinds - {"disk"} if disks.kind == "qemu" else kinds


def fill_slots(topology: Topology, models: set[str]) -> list[str]:
    """Slots that get a model of the fabric. models: kinds_of()."""
    return [slot.name for slot in topology.slots if slot.kind in models]


def config(
    run_dir: Path,
    topology: Topology,
    names: list[str],
    models: set[str],
    vram: str,
    links: list[list[str]],
    disks: Disks | None = None,
) -> dict[str, Any]:
    nodes = []
    for name in names:
        devices = []
        for slot in topology.slots:
            if slot.kind not in models:
                continue
            device: dict[str, Any] = {
                "name": slot.name,
                "model": MODEL_OF[slot.kind],
                "socket": str(run_dir / f"{name}.{slot.name}.sock"),
            }
            switch = topology.switch_of(slot)
            if switch:
                device["switch"] = switch
            if slot.kind == "accel":
                device["vram"] = vram
            if slot.kind == "disk":
                device.update((disks or Disks()).config(run_dir, name, slot.name))
            devices.append(device)
        node = {"name": name, "qmp": str(run_dir / f"{name}.qmp.sock"), "devices": devices}
        nodes.append({**node, "host_bridge_p2p": topology.host_bridge_p2p, "iommu": topology.iommu})
    return {"control": str(run_dir / "control.sock"), "nodes": nodes, "links": links}


def default_links(topology: Topology, names: list[str], models: set[str]) -> list[list[str]]:
    """The accelerators of a node have a private link. In a lab of two nodes, NICs of the same
    number have a cable; in larger ones no NIC has, so that they share a switch.
    """
    links = []
    for name in names:
        accels = [s.name for s in topology.slots if s.kind == "accel" and s.kind in models]
        links += [
            [f"{name}/{x}", f"{name}/{y}"] for x, y in zip(accels[::2], accels[1::2], strict=False)
        ]
    nics = [s.name for s in topology.slots if s.kind == "nic" and s.kind in models]
    if len(names) == 2:
        links += [[f"{names[0]}/{nic}", f"{names[1]}/{nic}"] for nic in nics]
    return links


async def start(binary: Path, run_dir: Path, data: dict[str, Any], level: str) -> Process:
    """Returns when every socket of the fabric listens."""
    path = run_dir / "fabric.json"
    path.write_text(json.dumps(data, indent="\t") + "\n", encoding="utf-8")
    reader, writer = os.pipe()
    try:
        with open(run_dir / "fabric.log", "wb") as log:
            args = [
                str(binary), "--config", str(path), "--ready-fd", str(writer), "--log-level", level
            ]
            process = Process("fabric", args, log, [writer])
    finally:
        os.close(writer)
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[bytes] = loop.create_future()
    loop.add_reader(reader, lambda: ready.done() or ready.set_result(os.read(reader, 64)))
    await asyncio.wait(
        [ready, process.ended], timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED
    )
    loop.remove_reader(reader)
    os.close(reader)
    if ready.done() and ready.result().startswith(b"ready"):
        return process
    if not process.ended.done():
        await asyncio.wait([process.ended], timeout=1)
    how = describe_status(
        process.ended.result()
    ) if process.ended.done() else "is not ready in time"
    await process.stop()
    text = (run_dir / "fabric.log").read_text(encoding="utf-8", errors="replace").strip()
    raise LabError(f"the fabric {how}" + (f": {text[-2000:]}" if text else ""))


async def ask(control: Path, **request: Any) -> dict[str, Any]:
    """One request to the control socket. Raises LabError with the fabric's own sentence."""
    try:
        reader, writer = await asyncio.open_unix_connection(str(control), limit=ANSWER_MAX)
    except OSError as error:
        raise LabError(f"the fabric does not answer at {control}: {error.strerror}") from None
    try:
        writer.write(json.dumps(request).encode() + b"\n")
        await writer.drain()
        line = await asyncio.wait_for(reader.readline(), ANSWER_SECONDS)
        answer = json.loads(line)
    except (TimeoutError, asyncio.TimeoutError, OSError, ValueError) as error:
        raise LabError(f"the fabric gave no answer to '{request.get('cmd')}': {error}") from None
    finally:
        writer.close()
    if not answer.get("ok"):
        raise LabError(f"fabric: {answer.get('error', 'refused without a reason')}")
    return answer
