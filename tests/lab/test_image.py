# SPDX-License-Identifier: MIT
"""Parts of the image builder that need no network: recipe, kernel options, archives, ELF."""

import io
import json
import lzma
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest
from unittest import mock

import labpath
from peerdma_lab import cpio, elf, hostkernel, image, kernelconfig, modules, recipe
from peerdma_lab.errors import LabError
from peerdma_lab.progress import PackageCounter

RECIPE_FOLDER = labpath.ROOT / "lab" / "image"


class Recipes(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        shutil.copytree(RECIPE_FOLDER, self.folder, dirs_exist_ok=True)

    def change(self, **keys: object) -> str:
        path = self.folder / "recipe.json"
        data = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps(data | keys), encoding="utf-8")
        return recipe.load_recipe(folder=self.folder).hash

    def test_hash_follows_the_recipe_only(self) -> None:
        first = recipe.load_recipe(folder=self.folder).hash
        self.assertEqual(self.change(), first)
        self.assertEqual(self.change(mirror="http://elsewhere"), first)
        self.assertNotEqual(self.change(suite="forky"), first)

    def test_hash_follows_the_script(self) -> None:
        first = recipe.load_recipe(folder=self.folder).hash
        with open(self.folder / "customize.sh", "a", encoding="utf-8") as f:
            f.write("true\n")
        self.assertNotEqual(recipe.load_recipe(folder=self.folder).hash, first)

    def test_more_packages(self) -> None:
        plain = recipe.load_recipe(folder=self.folder)
        more = recipe.load_recipe(("gcc", "fio"), self.folder)
        self.assertEqual(more.extra_packages, ("gcc",))
        self.assertNotEqual(more.hash, plain.hash)
        self.assertIn("gcc", more.packages)
        turned = recipe.load_recipe(("vim", "gcc"), self.folder)
        self.assertEqual(turned.hash, recipe.load_recipe(("gcc", "vim"), self.folder).hash)

    def test_another_kernel(self) -> None:
        plain = recipe.load_recipe(folder=self.folder)
        other = recipe.load_recipe(folder=self.folder, release="7.3.4+deb13-amd64")
        self.assertNotEqual(other.hash, plain.hash)
        self.assertNotIn("linux-image-amd64", other.packages)
        self.assertIn("linux-modules-7.3.4+deb13-amd64", other.packages)
        self.assertEqual(set(plain.data["packages"]), set(other.data["packages"]))

    def test_releases(self) -> None:
        for good in ("7.3.4+deb13-amd64", "7.3.4+deb13-cloud-amd64", "7.3-amd64"):
            self.assertEqual(recipe.parse_release(good), good)
        for bad in ("", "7.3.4", "--purge", "7.3,vim-amd64", "7.3/../x-amd64", "7.3.4+deb13-arm64"):
            with self.assertRaises(LabError):
                recipe.parse_release(bad)

    def test_package_names(self) -> None:
        self.assertEqual(recipe.parse_packages("gcc, vim gcc"), ("gcc", "vim"))
        for bad in ("--purge", "a;b", "A", "$(x)"):
            with self.assertRaises(LabError):
                recipe.parse_packages(bad)


class Cache(unittest.TestCase):
    """Building is replaced; finding, locking and cleaning up are not."""

    def setUp(self) -> None:
        self.cache = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.cache)
        self.recipe = recipe.load_recipe()
        self.built = 0
        patch = mock.patch.multiple(
            image, _bootstrap=self.bootstrap, _assemble=self.assemble, Progress=mock.MagicMock()
        )
        patch.start()
        self.addCleanup(patch.stop)

    def bootstrap(self, *_: object) -> None:
        self.built += 1

    def assemble(self, wanted: recipe.Recipe, _: object, result: pathlib.Path, *__: object) -> None:
        text = json.dumps({"recipe": wanted.hash, "release": "7"})
        (result / "image.json").write_text(text, encoding="utf-8")

    def test_built_once(self) -> None:
        for _ in range(2):
            self.assertEqual(image.ensure(self.cache, self.recipe).release, "7")
        self.assertEqual(self.built, 1)

    def test_two_at_once_build_one(self) -> None:
        ensure = [self.cache, self.recipe]
        threads = [threading.Thread(target=image.ensure, args=ensure) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(self.built, 1)

    def test_what_an_interruption_left_is_removed(self) -> None:
        old = self.cache / "images" / ".building-abc"
        (old / "chroot").mkdir(parents=True)
        image.ensure(self.cache, self.recipe)
        self.assertFalse(old.exists())

    def test_failure_leaves_nothing(self) -> None:
        with mock.patch.object(image, "_assemble", side_effect=LabError("no space")):
            with self.assertRaises(LabError):
                image.ensure(self.cache, self.recipe)
        self.assertEqual([p.name for p in (self.cache / "images").iterdir()], ["lock"])
        self.assertIsNone(image.find(self.cache, self.recipe))


class Kernel(unittest.TestCase):
    def test_missing_options_are_named(self) -> None:
        options = kernelconfig.parse("CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=m\nCONFIG_D=n\n")
        needed = {"A": "1", "B": "2", "C": "3", "D": "4", "X|C": "5", "X|Y": "6"}
        absent = [("B", "2"), ("D", "4"), ("X|Y", "6")]
        self.assertEqual(kernelconfig.missing(options, needed), absent)

    def test_sentence(self) -> None:
        with tempfile.NamedTemporaryFile("w", suffix="config") as f:
            f.write("CONFIG_PCI=y\n")
            f.flush()
            with self.assertRaisesRegex(LabError, r"CONFIG_PCI_P2PDMA \(peers\)"):
                kernelconfig.verify(pathlib.Path(f.name), {"PCI": "x", "PCI_P2PDMA": "peers"})

    def test_kernel_of_an_image(self) -> None:
        signed = ["./boot/vmlinuz-7.2", "./boot/config-7.2", "./usr/lib/modules/7.2/vmlinuz"]
        expected = ("7.2", "./boot/vmlinuz-7.2", "./boot/config-7.2")
        self.assertEqual(image.find_kernel(signed), expected)
        base = "./usr/lib/modules/7.3"
        unsigned = [f"{base}/config", f"{base}/vmlinuz.unsigned"]
        expected = ("7.3", f"{base}/vmlinuz.unsigned", f"{base}/config")
        self.assertEqual(image.find_kernel(unsigned), expected)
        with self.assertRaisesRegex(LabError, "no kernel"):
            image.find_kernel(["./boot/config-7.2", f"{base}/vmlinuz"])

    def test_release_of_an_image(self) -> None:
        data = bytearray(0x400)
        data[0x202:0x206] = b"HdrS"
        data[0x20E:0x210] = (0x100).to_bytes(2, "little")
        data[0x300:0x312] = b"7.2.12-x (a@b) #1\0"
        self.assertEqual(hostkernel.release_of(bytes(data)), "7.2.12-x")
        for bad in (b"", bytes(0x400)):
            with self.assertRaises(LabError):
                hostkernel.release_of(bad)


class Modules(unittest.TestCase):
    DEPS = "a/x-y.ko.xz: b/z.ko b/w.ko\nb/z.ko: b/w.ko\nb/w.ko:\n"

    def test_order(self) -> None:
        deps = modules.parse_dependencies(self.DEPS)
        order = modules.load_order(["x_y", "virtio", "z"], deps, {"virtio"})
        self.assertEqual(order, ["b/w.ko", "b/z.ko", "a/x-y.ko.xz"])

    def test_unknown(self) -> None:
        with self.assertRaisesRegex(LabError, "no module erofs"):
            modules.load_order(["erofs"], {}, set())

    def test_archive(self) -> None:
        data = modules.early_archive([("b/z.ko.xz", lzma.compress(b"code"))])
        self.assertIn(b"z.ko\n", data)
        self.assertIn(b"code", data)

    def test_archive_is_what_cpio_reads(self) -> None:
        out = io.BytesIO()
        archive = cpio.Writer(out)
        archive.directory("d")
        archive.file("d/f", b"12345")
        archive.finish()
        text = out.getvalue()
        # Fields of the newc header by their place: mode at 14, size at 54, name length at 94.
        second = text.index(b"070701", 6)
        self.assertEqual(second % 4, 0)
        self.assertEqual(int(text[second + 14 : second + 22], 16), 0o100644)
        self.assertEqual(int(text[second + 54 : second + 62], 16), 5)
        self.assertEqual(int(text[second + 94 : second + 102], 16), 4)
        self.assertEqual(text.count(b"TRAILER!!!"), 1)


class Elf(unittest.TestCase):
    def test_libraries_of_a_program_of_this_machine(self) -> None:
        program = pathlib.Path(sys.executable).resolve()
        done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
        expected = "libc.so.6" in done.stdout
        self.assertEqual("libc.so.6" in elf.needed(program), expected)

    def test_no_elf(self) -> None:
        self.assertEqual(elf.needed(pathlib.Path(__file__)), [])


class Counter(unittest.TestCase):
    def test_percent(self) -> None:
        counter = PackageCounter()
        self.assertIn("package lists", counter.text())
        counter.feed("0 upgraded, 2 newly installed, 0 to remove")
        for line in ("Get:1 a", "Get:2 b", "Unpacking a", "Setting up a"):
            counter.feed(line)
        self.assertEqual(counter.text(), "66 %, 1 packages of 2 set up")


if __name__ == "__main__":
    unittest.main()
