#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Captured machines in one file: there and back, and archives somebody made to do harm.

    capture_check.py PEERDMA GOLDEN    GOLDEN: tests/golden, with machines as text
"""

import gzip
import io
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable

PEERDMA, GOLDEN = sys.argv[1], pathlib.Path(sys.argv[2])
MACHINE = tempfile.TemporaryDirectory()
TREE = pathlib.Path(MACHINE.name) / "tree"
FORMS = (".tar.gz", ".tgz", ".tar.zst", ".tar")


def run(here: pathlib.Path, *words: str, status: int = 0) -> str:
    """All it said. Nothing may stay in the directory for temporary files."""
    tmp = here / "tmp"
    tmp.mkdir(exist_ok=True)
    env = {**os.environ, "LC_ALL": "C.UTF-8", "TMPDIR": str(tmp)}
    done = subprocess.run(
        [PEERDMA, *words], capture_output=True, text=True, check=False, timeout=60, env=env
    )
    said = done.stdout + done.stderr
    assert done.returncode == status, f"{words}: {done.returncode}, not {status}\n{said}"
    assert not list(tmp.iterdir()), list(tmp.iterdir())
    return said


def there_and_back(here: pathlib.Path) -> None:
    for way in (["topo"], ["topo", "--matrix"], ["doctor"], ["list", "--json"]):
        wanted = subprocess.run(
            [PEERDMA, *way, "--sysroot", str(TREE)], capture_output=True, text=True, check=False
        )
        for form in FORMS:
            file = here / f"m{form}"
            if not file.exists():
                run(here, "topo", "--save", str(file), "--sysroot", str(TREE))
            said = run(here, *way, "--sysroot", str(file), status=wanted.returncode)
            assert said == wanted.stdout + wanted.stderr, (way, form, said)


def as_tar_makes_it(here: pathlib.Path) -> None:
    """Of the directory, and of what is in it."""
    wanted = run(here, "topo", "--sysroot", str(TREE))
    for words in ([TREE.name], ["-C", TREE.name, "."], ["-C", TREE.name, "sys", "proc"]):
        file = here / "m.tar.gz"
        subprocess.run(["tar", "-C", TREE.parent, "-czf", file, *words], check=True)
        assert run(here, "topo", "--sysroot", str(file)) == wanted, words


def a_file_that_is_there(here: pathlib.Path) -> None:
    file = here / "m.tar.gz"
    file.write_text("mine")
    said = run(here, "topo", "--save", str(file), "--sysroot", str(TREE), status=1)
    assert "File exists" in said and file.read_text() == "mine", said


def no_archive(here: pathlib.Path) -> None:
    file = here / "m.tar.gz"
    for content in (b"", b"GIF89a", gzip.compress(b"hello")[:-4], os.urandom(4096)):
        file.write_bytes(content)
        said = run(here, "topo", "--sysroot", str(file), status=1)
        assert said.startswith(f"peerdma: {file}: "), said
    run(here, "topo", "--save", str(here / "whole.tar.gz"), "--sysroot", str(TREE))
    whole = (here / "whole.tar.gz").read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert "damaged" in run(here, "topo", "--sysroot", str(file), status=1)


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def expect_refused(here: pathlib.Path, why: str) -> None:
    said = run(here, "topo", "--sysroot", str(here / "evil.tar.gz"), status=1)
    assert said.count("\n") == 1 and why in said, (why, said)
    assert not (here / "outside").exists()


def refuse(here: pathlib.Path, why: str, *entries: tarfile.TarInfo, data: bytes = b"x") -> None:
    file = here / "evil.tar.gz"
    with tarfile.open(file, "w:gz", compresslevel=1) as archive:
        for info in entries:
            info.size = len(data) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(data) if info.isreg() else None)
    expect_refused(here, why)


def ways_out(here: pathlib.Path) -> None:
    target = str(here / "outside")
    refuse(here, "out of it", entry("../outside"))
    refuse(here, "out of it", entry("sys/../../outside"))
    refuse(here, "out of it", entry("sys/.."))
    refuse(here, "absolute", entry(target))
    for link in (target, "/", "..", "../sys", "sys/..", "", "a/../../.."):
        refuse(here, "leads out", entry("link", tarfile.SYMTYPE, link))
    refuse(here, "leads out", entry("a/b/link", tarfile.SYMTYPE, "../../../outside"))
    # Each of them stays inside, and together they would not.
    refuse(here, "leads out", entry("a/b/c", tarfile.DIRTYPE), entry("x", tarfile.SYMTYPE, "a/b/c"),
           entry("y", tarfile.SYMTYPE, "x/../../.."))
    refuse(here, "no directory", entry("sys", tarfile.DIRTYPE),
           entry("link", tarfile.SYMTYPE, "sys"), entry("link/file"))
    refuse(here, "no directory", entry("file"), entry("file/file"))


def what_is_no_file(here: pathlib.Path) -> None:
    for kind in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE):
        refuse(here, "neither file", entry("sys/thing", kind))
    refuse(here, "hard link", entry("sys/one"), entry("sys/two", tarfile.LNKTYPE, "sys/one"))
    refuse(here, "cannot be made", entry("twice"), entry("twice"))
    refuse(here, "cannot be made", entry("twice", tarfile.DIRTYPE), entry("twice"))
    refuse(here, "no directory before", entry("link", tarfile.SYMTYPE, "sys"),
           entry("link", tarfile.DIRTYPE))
    refuse(here, "leads out of it, or too deep", entry("/".join("d" * 40) + "/file"))
    refuse(here, "'?[31m?' is", entry("\x1b[31m\n", tarfile.FIFOTYPE))


def too_much(here: pathlib.Path) -> None:
    refuse(here, "too large", entry("big"), data=bytes((1 << 20) + 1))
    # Made of the same compressed pieces over and over: that is how one gets large.
    file = here / "evil.tar.gz"
    mega = gzip.compress(bytes(1 << 20))
    with file.open("wb") as out:
        for i in range(129):
            info = entry(f"f{i}")
            info.size = 1 << 20
            out.write(gzip.compress(info.tobuf()) + mega)
    expect_refused(here, "too large")
    file.write_bytes(201 * gzip.compress(1000 * entry("sys", tarfile.DIRTYPE).tobuf()))
    expect_refused(here, "too many")


TESTS: list[Callable[[pathlib.Path], None]] = [
    there_and_back, as_tar_makes_it, a_file_that_is_there, no_archive, ways_out, what_is_no_file,
    too_much,
]


def main() -> int:
    failed = 0
    text = GOLDEN / "lab-switch-iommu.tree"
    subprocess.run([sys.executable, GOLDEN / "tree.py", "unpack", text, TREE], check=True)
    print(f"1..{len(TESTS)}")
    for number, test in enumerate(TESTS, 1):
        with tempfile.TemporaryDirectory() as here:
            try:
                test(pathlib.Path(here))
                print(f"ok {number} - {test.__name__}", flush=True)
            except (AssertionError, OSError, subprocess.SubprocessError) as error:
                failed += 1
                for line in str(error).splitlines():
                    print(f"# {line}")
                print(f"not ok {number} - {test.__name__}", flush=True)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
