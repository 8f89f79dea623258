# SPDX-License-Identifier: MIT
"""Where things are: the source tree, the build directory, the cache, the run directories."""

import os
import stat
from pathlib import Path

from .errors import LabError

SOURCE = Path(__file__).resolve().parents[2]
LAB = SOURCE / "lab"
# A Unix socket address holds 107 bytes; run directories leave this much for file names.
SOCKET_PATH_MAX = 107


def lab_data() -> Path:
    """Recipes and topologies: in the source tree, or installed beside the package."""
    return Path(os.environ.get("PEERDMA_LAB_DATA", LAB))


def need_source(what: str) -> None:
    """Installed there is no source tree around the package, and nowhere to write."""
    if not (SOURCE / "meson.build").is_file():
        raise LabError(f"{what} needs the source tree", "run lab/peerdma-lab of it")


def cache_dir(option: str | None = None) -> Path:
    if option:
        return Path(option).absolute()
    if os.environ.get("PEERDMA_CACHE"):
        return Path(os.environ["PEERDMA_CACHE"]).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base).absolute() / "peerdma"


def build_dir(option: str | None = None) -> Path:
    path = option or os.environ.get("PEERDMA_BUILD") or SOURCE / "build"
    return Path(path).absolute()


def kernel_modules(build: Path, release: str | None) -> Path:
    """Where the modules of kernel/ are: for the image's own kernel, or for one asked for."""
    return build / (f"kernel-{release}" if release else "kernel")


def runtime_dir() -> Path:
    """A directory of this user only, with a short name, in which every running lab has its own."""
    option = os.environ.get("PEERDMA_RUN")
    path = Path(option).absolute() if option else Path(f"/tmp/peerdma-{os.getuid()}")
    path.mkdir(mode=0o700, parents=bool(option), exist_ok=True)
    info = path.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid() or info.st_mode & 0o022:
        raise LabError(
            f"{path} is not a directory of this user alone", "remove it, or set PEERDMA_RUN"
        )
    if len(str(path)) > SOCKET_PATH_MAX - 40:
        raise LabError(
            f"{path} is too long for the sockets of a lab", "set PEERDMA_RUN to a shorter directory"
        )
    return path
