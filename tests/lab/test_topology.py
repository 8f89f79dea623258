# SPDX-License-Identifier: MIT
"""Topology files: what is accepted, what is refused and why, where devices end up."""

import copy
import pathlib
import sys
import unittest

LAB = pathlib.Path(__file__).resolve().parents[2] / "lab"
sys.path.insert(0, str(LAB))

from peerdma_lab import topology  # noqa: E402
from peerdma_lab.errors import LabError  # noqa: E402

GOOD = {
    "summary": "a switch and a port beside it",
    "cpu": "EPYC",
    "iommu": True,
    "host_bridge_p2p": False,
    "ports": [
        {"name": "rp1", "kind": "root-port", "slot": 2},
        {"name": "rp0", "kind": "root-port", "slot": 1},
        {"name": "sw0", "kind": "switch", "on": "rp0", "ports": ["dn0", "dn1"]},
    ],
    "slots": [
        {"name": "acc0", "kind": "accel", "on": "dn1"},
        {"name": "disk0", "kind": "disk", "on": "rp1"},
    ],
}


class Accepted(unittest.TestCase):
    def test_addresses_depth_first_by_slot(self) -> None:
        tree = topology.parse("t", GOOD)
        # rp0: bus 1, below the switch bus 2, dn0 bus 3, dn1 bus 4; then rp1: bus 5.
        self.assertEqual(tree.addresses(), {"acc0": "0000:04:00.0", "disk0": "0000:05:00.0"})

    def test_switch_of(self) -> None:
        tree = topology.parse("t", GOOD)
        self.assertEqual([tree.switch_of(s) for s in tree.slots], ["sw0", None])

    def test_the_four_of_the_lab(self) -> None:
        names = {"root-ports", "root-ports-iommu", "switch", "switch-iommu"}
        self.assertLessEqual(names, set(topology.names()))
        for name in names:
            tree = topology.load(name)
            kinds = sorted(s.kind for s in tree.slots)
            self.assertEqual(kinds, ["accel", "accel", "disk", "nic"], name)
            self.assertEqual(tree.iommu, name.endswith("-iommu"), name)
            self.assertEqual(bool(tree.switches), name.startswith("switch"), name)


class Refused(unittest.TestCase):
    def refuse(self, change, expected: str) -> None:
        data = copy.deepcopy(GOOD)
        change(data)
        with self.assertRaises(LabError) as caught:
            topology.parse("t", data)
        self.assertIn(expected, str(caught.exception))
        self.assertEqual(caught.exception.status, 2)

    def test_each_mistake_has_its_sentence(self) -> None:
        mistakes = {
            "unknown key 'color'": lambda d: d.update(color=1),
            "has no 'cpu'": lambda d: d.pop("cpu"),
            "'iommu' of the file is not of type bool": lambda d: d.update(iommu=1),
            "neither 'root-port' nor 'switch'": lambda d: d["ports"].append({"kind": "hub"}),
            "is none of nic, accel, disk": lambda d: d["slots"][0].update(kind="gpu"),
            "there is no port 'dn9'": lambda d: d["slots"][0].update(on="dn9"),
            "more than one thing": lambda d: d["slots"][0].update(on="rp1"),
            "occurs twice": lambda d: d["slots"][0].update(name="disk0"),
            "same slot": lambda d: d["ports"][0].update(slot=1),
            "is not from 1 to 15": lambda d: d["ports"][0].update(slot=16),
            "is not a name": lambda d: d["slots"][0].update(name="Acc 0"),
            "needs 1 to 32 ports": lambda d: d["ports"][2].update(ports=[]),
        }
        for expected, change in mistakes.items():
            with self.subTest(expected):
                self.refuse(change, expected)

    def test_ring_of_switches(self) -> None:
        def ring(data: dict) -> None:
            data["ports"][2]["on"] = "dn0"

        self.refuse(ring, "cannot be reached")

    def test_not_an_object(self) -> None:
        with self.assertRaises(LabError):
            topology.parse("t", [])

    def test_unknown_name_lists_the_known(self) -> None:
        with self.assertRaises(LabError) as caught:
            topology.load("moebius")
        self.assertIn("switch-iommu", caught.exception.hint)


if __name__ == "__main__":
    unittest.main()
