# SPDX-License-Identifier: MIT
"""A kernel of the host in place of the image's: its release, its configuration, its modules."""

import hashlib
import struct
from pathlib import Path

from . import kernelconfig, modules, recipe
from .errors import LabError
from .lab import Options
from .qemu import Share

# Linux Documentation/arch/x86/boot.rst: "HdrS" at 0x202, offset of the version text at 0x20e.
MAGIC_AT = 0x202
VERSION_AT = 0x20E
TEXT_BASE = 0x200
TEXT_MAX = 256


def release_of(data: bytes) -> str:
    """The release of a bzImage, such as 7.2.12+deb13-amd64."""
    if data[MAGIC_AT : MAGIC_AT + 4] != b"HdrS" or len(data) < VERSION_AT + 2:
        raise LabError("this is no x86 kernel image (bzImage)")
    start = struct.unpack_from("<H", data, VERSION_AT)[0] + TEXT_BASE
    text = data[start : start + TEXT_MAX].split(b"\0")[0].decode(errors="replace")
    if not text.split():
        raise LabError("the kernel image does not tell its release")
    return text.split()[0]


class HostKernel:
    def __init__(self, path: Path, root: Path = Path("/")) -> None:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise LabError(f"cannot read the kernel {path}: {error.strerror}") from None
        self.path = path
        self.release = release_of(data)
        self.modules = root / "lib/modules" / self.release
        self.config = root / "boot" / f"config-{self.release}"

    def _early(self, names: list[str]) -> bytes:
        try:
            dependencies = (self.modules / "modules.dep").read_text(encoding="utf-8")
            builtin = (self.modules / "modules.builtin").read_text(encoding="utf-8")
        except OSError as error:
            raise LabError(f"the kernel has no modules in {self.modules}: {error}") from None
        order = modules.load_order(
            names,
            modules.parse_dependencies(dependencies),
            {modules.canonical(line) for line in builtin.splitlines()},
        )
        return modules.early_archive([(p, (self.modules / p).read_bytes()) for p in order])

    def apply(self, options: Options, cache: Path) -> None:
        """Makes a lab use this kernel. The guest sees its modules through a share."""
        data = recipe.load_recipe().data
        if not self.config.exists():
            raise LabError(f"cannot check the kernel: there is no {self.config}")
        kernelconfig.verify(self.config, data["kernel_options"])
        early = self._early(data["early_modules"])
        folder = cache / "early"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / (hashlib.sha256(early).hexdigest()[:16] + ".cpio")
        temp = path.with_suffix(f".{id(self)}")
        temp.write_bytes(early)
        temp.rename(path)
        options.kernel = self.path
        options.early = path
        options.shares.append(Share("modules", self.modules))
