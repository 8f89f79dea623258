# SPDX-License-Identifier: MIT
"""Builds the guest image once per recipe and finds it afterwards."""

import json
import os
import platform
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from . import debian, folders, hosttree, kernelconfig, modules
from .errors import LabError
from .progress import Progress
from .recipe import Recipe

META = "image.json"
# Where a kernel and its configuration are: of linux-image, and before Debian has signed it.
KERNELS = (
    (re.compile(r"\./boot/vmlinuz-(.+)"), "./boot/config-{}"),
    (re.compile(r"\./usr/lib/modules/([^/]+)/vmlinuz\.unsigned"), "./usr/lib/modules/{}/config"),
)


@dataclass(frozen=True)
class Image:
    path: Path
    release: str

    @property
    def kernel(self) -> Path:
        return self.path / "vmlinuz"

    @property
    def config(self) -> Path:
        return self.path / "config"

    @property
    def root(self) -> Path:
        return self.path / "root.erofs"

    @property
    def early(self) -> Path:
        return self.path / "early.cpio"

    @property
    def tree(self) -> Path:
        return self.path / "host"


def find(cache: Path, recipe: Recipe) -> Image | None:
    path = cache / "images" / recipe.hash
    try:
        meta = json.loads((path / META).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Image(path, meta["release"])


def _bootstrap(recipe: Recipe, mirror: str, work: Path, progress: Progress) -> None:
    leave_out = ["/usr/share/doc/*", *recipe.data["leave_out"]]
    options = [f"--customize-hook={recipe.customize}"]
    options += [f"--dpkgopt=path-exclude={p}" for p in leave_out]
    keep = recipe.data["keep_documents"]
    options += [f"--dpkgopt=path-include=/usr/share/doc/{p}/*" for p in keep]
    env = {"READY_MODULES": " ".join(recipe.data["ready_modules"])}
    system = debian.System(recipe, mirror, tuple(recipe.packages), tuple(options), env)
    debian.bootstrap(system, work, work / "root.tar", progress)


def find_kernel(names: list[str]) -> tuple[str, str, str]:
    """Among the files of an image: the kernel's release, the kernel, its configuration."""
    for pattern, config in KERNELS:
        found = sorted(filter(None, map(pattern.fullmatch, names)), key=lambda m: m[1])
        if found:
            return found[-1][1], found[-1][0], config.format(found[-1][1])
    raise LabError("the image has no kernel")


def _copy_out(tar: tarfile.TarFile, name: str, place: Path) -> None:
    stream = tar.extractfile(name)
    if not stream:
        raise LabError(f"the image has no {name}")
    with stream, open(place, "wb") as out:
        shutil.copyfileobj(stream, out)


def _make_root(work: Path, result: Path) -> None:
    options = ["--quiet", "--tar=f", str(result / "root.erofs"), str(work / "root.tar")]
    args = hosttree.command(result / "host", hosttree.MKFS, *options)
    done = subprocess.run(args, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"mkfs.erofs failed: {done.stdout}{done.stderr}")


def _assemble(recipe: Recipe, work: Path, result: Path, progress: Progress) -> None:
    with tarfile.open(work / "root.tar") as tar:
        release, kernel, config = find_kernel([m.name for m in tar if m.isfile()])
        progress.line(f"kernel {release}; taking QEMU out")
        _copy_out(tar, kernel, result / "vmlinuz")
        _copy_out(tar, config, result / "config")
        kernelconfig.verify(result / "config", recipe.data["kernel_options"])
        hosttree.extract(tar, result / "host")
        (result / "early.cpio").write_bytes(
            modules.early_from_tar(tar, release, recipe.data["early_modules"])
        )
    progress.line("making the root file system")
    _make_root(work, result)
    meta = {
        "recipe": recipe.hash,
        "release": release,
        "packages": recipe.packages,
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    (result / META).write_text(json.dumps(meta, indent="\t") + "\n", encoding="utf-8")


def _build(images: Path, recipe: Recipe, mirror: str, progress: Progress) -> None:
    work = Path(tempfile.mkdtemp(prefix=folders.TEMP_PREFIX, dir=images))
    try:
        result = work / "result"
        result.mkdir()
        result.chmod(0o755)
        _bootstrap(recipe, mirror, work, progress)
        _assemble(recipe, work, result, progress)
        final = images / recipe.hash
        shutil.rmtree(final, ignore_errors=True)
        result.rename(final)
    finally:
        folders.remove(work)


def ensure(cache: Path, recipe: Recipe, mirror: str | None = None, rebuild: bool = False) -> Image:
    """The image of this recipe, built when there is none."""
    image = None if rebuild else find(cache, recipe)
    if image:
        return image
    if platform.machine() != "x86_64":
        raise LabError(f"the lab runs on x86_64 hosts only, this is {platform.machine()}")
    images = cache / "images"
    progress = Progress("image")
    with folders.lock(images, progress):
        folders.remove_interrupted(images)
        image = None if rebuild else find(cache, recipe)
        if image:
            return image
        progress.line(f"building the guest image {recipe.hash} in {images}; once, about a minute")
        _build(
            images,
            recipe,
            mirror or os.environ.get("PEERDMA_MIRROR") or recipe.data["mirror"],
            progress,
        )
        progress.line("done")
    image = find(cache, recipe)
    if not image:
        raise LabError(f"the image vanished from {images}")
    return image


def remove_others(cache: Path, keep: Recipe) -> list[str]:
    """Images of other recipes, which nothing uses any more but older source trees."""
    images = cache / "images"
    removed = []
    with folders.lock(images, Progress("image")):
        folders.remove_interrupted(images)
        for path in images.iterdir():
            if path.is_dir() and path.name != keep.hash:
                shutil.rmtree(path)
                removed.append(path.name)
    return removed
