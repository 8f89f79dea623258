# SPDX-License-Identifier: MIT
"""What a lab leaves behind for a person: logs, counters, files out of the guests."""

import io
import json
import shutil
import tarfile
import time
from pathlib import Path

from . import fabric
from .errors import LabError
from .lab import Lab

ARTEFACTS = "/run/artefacts"
KEPT_FAILURES = 10


def unpack(data: bytes, target: Path) -> int:
    """Regular files only, below the target only: the archive comes out of a guest. Return: how
    many.
    """
    count = 0
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            parts = Path(member.name).parts
            if not member.isreg() or Path(member.name).is_absolute() or ".." in parts:
                continue
            place = target.joinpath(*parts)
            place.parent.mkdir(parents=True, exist_ok=True)
            stream = tar.extractfile(member)
            if stream:
                place.write_bytes(stream.read())
                count += 1
    return count


async def save_counters(lab: Lab) -> None:
    if lab.fabric:
        answer = await fabric.ask(lab.control, cmd="counters")
        path = lab.run_dir / "counters.json"
        path.write_text(
            json.dumps(answer["counters"], indent="\t", sort_keys=True) + "\n", encoding="utf-8"
        )


async def save_artefacts(lab: Lab, target: Path) -> None:
    for node in lab.nodes.values():
        status, data, err = await node.agent.output(["tar", "-C", ARTEFACTS, "-cf", "-", "."])
        if status:
            said = err.decode(errors="replace").strip()
            raise LabError(f"cannot collect artefacts of node {node.name}: {said}")
        unpack(data, target / "artefacts" / node.name)


def save_files(lab: Lab, target: Path) -> None:
    lab.save_logs(target)
    counters = lab.run_dir / "counters.json"
    if counters.exists():
        shutil.copy(counters, target / counters.name)


def keep_failure(lab: Lab, cache: Path) -> Path:
    """Logs of a failed run nobody asked to keep: the newest few stay in the cache."""
    folder = cache / "failed"
    target = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{lab.name}"
    save_files(lab, target)
    for old in sorted(folder.iterdir())[:-KEPT_FAILURES]:
        shutil.rmtree(old, ignore_errors=True)
    return target
