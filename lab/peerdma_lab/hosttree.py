# SPDX-License-Identifier: MIT
"""Programs of the image which run on the host: QEMU, the maker of the root file system.

They run through the tree's own dynamic loader, without chroot and as the invoking user.
"""

import os
import tarfile
from pathlib import Path

from . import elf
from .errors import LabError

LIBRARIES = "usr/lib/x86_64-linux-gnu"
LOADER = f"{LIBRARIES}/ld-linux-x86-64.so.2"
QEMU = "usr/bin/qemu-system-x86_64"
MKFS = "usr/bin/mkfs.erofs"
PROGRAMS = (QEMU, MKFS)
DATA = ("usr/share/qemu/", "usr/share/seabios/", "usr/lib/ipxe/", "usr/share/ipxe/")


def command(tree: Path, program: str, *args: str) -> list[str]:
    """How to start a program of the tree."""
    return [str(tree / LOADER), "--library-path", str(tree / LIBRARIES), str(tree / program), *args]


def data_args(tree: Path) -> list[str]:
    args = []
    for folder in DATA:
        if (tree / folder).is_dir():
            args += ["-L", str(tree / folder)]
    return args


class _Extractor:
    def __init__(self, tar: tarfile.TarFile, tree: Path) -> None:
        self._tar = tar
        self._tree = tree
        self._members = {m.name.removeprefix("./"): m for m in tar}

    def _target(self, name: str) -> str:
        link = self._members[name].linkname
        if link.startswith("/"):
            return link.lstrip("/")
        return os.path.normpath(f"{os.path.dirname(name)}/{link}")

    def take(self, name: str) -> None:
        """A file, and what it links to. Links stay inside the tree, which may move."""
        member = self._members.get(name)
        if member is None:
            raise LabError(f"the image has no {name}")
        place = self._tree / name
        if os.path.lexists(place):
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        if member.issym() or member.islnk():
            target = self._target(name) if member.issym() else member.linkname.removeprefix("./")
            self.take(target)
            place.symlink_to(os.path.relpath(target, os.path.dirname(name)))
            return
        stream = self._tar.extractfile(member)
        if stream is None:
            raise LabError(f"{name} of the image is not a file")
        with stream, open(place, "wb") as out:
            while chunk := stream.read(1 << 20):
                out.write(chunk)
        place.chmod(0o755 if member.mode & 0o100 else 0o644)

    def take_folder(self, prefix: str) -> None:
        for name, member in self._members.items():
            if name.startswith(prefix) and not member.isdir():
                self.take(name)

    def take_library(self, name: str) -> None:
        self.take(f"{LIBRARIES}/{name}")


def extract(tar: tarfile.TarFile, tree: Path) -> None:
    extractor = _Extractor(tar, tree)
    extractor.take(LOADER)
    for program in PROGRAMS:
        extractor.take(program)
    for folder in DATA:
        extractor.take_folder(folder)
    done = set()
    todo = list(PROGRAMS)
    while todo:
        name = todo.pop()
        for library in elf.needed(tree / name):
            if library not in done:
                done.add(library)
                extractor.take_library(library)
                todo.append(f"{LIBRARIES}/{library}")
