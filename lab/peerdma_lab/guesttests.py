# SPDX-License-Identifier: MIT
"""Tests that run in guests: what tests/guest/*.json say about them.

docs/lab.md describes the file. A test is a program of the build directory (tests/guest/NAME), or a
script beside its description (NAME.py, NAME.sh).
"""

import fnmatch
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import disks, topology
from .errors import EXIT_USAGE, LabError
from .lab import NODES_MAX

GUEST_BUILD = "/peerdma/build/tests/guest"
GUEST_SCRIPTS = "/peerdma/tests"
DEFAULT_SECONDS = 60
KEYS: dict[str, type] = {
    "summary": str,
    "topologies": list,
    "nodes": int,
    "on": str,
    "timeout": int,
    "required": bool,
    "models": bool,
    "args": list,
    "modules": list,
    "allow_kernel": list,
    "vram": str,
    "disk": str,
}


@dataclass(frozen=True)
class GuestTest:
    name: str
    summary: str
    topologies: tuple[str, ...]
    command: tuple[str, ...]
    nodes: int = 1
    on: str = "a"
    timeout: int = DEFAULT_SECONDS
    # A required test that skips has failed.
    required: bool = True
    # It needs device models, not only QEMU's own devices.
    models: bool = True
    modules: tuple[str, ...] = ()
    allow_kernel: tuple[str, ...] = ()
    # Memory of an accelerator, kind of disk; empty: those of the command line.
    vram: str = ""
    disk: str = ""

    @property
    def lab(self) -> tuple[int, str, str]:
        """What a lab must have for it, the topology aside."""
        return self.nodes, self.vram, self.disk


@dataclass(frozen=True)
class Group:
    """Tests that share a lab."""

    topology: str
    nodes: int
    tests: tuple[GuestTest, ...]
    vram: str = ""
    disk: str = ""

    @property
    def name(self) -> str:
        nodes = str(self.nodes) if self.nodes > 1 else ""
        parts = [self.topology, nodes, self.vram, self.disk]
        return "-".join(part for part in parts if part)


def _fail(name: str, what: str) -> LabError:
    return LabError(f"tests/guest/{name}.json: {what}", status=EXIT_USAGE)


def _command(name: str, folder: Path, build: Path) -> tuple[str, ...]:
    for suffix, program in ((".py", "python3"), (".sh", "sh")):
        if (folder / (name + suffix)).exists():
            return (program, f"{GUEST_SCRIPTS}/{name}{suffix}")
    if not (build / "tests/guest" / name).exists():
        raise LabError(f"guest test {name} is not built: {build}/tests/guest/{name} is missing")
    return (f"{GUEST_BUILD}/{name}",)


def parse(name: str, data: Any, command: tuple[str, ...]) -> GuestTest:
    if not isinstance(data, dict):
        raise _fail(name, "is not an object")
    for key, value in data.items():
        if key not in KEYS:
            raise _fail(name, f"unknown key '{key}'")
        if type(value) is not KEYS[key]:
            raise _fail(name, f"'{key}' is not of type {KEYS[key].__name__}")
        if KEYS[key] is list and not all(isinstance(x, str) for x in value):
            raise _fail(name, f"'{key}' holds something other than strings")
    known = topology.names()
    wanted = tuple(data.get("topologies", ["peer"]))
    if wanted == ("all",):
        wanted = tuple(known)
    elif wanted == ("peer",):
        wanted = tuple(x for x in known if topology.load(x).host_bridge_p2p)
    for one in wanted:
        # Those in a folder of their own are not among all.
        if one not in known and not ("/" in one and topology.exists(one)):
            raise _fail(name, f"there is no topology '{one}'")
    test = GuestTest(
        name=name,
        summary=data.get("summary", ""),
        topologies=wanted,
        command=command + tuple(data.get("args", [])),
        nodes=data.get("nodes", 1),
        on=data.get("on", "a"),
        timeout=data.get("timeout", DEFAULT_SECONDS),
        required=data.get("required", True),
        models=data.get("models", True),
        modules=tuple(data.get("modules", [])),
        allow_kernel=tuple(data.get("allow_kernel", [])),
        vram=data.get("vram", ""),
        disk=data.get("disk", ""),
    )
    if test.vram and not re.fullmatch(r"[1-9][0-9]*[MG]", test.vram):
        raise _fail(name, f"'vram' is no size such as 512M: {test.vram}")
    if test.disk and test.disk not in disks.KINDS:
        raise _fail(name, f"'disk' is none of {', '.join(disks.KINDS)}: {test.disk}")
    if not 1 <= test.nodes <= NODES_MAX or test.timeout < 1:
        raise _fail(name, "'nodes' or 'timeout' is out of range")
    if test.on != "all" and test.on not in "abcdefgh"[: test.nodes]:
        raise _fail(name, f"'on' names no node: {test.on}")
    try:
        for pattern in test.allow_kernel:
            re.compile(pattern)
    except re.error as error:
        raise _fail(name, f"'allow_kernel' is no regular expression: {error}") from None
    return test


def discover(folder: Path, build: Path, patterns: list[str]) -> list[GuestTest]:
    tests = []
    for path in sorted(folder.glob("*.json")):
        name = path.stem
        if patterns and not any(fnmatch.fnmatch(name, p) for p in patterns):
            continue
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise _fail(name, f"is not JSON: {error}") from None
        tests.append(parse(name, data, _command(name, folder, build)))
    return tests


def groups(tests: list[GuestTest], only: str | None) -> list[Group]:
    """One per topology, number of nodes, memory of the accelerators and kind of disk."""
    keys = sorted({(t, x.lab) for x in tests for t in x.topologies if only in (None, t)})
    return [
        Group(t, n, tuple(x for x in tests if t in x.topologies and x.lab == (n, v, d)), v, d)
        for t, (n, v, d) in keys
    ]
