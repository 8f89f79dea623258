#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What is in the disk slots, and where their files are."""

import argparse
import pathlib
import sys
import tempfile
import unittest

LAB = pathlib.Path(__file__).resolve().parents[2] / "lab"
sys.path.insert(0, str(LAB))

from peerdma_lab import disks, fabric, topology, values  # noqa: E402
from peerdma_lab.errors import LabError  # noqa: E402


class Sizes(unittest.TestCase):
    def test_good(self) -> None:
        self.assertEqual(disks.parse_sizes("1G"), (disks.Namespace("1G", "512"),))
        self.assertEqual(
            disks.parse_sizes("64M:4096,4096:512"),
            (disks.Namespace("64M", "4096"), disks.Namespace("4096", "512")),
        )

    def test_bad(self) -> None:
        many = ",".join(["1M"] * 9)
        for text in ("", "0", "1X", "1G:1024", "1G,", ",1G", "1G:", "-1", "1G 1G", many):
            with self.assertRaises(ValueError, msg=text):
                disks.parse_sizes(text)
            with self.assertRaises(argparse.ArgumentTypeError, msg=text):
                values.namespaces(text)


class Config(unittest.TestCase):
    folder = pathlib.Path("/r")

    def test_run_directory_unless_told(self) -> None:
        two = disks.Disks(namespaces=disks.parse_sizes("1G,2M:4096"))
        made = two.config(self.folder, "a", "disk0")
        self.assertEqual(
            made,
            {
                "namespaces": [
                    {"path": "/r/a.disk0.1.img", "size": "1G", "block": "512"},
                    {"path": "/r/a.disk0.2.img", "size": "2M", "block": "4096"},
                ]
            },
        )
        self.assertTrue(disks.Disks("legacy").config(self.folder, "a", "disk0")["cmb_legacy"])

    def test_kept(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name) / "new"
            kept = disks.Disks(folder=folder)
            path = kept.config(self.folder, "b", "disk0")["namespaces"][0]["path"]
            self.assertEqual(path, f"{folder}/b.disk0.1.img")
            self.assertTrue(folder.is_dir())
            image = kept.qemu_file(self.folder, "b", "disk0", 4096)
            image.write_bytes(b"x" * 8192)
            again = kept.qemu_file(self.folder, "b", "disk0", 4096)
            self.assertEqual(again.read_bytes(), b"x" * 8192)
        with self.assertRaises(LabError):
            disks.Disks(folder=pathlib.Path("/dev/null/x")).config(self.folder, "a", "disk0")

    def test_slot_gets_the_model_or_qemu(self) -> None:
        models = {"accel", "nic", "nvme"}
        self.assertEqual(fabric.kinds_of(models, disks.Disks()), {"accel", "nic", "disk"})
        self.assertEqual(fabric.kinds_of(models, disks.Disks("qemu")), {"accel", "nic"})
        self.assertEqual(fabric.kinds_of({"accel"}, disks.Disks()), {"accel"})
        data = fabric.config(self.folder, topology.load("switch"), ["a"], {"disk"}, "64M", [])
        (device,) = data["nodes"][0]["devices"]
        self.assertEqual((device["model"], device["name"]), ("nvme", "disk0"))
        self.assertEqual(len(device["namespaces"]), 2)


if __name__ == "__main__":
    unittest.main()
