# SPDX-License-Identifier: MIT
"""What the guest image is made of. Its hash names the image, so that another recipe makes another
image.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import EXIT_USAGE, LabError
from .paths import lab_data

# Counts up when the builder makes something else out of the same recipe.
BUILDER_VERSION = 1
PACKAGE_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+(/[a-z0-9-]+)?")
RELEASE = re.compile(r"\d+(\.\d+)+[a-z0-9+.~]*(-[a-z0-9]+)*-amd64")
# What linux-image-RELEASE consists of. Debian has these some time before it has signed them, and
# the lab needs no signature.
KERNEL_PACKAGES = ("linux-base-{}", "linux-binary-unsigned-{}", "linux-modules-{}")


@dataclass(frozen=True)
class Recipe:
    data: dict[str, Any]
    customize: Path
    extra_packages: tuple[str, ...]

    @property
    def packages(self) -> list[str]:
        named = [name for group in self.data["packages"].values() for name in group]
        return named + list(self.extra_packages)

    @property
    def hash(self) -> str:
        what = {
            "builder": BUILDER_VERSION,
            "recipe": {k: v for k, v in self.data.items() if k != "mirror"},
            "customize": self.customize.read_text(encoding="utf-8"),
            "extra": sorted(self.extra_packages),
        }
        text = json.dumps(what, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def parse_packages(text: str) -> tuple[str, ...]:
    """Names separated by commas or blanks."""
    names = [n for n in re.split(r"[,\s]+", text) if n]
    for name in names:
        if not PACKAGE_NAME.fullmatch(name):
            raise LabError(f"'{name}' is not the name of a Debian package", status=EXIT_USAGE)
    return tuple(dict.fromkeys(names))


def parse_release(text: str) -> str:
    """The release of one of Debian's kernels."""
    if not RELEASE.fullmatch(text):
        raise LabError(
            f"'{text}' is not the release of a Debian kernel such as 7.3.4+deb13-amd64",
            status=EXIT_USAGE,
        )
    return text


def load_recipe(
    extra: tuple[str, ...] = (), folder: Path | None = None, release: str | None = None
) -> Recipe:
    """release: Debian's kernel of that release instead of the newest that is complete."""
    folder = folder or lab_data() / "image"
    data = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
    if release:
        data["packages"]["kernel"] = [name.format(release) for name in KERNEL_PACKAGES]
    known = {name for group in data["packages"].values() for name in group}
    return Recipe(data, folder / "customize.sh", tuple(n for n in extra if n not in known))
