#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Power that fails: the write cache is gone, the medium stays."""

import argparse
import sys
import tempfile
import threading

from fabric import ask
from nvme_lib import CTRL, Direct, bind, disk, model, pattern, reset_controller, state, wait_live
from programs import run, wait_for
from tap import tap

MIB = 1 << 20
SIZE = 256 * 1024


def cut() -> None:
    """Power fails at the next command, and comes back with the driver's reset."""
    cuts = model()["power_cuts"]
    ask("fault", "disk0", point="nvme.power.cut", action="drop", count=1)
    with Direct(disk()) as drive:
        victim = threading.Thread(target=drive.read, args=(900 * MIB, 4096))
        victim.start()
        wait_for("the cut", lambda: model()["power_cuts"] == cuts + 1)
        assert state()["state"] == "failed"
        reset_controller()
        wait_live()
        victim.join(timeout=60)
        assert not victim.is_alive(), "the command that met the cut never came back"


def unflushed_is_lost() -> None:
    old, new, kept = pattern(SIZE, 1), pattern(SIZE, 2), pattern(SIZE, 3)
    with Direct(disk()) as drive:
        drive.write(0, old)
        drive.write(MIB, kept)
        drive.flush()
        lost = model()["cache.bytes_lost"]
        drive.write(0, new)
        assert drive.read(0, SIZE) == new
        cut()
        assert drive.read(0, SIZE) == old, "it came back as it was before, or never was"
        assert drive.read(MIB, SIZE) == kept, "flushed data is gone"
        assert model()["cache.bytes_lost"] == lost + SIZE


def flushed_survives() -> None:
    data = pattern(4 * MIB, 4)
    with Direct(disk()) as drive:
        drive.write(2 * MIB, data)
        drive.flush()
        cut()
        assert drive.read(2 * MIB, len(data)) == data


def fua_survives() -> None:
    """A write with FUA is durable, its neighbour in the same page is not."""
    with Direct(disk()) as drive, tempfile.NamedTemporaryFile() as file:
        drive.write(8 * MIB, pattern(8192, 5))
        drive.flush()
        file.write(pattern(4096, 6))
        file.flush()
        before = model()
        where = ["-s", str(8 * MIB // 512), "-c", "7", "-z", "4096", "-d", file.name]
        run("nvme", "write", disk(), "--force-unit-access", *where)
        after = model()
        assert after["io.flush"] == before["io.flush"], "a flush instead of FUA"
        assert after["media.syncs"] == before["media.syncs"] + 1
        drive.write(8 * MIB + 4096, pattern(4096, 7))
        cut()
        assert drive.read(8 * MIB, 4096) == pattern(4096, 6)
        assert drive.read(8 * MIB + 4096, 4096) == pattern(8192, 5)[4096:]


def without_cache_all_survives() -> None:
    run("nvme", "set-feature", CTRL, "-f", "6", "-V", "0")
    with Direct(disk()) as drive:
        drive.write(16 * MIB, pattern(SIZE, 8))
        cut()
        assert drive.read(16 * MIB, SIZE) == pattern(SIZE, 8)


def shutdown_writes_back() -> None:
    """Unbinding shuts the controller down in order."""
    with Direct(disk()) as drive:
        drive.write(20 * MIB, pattern(SIZE, 9))
    bind("unbind")
    bind("bind")
    wait_live()
    lost = model()["cache.bytes_lost"]
    cut()
    assert model()["cache.bytes_lost"] == lost
    with Direct(disk()) as drive:
        assert drive.read(20 * MIB, SIZE) == pattern(SIZE, 9)


REST = pattern(MIB - 4096, 10)


def stamped(seed: int) -> bytes:
    """A MiB that is quickly made."""
    return pattern(4096, seed) + REST


def more_than_the_cache() -> None:
    """Of 96 MiB the cache of 64 cannot hold all; each piece is the old or the new one, whole."""
    n = 96
    with Direct(disk()) as drive:
        for i in range(n):
            drive.write((100 + i) * MIB, stamped(1000 + i))
        drive.flush()
        for i in range(n):
            drive.write((100 + i) * MIB, stamped(2000 + i))
        cut()
        new = 0
        for i in range(n):
            data = drive.read((100 + i) * MIB, MIB)
            assert data in (stamped(1000 + i), stamped(2000 + i)), i
            new += data == stamped(2000 + i)
        assert n - 64 <= new < n, new


def smart_counts() -> None:
    log = run("nvme", "smart-log", CTRL)
    cuts = model()["power_cuts"]
    line = next(one for one in log.splitlines() if one.startswith("unsafe_shutdowns"))
    assert int(line.split(":")[1]) >= cuts > 0, log


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help="names of cases")
    args = parser.parse_args()
    wait_live()
    tests = {
        "unflushed_is_lost": unflushed_is_lost,
        "flushed_survives": flushed_survives,
        "fua_survives": fua_survives,
        "without_cache_all_survives": without_cache_all_survives,
        "shutdown_writes_back": shutdown_writes_back,
        "more_than_the_cache": more_than_the_cache,
        "smart_counts_unsafe_shutdowns": smart_counts,
    }
    return tap({k: v for k, v in tests.items() if not args.only or k in args.only})


if __name__ == "__main__":
    sys.exit(main())
