#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""peerdma pins and peerdma limit, against what a provider without memory was told to do."""

import errno
import json
import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import peerdma_dev as dev
from peerdma_dev import ATTACH, CPU, EXPORT, IMPORT, Test, in_child, refused

PEERDMA = f"{os.environ['PEERDMA_BUILD']}/cli/peerdma"
MEGA = 1 << 20
GROUPS = Path("/sys/fs/cgroup")
NOBODY = pwd.getpwnam("nobody").pw_uid


def run(*words: str, status: int = 0) -> str:
    done = subprocess.run([PEERDMA, *words], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == status, f"{words}: {done.returncode}, not {status}: {said}"
    return said


def pins(*words: str) -> list[dict]:
    return json.loads(run("pins", "--json", *words))["pins"]


def limits(*words: str) -> list[tuple]:
    rows = json.loads(run("limit", "--json", *words))["limits"]
    return [(r["scope"], r["name"], r["used"], r["limit"], r["refused"]) for r in rows]


def without_the_module() -> None:
    for words in (("pins",), ("limit",), ("limit", "set", "--user", "nobody", "1M"),
                  ("limit", "clear", "--user", "0")):  # fmt: skip
        said = run(*words, status=20)
        assert "peerdma is not loaded: try modprobe peerdma\n" in said, said
    dev.insert("peerdma", "peerdma_test")


def what_is_pinned() -> None:
    assert run("pins") == "No pins of device memory.\n"
    test = Test()
    provider = test.add()
    home = GROUPS / "job"
    home.mkdir()
    in_child(lambda: test.charge(provider, CPU, 3 * MEGA) and None, NOBODY, str(home))
    export = test.charge(provider, EXPORT, 2 * MEGA)
    attach = test.charge(provider, ATTACH, 2 * MEGA, importer=dev.OTHER)
    test.charge(provider, IMPORT, 2 * MEGA, 2, dev.OTHER, attach)
    test.ask(dev.SET_HELD, provider, size=8192, parent=export)
    rows = pins()
    assert [(p["kind"], p["bytes"], p["user"], p["importer"]) for p in rows] == [
        ("cpu-mapping", 3 * MEGA, "nobody", None),
        ("export", 2 * MEGA, "root", None),
        ("attachment", 2 * MEGA, "root", dev.OTHER),
        ("import", 2 * MEGA, "root", dev.OTHER),
        ("held", 8192, "root", None),
    ], rows
    assert {p["exporter"] for p in rows} == {dev.SLOT}
    assert [p["process_gone"] for p in rows] == [True] + [False] * 4
    assert [p["revocable"] for p in rows] == [False, False, False, True, False]
    assert rows[0]["cgroup"] == "/job" and rows[1]["pid"] == os.getpid(), rows[:2]
    assert rows[1]["command"] == Path("/proc/self/comm").read_text().strip()
    text = run("pins").splitlines()
    assert len(text) == 6 and "KIND" in text[0], text
    for word in ("cpu-mapping", "3M", dev.SLOT, "cpu", "nobody", "/job", "process gone"):
        assert word in text[1], (word, text[1])
    assert [p["kind"] for p in pins("--user", "nobody")] == ["cpu-mapping"]
    assert len(pins("--device", dev.OTHER[5:])) == 2 and len(pins("-d", dev.SLOT)) == 5

    def as_nobody() -> None:
        (mine,) = pins()
        assert (mine["user"], mine["bytes"]) == ("nobody", 3 * MEGA)
        assert [row[:3] for row in limits()][0] == ("user", "nobody", 3 * MEGA)

    in_child(as_nobody, NOBODY)
    home.rmdir()
    assert pins()[0]["cgroup"] == f"(id {pins()[0]['cgroup_id']})"
    test.close()
    assert not pins() and not limits()


def limits_by_name() -> None:
    test = Test()
    provider = test.add()
    job = GROUPS / "job"
    job.mkdir()
    number = job.stat().st_ino
    run("limit", "set", "--user", "nobody", "4M")
    run("limit", "set", "--cgroup", "/job", "1M")
    run("limit", "set", "--cgroup", str(job), "2M")

    def charge() -> None:
        test.charge(provider, CPU, 2 * MEGA)
        with refused(errno.EDQUOT):
            test.charge(provider, CPU, MEGA)

    in_child(charge, NOBODY, str(job))
    assert limits("--user", str(NOBODY)) == [("user", "nobody", 2 * MEGA, 4 * MEGA, 0)]
    assert limits("-g", "job") == [("cgroup", "/job", 2 * MEGA, 2 * MEGA, 1)]
    assert limits("show") == [
        ("user", "nobody", 2 * MEGA, 4 * MEGA, 0), ("cgroup", "/", 2 * MEGA, None, 0),
        ("cgroup", "/job", 2 * MEGA, 2 * MEGA, 1),
    ]  # fmt: skip
    text = run("limit").splitlines()
    assert text[1].split() == ["user", "nobody", "2M", "4M", "0"], text
    test.close()
    job.rmdir()
    assert limits()[-1] == ("cgroup", f"(id {number})", 0, 2 * MEGA, 1)
    run("limit", "clear", "--cgroup", f"id:{number}")
    run("limit", "clear", "-u", "nobody")
    assert run("limit") == "Nobody uses device memory, and no limit is set.\n"


def says(text: str, *words: str, status: int) -> None:
    said = run(*words, status=status)
    assert text in said, f"{words}: '{text}' is not in: {said}"


def mistakes() -> None:
    says("no limit is set", "limit", "clear", "--user", "nobody", status=1)
    says("no such user", "limit", "set", "--user", "nobodyelse", "1M", status=1)
    says("no such control group", "limit", "set", "--cgroup", "/none", "1M", status=1)
    says("no such control group", "limit", "set", "--cgroup", "/cgroup.procs", "1M", status=1)
    says("no such control group", "limit", "set", "--cgroup", "id:123456789", "1M", status=1)
    says("not both", "limit", "--user", "0", "--cgroup", "/", status=2)
    says("needs --user or --cgroup", "limit", "set", "1M", status=2)
    says("needs a size", "limit", "set", "--user", "0", status=2)
    says("K, M, G or T", "limit", "set", "--user", "0", "much", status=2)
    says("is show, set or clear", "limit", "get", status=2)
    says("one argument too many", "limit", "clear", "1M", "--user", "0", status=2)

    def as_nobody() -> None:
        says("sudo", "limit", "set", "--user", "nobody", "1M", status=1)
        says("sudo", "limit", "--user", "0", status=1)

    in_child(as_nobody, NOBODY)
    assert not limits()


TESTS: list[Callable[[], None]] = [without_the_module, what_is_pinned, limits_by_name, mistakes]


def main() -> int:
    dev.mount("cgroup2", str(GROUPS))
    failed = dev.run_tests(TESTS)
    dev.remove("peerdma_test", "peerdma")
    return failed


sys.exit(main())
