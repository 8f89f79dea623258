# SPDX-License-Identifier: MIT
"""Builds the guest image once per recipe and finds it afterwards."""

import contextlib
import fcntl
import json
import os
import platform
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import hosttree, kernelconfig, modules
from .errors import LabError
from .procs import die_with
from .progress import PackageCounter, Progress
from .recipe import Recipe

TEMP_PREFIX = ".building-"
META = "image.json"
# As root the end of unshare takes all with it; in a user namespace mmdebstrap itself clears up.
END = signal.SIGKILL if os.getuid() == 0 else signal.SIGTERM
KERNEL_PREFIX = "./boot/vmlinuz-"


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


@contextlib.contextmanager
def _lock(folder: Path, progress: Progress) -> Iterator[None]:
    """One builder a cache; the others wait, and then mostly find the work done."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w", encoding="utf-8") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.line("another process is building an image; waiting for it")
            fcntl.flock(f, fcntl.LOCK_EX)
        yield


def _remove(path: Path) -> None:
    """Never reaches through a mount into what belongs to the host."""
    text = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
    if any(line.split()[1].startswith(f"{path}/") for line in text.splitlines()):
        raise LabError(f"something is mounted below {path}", "unmount it, then try again")
    shutil.rmtree(path, ignore_errors=True)


def _remove_interrupted(folder: Path) -> None:
    for old in folder.glob(TEMP_PREFIX + "*"):
        _remove(old)


def _sources(recipe: Recipe, mirror: str) -> str:
    suite, components = recipe.data["suite"], recipe.data["components"]
    return f"deb {mirror} {suite} {components}\ndeb {mirror} {suite}-backports {components}\n"


def _pin(recipe: Recipe) -> str:
    suite, names = recipe.data["suite"], recipe.data["backports"]
    return f"Package: {names}\nPin: release n={suite}-backports\nPin-Priority: 900\n"


def _mode() -> str:
    if os.getuid() == 0:
        return "root"
    if not shutil.which("newuidmap"):
        raise LabError(
            "an ordinary user needs newuidmap to build the image",
            "install the package uidmap, or build as root with PEERDMA_CACHE naming a directory "
            "that you can read",
        )
    return "unshare"


def _contained() -> list[str]:
    """As root: mounts nobody else sees, and processes that all end with the first."""
    if os.getuid() != 0:
        return []
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--"]


def _mmdebstrap_args(recipe: Recipe, mirror: str, work: Path) -> list[str]:
    (work / "sources.list").write_text(_sources(recipe, mirror), encoding="utf-8")
    (work / "pin").write_text(_pin(recipe), encoding="utf-8")
    args = [
        *_contained(), "mmdebstrap", f"--mode={_mode()}", "--variant=minbase", "--verbose",
        "--format=tar", "--architectures=amd64",
        '--aptopt=Apt::Install-Recommends "false"', "--dpkgopt=force-unsafe-io",
        f"--setup-hook=upload {work}/pin /etc/apt/preferences.d/backports",
        f"--customize-hook={recipe.customize}",
    ]  # fmt: skip
    args += [f"--dpkgopt=path-exclude={p}" for p in ["/usr/share/doc/*", *recipe.data["leave_out"]]]
    args += [f"--dpkgopt=path-include=/usr/share/doc/{p}/*" for p in recipe.data["keep_documents"]]
    args += [f"--include={','.join(recipe.packages)}"]
    return [*args, recipe.data["suite"], str(work / "root.tar"), str(work / "sources.list")]


def _bootstrap(recipe: Recipe, mirror: str, work: Path, progress: Progress) -> None:
    if not shutil.which("mmdebstrap"):
        raise LabError(
            "mmdebstrap is not installed",
            "scripts/deps.sh installs it; or apt-get install mmdebstrap",
        )
    env = dict(
        os.environ,
        READY_MODULES=" ".join(recipe.data["ready_modules"]),
        DEBIAN_FRONTEND="noninteractive",
    )
    if os.getuid() == 0:
        # Everything of an interrupted build lies in one place. Other users' builders could not
        # enter it.
        env["TMPDIR"] = str(work)
    counter = PackageCounter()
    tail: list[str] = []
    parent = os.getpid()
    with subprocess.Popen(
        _mmdebstrap_args(recipe, mirror, work),
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        preexec_fn=lambda: die_with(parent, END),
    ) as process:
        assert process.stdout
        try:
            for line in process.stdout:
                tail = [*tail[-14:], line]
                counter.feed(line)
                progress.update(counter.text())
        except BaseException:
            process.send_signal(END)
            raise
    if process.returncode:
        raise LabError(
            "mmdebstrap failed; its last lines:\n" + "".join(tail),
            "is the Debian mirror reachable?",
        )


def _kernel_release(tar: tarfile.TarFile) -> str:
    releases = sorted(
        m.name.removeprefix(KERNEL_PREFIX)
        for m in tar
        if m.name.startswith(KERNEL_PREFIX) and m.isfile()
    )
    if not releases:
        raise LabError("the image has no kernel")
    return releases[-1]


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
        release = _kernel_release(tar)
        progress.line(f"kernel {release}; taking QEMU out")
        _copy_out(tar, f"./boot/vmlinuz-{release}", result / "vmlinuz")
        _copy_out(tar, f"./boot/config-{release}", result / "config")
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
    work = Path(tempfile.mkdtemp(prefix=TEMP_PREFIX, dir=images))
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
        _remove(work)


def ensure(cache: Path, recipe: Recipe, mirror: str | None = None, rebuild: bool = False) -> Image:
    """The image of this recipe, built when there is none."""
    image = None if rebuild else find(cache, recipe)
    if image:
        return image
    if platform.machine() != "x86_64":
        raise LabError(f"the lab runs on x86_64 hosts only, this is {platform.machine()}")
    images = cache / "images"
    progress = Progress("image")
    with _lock(images, progress):
        _remove_interrupted(images)
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
    with _lock(images, Progress("image")):
        _remove_interrupted(images)
        for path in images.iterdir():
            if path.is_dir() and path.name != keep.hash:
                shutil.rmtree(path)
                removed.append(path.name)
    return removed
