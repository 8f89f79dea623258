# SPDX-License-Identifier: MIT
"""What the disk slots of a lab hold, and where its bytes are."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import EXIT_USAGE, LabError

# The namespaces of a controller: one of 512-byte blocks, one of 4096.
DEFAULT_SIZES = "1G,256M:4096"
KINDS = ("model", "legacy", "qemu")
NAMESPACES_MAX = 8
NAMESPACE = re.compile(r"([1-9][0-9]*[KMGT]?)(?::(512|4096))?")


@dataclass(frozen=True)
class Namespace:
    size: str
    block: str


def parse_sizes(text: str) -> tuple[Namespace, ...]:
    """SIZE[:BLOCK],... Raises ValueError for what is none."""
    found = [NAMESPACE.fullmatch(one) for one in text.split(",")]
    if len(found) > NAMESPACES_MAX or not all(found):
        raise ValueError(text)
    return tuple(Namespace(m[1], m[2] or "512") for m in found if m)


@dataclass(frozen=True)
class Disks:
    # model; legacy: the model, its memory buffer as before NVMe 1.4; qemu: QEMU's own
    kind: str = "model"
    namespaces: tuple[Namespace, ...] = parse_sizes(DEFAULT_SIZES)
    # None: the lab's own directory, which goes with the lab.
    folder: Path | None = None

    def _file(self, run_dir: Path, name: str) -> Path:
        if not self.folder:
            return run_dir / name
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            what = f"cannot make {self.folder}: {error.strerror}"
            raise LabError(what, status=EXIT_USAGE) from None
        return self.folder / name

    def qemu_file(self, run_dir: Path, node: str, slot: str, size: int) -> Path:
        path = self._file(run_dir, f"{node}.{slot}.img")
        with open(path, "ab") as f:
            if f.tell() < size:
                f.truncate(size)
        return path

    def config(self, run_dir: Path, node: str, slot: str) -> dict[str, Any]:
        """What the fabric's configuration says of a controller."""
        spaces = [
            {
                "path": str(self._file(run_dir, f"{node}.{slot}.{number}.img")),
                "size": one.size,
                "block": one.block,
            }
            for number, one in enumerate(self.namespaces, start=1)
        ]
        legacy = {"cmb_legacy": True} if self.kind == "legacy" else {}
        return {"namespaces": spaces, **legacy}
