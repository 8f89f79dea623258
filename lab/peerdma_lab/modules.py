# SPDX-License-Identifier: MIT
"""Kernel modules needed before there is a root file system."""

import gzip
import io
import lzma
import re
import tarfile

from . import cpio
from .errors import LabError

SUFFIXES = (".ko", ".ko.xz", ".ko.gz")


def canonical(path_or_name: str) -> str:
    """The name of a module as the kernel spells it."""
    name = path_or_name.rsplit("/", 1)[-1]
    return re.sub(r"\.ko(\.\w+)?$", "", name).replace("-", "_")


def parse_dependencies(text: str) -> dict[str, tuple[str, list[str]]]:
    """modules.dep: name to its path and the paths it needs, nearest first."""
    result = {}
    for line in text.splitlines():
        path, sep, needs = line.partition(":")
        if sep:
            result[canonical(path)] = (path, needs.split())
    return result


def load_order(
    names: list[str], deps: dict[str, tuple[str, list[str]]], builtin: set[str]
) -> list[str]:
    """Paths in an order in which each finds what it needs."""
    order: list[str] = []
    for name in names:
        if canonical(name) in builtin:
            continue
        if canonical(name) not in deps:
            raise LabError(f"the kernel has no module {name}")
        path, needs = deps[canonical(name)]
        for one in [*reversed(needs), path]:
            if one not in order:
                order.append(one)
    return order


def decompress(path: str, data: bytes) -> bytes:
    if path.endswith(".xz"):
        return lzma.decompress(data)
    if path.endswith(".gz"):
        return gzip.decompress(data)
    return data


def early_archive(modules: list[tuple[str, bytes]]) -> bytes:
    """The part of the initial RAM file system that belongs to the kernel: modules, and their
    order.
    """
    out = io.BytesIO()
    archive = cpio.Writer(out)
    for folder in ("dev", "proc", "sys", "ro", "rw", "new", "modules"):
        archive.directory(folder)
    archive.character_device("dev/console", 5, 1)
    order = []
    for path, data in modules:
        name = canonical(path) + ".ko"
        order.append(name)
        archive.file(f"modules/{name}", decompress(path, data))
    archive.file("modules/order", "".join(n + "\n" for n in order).encode())
    archive.finish()
    return out.getvalue()


def early_from_tar(tar: tarfile.TarFile, release: str, names: list[str]) -> bytes:
    base = f"./usr/lib/modules/{release}/"

    def read(path: str) -> bytes:
        stream = tar.extractfile(base + path)
        if not stream:
            raise LabError(f"the image has no {base}{path}")
        return stream.read()

    deps = parse_dependencies(read("modules.dep").decode())
    builtin = {canonical(line) for line in read("modules.builtin").decode().splitlines()}
    return early_archive([(path, read(path)) for path in load_order(names, deps, builtin)])
