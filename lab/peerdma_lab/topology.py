# SPDX-License-Identifier: MIT
"""The PCI Express tree of a node: ports, switches, and slots for devices. Data files in
lab/topologies/.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import EXIT_USAGE, LabError
from .paths import lab_data

NAME = re.compile(r"[a-z][a-z0-9-]{0,15}")
SLOT_KINDS = ("nic", "accel", "disk")
# The launcher's own devices sit on the root bus above these.
ROOT_SLOTS = range(1, 16)
SWITCH_PORTS_MAX = 32


@dataclass(frozen=True)
class RootPort:
    name: str
    slot: int


@dataclass(frozen=True)
class Switch:
    name: str
    on: str
    ports: tuple[str, ...]


@dataclass(frozen=True)
class Slot:
    name: str
    kind: str
    on: str


@dataclass(frozen=True)
class Topology:
    name: str
    summary: str
    cpu: str
    iommu: bool
    host_bridge_p2p: bool
    root_ports: tuple[RootPort, ...]
    switches: tuple[Switch, ...]
    slots: tuple[Slot, ...]

    def switch_of(self, slot: Slot) -> str | None:
        return next((s.name for s in self.switches if slot.on in s.ports), None)

    def _children(self, port: str) -> "Switch | Slot | None":
        things: list[Any] = [*self.switches, *self.slots]
        return next((t for t in things if t.on == port), None)

    def addresses(self) -> dict[str, str]:
        """Slot to the bus address its device gets: firmware numbers buses depth first, in the order
        of the slots.
        """
        found: dict[str, str] = {}
        bus = 0

        def below(port: str) -> None:
            nonlocal bus
            bus += 1
            own = bus
            thing = self._children(port)
            if isinstance(thing, Slot):
                found[thing.name] = f"0000:{own:02x}:00.0"
            elif isinstance(thing, Switch):
                bus += 1
                for name in thing.ports:
                    below(name)

        for root in sorted(self.root_ports, key=lambda p: p.slot):
            below(root.name)
        return found


class _Checker:
    def __init__(self, name: str, data: Any) -> None:
        self._name = name
        self._data = data

    def fail(self, what: str) -> LabError:
        return LabError(f"topology {self._name}: {what}", status=EXIT_USAGE)

    def keys(self, thing: Any, types: dict[str, type], what: str) -> dict[str, Any]:
        if not isinstance(thing, dict):
            raise self.fail(f"{what} is not an object")
        for key in thing:
            if key not in types:
                raise self.fail(f"{what} has an unknown key '{key}'")
        for key, kind in types.items():
            if key not in thing:
                raise self.fail(f"{what} has no '{key}'")
            if type(thing[key]) is not kind:
                raise self.fail(f"'{key}' of {what} is not of type {kind.__name__}")
        return thing

    def name(self, text: Any) -> str:
        if not isinstance(text, str) or not NAME.fullmatch(text):
            raise self.fail(f"'{text}' is not a name of small letters, digits and '-'")
        return text

    def ports(self) -> Iterator[RootPort | Switch]:
        for port in self._data["ports"]:
            kind = port.get("kind") if isinstance(port, dict) else None
            if kind == "root-port":
                self.keys(port, {"name": str, "kind": str, "slot": int}, "a root port")
                if port["slot"] not in ROOT_SLOTS:
                    raise self.fail(
                        f"slot {port['slot']} is not from {ROOT_SLOTS[0]} to {ROOT_SLOTS[-1]}"
                    )
                yield RootPort(self.name(port["name"]), port["slot"])
            elif kind == "switch":
                self.keys(port, {"name": str, "kind": str, "on": str, "ports": list}, "a switch")
                if not 0 < len(port["ports"]) <= SWITCH_PORTS_MAX:
                    raise self.fail(f"switch {port['name']} needs 1 to {SWITCH_PORTS_MAX} ports")
                yield Switch(
                    self.name(port["name"]), port["on"], tuple(self.name(p) for p in port["ports"])
                )
            else:
                raise self.fail(f"a port is neither 'root-port' nor 'switch': {port}")

    def slots(self) -> Iterator[Slot]:
        for slot in self._data["slots"]:
            self.keys(slot, {"name": str, "kind": str, "on": str}, "a slot")
            if slot["kind"] not in SLOT_KINDS:
                kinds = ", ".join(SLOT_KINDS)
                raise self.fail(f"kind '{slot['kind']}' of a slot is none of {kinds}")
            yield Slot(self.name(slot["name"]), slot["kind"], slot["on"])

    def tree(self, t: Topology) -> None:
        known = [p.name for p in t.root_ports] + [n for s in t.switches for n in s.ports]
        names = known + [s.name for s in t.switches] + [s.name for s in t.slots]
        for name in names:
            if names.count(name) > 1:
                raise self.fail(f"the name '{name}' occurs twice")
        numbers = [p.slot for p in t.root_ports]
        if len(set(numbers)) != len(numbers):
            raise self.fail("two root ports have the same slot")
        used = [s.on for s in t.switches] + [s.on for s in t.slots]
        for port in used:
            if port not in known:
                raise self.fail(f"there is no port '{port}'")
            if used.count(port) > 1:
                raise self.fail(f"port '{port}' has more than one thing on it")
        # A ring of switches hangs on no root port.
        if len(t.addresses()) != len(t.slots):
            raise self.fail("some slots cannot be reached from a root port")


def parse(name: str, data: Any) -> Topology:
    check = _Checker(name, data)
    types = {
        "summary": str,
        "cpu": str,
        "iommu": bool,
        "host_bridge_p2p": bool,
        "ports": list,
        "slots": list,
    }
    check.keys(data, types, "the file")
    ports = list(check.ports())
    topology = Topology(
        name,
        data["summary"],
        data["cpu"],
        data["iommu"],
        data["host_bridge_p2p"],
        tuple(p for p in ports if isinstance(p, RootPort)),
        tuple(p for p in ports if isinstance(p, Switch)),
        tuple(check.slots()),
    )
    check.tree(topology)
    return topology


def names(folder: Path | None = None) -> list[str]:
    return sorted(p.stem for p in (folder or lab_data() / "topologies").glob("*.json"))


def exists(name: str) -> bool:
    return (lab_data() / "topologies" / f"{name}.json").is_file()


def load(name: str, folder: Path | None = None) -> Topology:
    """A topology by name, or by the path of a file that ends in .json."""
    path = Path(name) if name.endswith(".json") else (
        folder or lab_data() / "topologies"
    ) / f"{name}.json"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        known = ", ".join(names(folder))
        raise LabError(
            f"there is no topology '{name}'", f"try one of {known}", EXIT_USAGE
        ) from None
    try:
        return parse(path.stem, json.loads(text))
    except json.JSONDecodeError as error:
        raise LabError(f"topology {path} is not JSON: {error}", status=EXIT_USAGE) from None
