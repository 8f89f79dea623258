# SPDX-License-Identifier: MIT
"""The demonstration's verdict: every claim turns false when what it claims is not so."""

import copy
import pathlib
import sys
import unittest
from collections.abc import Callable

LAB = pathlib.Path(__file__).resolve().parents[2] / "lab"
sys.path.insert(0, str(LAB))

from peerdma_lab import demo  # noqa: E402

LENGTH = 14329792
MIB64 = 64 << 20


def node(host: int = 0, peer: int = 0) -> dict:
    return {"host": host, "own": 0, "peer_switch": peer, "peer_bridge": 0}


def row(name: str, length: int, a: dict, b: dict) -> dict:
    return {"name": name, "engine": "nic", "bytes": length, "ns": 1000000, "a": a, "b": b}


GOOD = {
    "length": LENGTH,
    "rows": [
        row("there", LENGTH, node(LENGTH), node(0, LENGTH)),
        row("back", LENGTH, node(LENGTH), node(0, LENGTH)),
        row("direct", MIB64, node(0, MIB64), node(0, MIB64)),
        row("staged", MIB64, node(2 * MIB64), node(0, MIB64)),
    ],
    "same": True,
    "crc_file": "fdc98d4f",
    "crc_b": "fdc98d4f",
    "crc_a_acc0": "38b52a6d",
    "crc_b_acc1": "38b52a6d",
}


class Judge(unittest.TestCase):
    def failed(self, change: Callable[[dict], object]) -> list[str]:
        data = copy.deepcopy(GOOD)
        change(data)
        return demo.judge(data).failed

    def test_good(self) -> None:
        self.assertEqual(demo.judge(GOOD).failed, [])

    def test_every_claim_can_fail(self) -> None:
        changes: list[Callable[[dict], object]] = [
            lambda d: d.update(same=False),
            lambda d: d.update(crc_b="00000000"),
            lambda d: d.update(crc_b_acc1="00000000"),
            lambda d: d["rows"][0].update(bytes=LENGTH - 1),
            lambda d: d["rows"][2].update(bytes=MIB64 - 1),
            lambda d: d["rows"][0]["b"].update(host=1),
            lambda d: d["rows"][0]["b"].update(peer_switch=LENGTH - 1),
            lambda d: d["rows"][1]["b"].update(peer_switch=LENGTH + 1),
            lambda d: d["rows"][2]["a"].update(host=1),
            lambda d: d["rows"][2]["b"].update(peer_switch=0),
            lambda d: d["rows"][3]["a"].update(host=MIB64),
        ]
        seen = set()
        for change in changes:
            failed = self.failed(change)
            self.assertEqual(len(failed), 1, failed)
            seen.update(failed)
        self.assertEqual(seen, set(demo.judge(GOOD).checks))

    def test_bridge_counts_as_peer(self) -> None:
        def move(data: dict) -> None:
            for one in data["rows"]:
                for name in demo.NODES:
                    one[name]["peer_bridge"] = one[name].pop("peer_switch")
                    one[name]["peer_switch"] = 0

        self.assertEqual(self.failed(move), [])

    def test_nothing_moved(self) -> None:
        def empty(data: dict) -> None:
            data["length"] = 0
            for one in data["rows"][:2]:
                one.update(bytes=0, a=node(), b=node())

        self.assertIn("whole files were moved", self.failed(empty))


if __name__ == "__main__":
    unittest.main()
