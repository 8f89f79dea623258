#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Two nodes joined by a cable. Node b serves, node a asks; each reports its side."""

import os
import subprocess
import sys
import time
from collections.abc import Callable

NODE = os.environ["NODE"]
ADDRESS = {"a": "10.88.0.1", "b": "10.88.0.2"}
PEER = ADDRESS["b" if NODE == "a" else "a"]
LIMIT = 90.0


def run(*argv: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT, check=False)


def must(*argv: str) -> str:
    done = run(*argv)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def until(*argv: str) -> str:
    """The peer may not be as far yet."""
    end = time.monotonic() + LIMIT
    while True:
        done = run(*argv)
        if done.returncode == 0:
            return done.stdout
        said = f"{' '.join(argv)}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert time.monotonic() < end, said
        time.sleep(0.1)


def ipoib() -> None:
    must("ip", "addr", "replace", f"{ADDRESS[NODE]}/24", "dev", "ib0")
    must("ip", "link", "set", "ib0", "up")
    until("ping", "-c", "1", "-W", "1", PEER)
    must("ping", "-c", "5", "-i", "0.2", "-M", "do", "-s", "1900", PEER)


def serve_and_ask(server: list[str], client: list[str]) -> Callable[[], None]:
    def both() -> None:
        if NODE == "b":
            must(*server)
        else:
            until(*client)

    return both


PEER_B = ADDRESS["b"]
TESTS: dict[str, Callable[[], None]] = {
    "ipoib": ipoib,
    "rping": serve_and_ask(
        ["rping", "-s", "-a", PEER_B, "-V", "-C", "20"],
        ["rping", "-c", "-a", PEER_B, "-V", "-C", "20"],
    ),
    "rc_pingpong": serve_and_ask(
        ["ibv_rc_pingpong", "-e", "-c", "-n", "50", "-p", "18515"],
        ["ibv_rc_pingpong", "-e", "-c", "-n", "50", "-p", "18515", PEER_B],
    ),
    "ud_pingpong": serve_and_ask(
        ["ibv_ud_pingpong", "-e", "-c", "-n", "50", "-p", "18516"],
        ["ibv_ud_pingpong", "-e", "-c", "-n", "50", "-p", "18516", PEER_B],
    ),
}


def main() -> int:
    print(f"1..{len(TESTS)}")
    for number, (name, test) in enumerate(TESTS.items(), start=1):
        try:
            test()
            print(f"ok {number} - {name}", flush=True)
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            for line in str(error).splitlines():
                print(f"# {line}")
            print(f"not ok {number} - {name}", flush=True)
            # The other node is not in step any more.
            print("Bail out! the nodes are out of step")
            return 1
    return 0


sys.exit(main())
