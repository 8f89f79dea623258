#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Mistakes in calls of pins and limit, which are told before the module is asked.

    pins_check.py PEERDMA
"""

import subprocess
import sys

PEERDMA = sys.argv[1]
# Words of the command, exit status, and what it says.
MISTAKES = [
    (("pins", "--user", "no such user"), 1, "there is no such user"),
    (("pins", "now"), 2, "takes no arguments"),
    (("limit", "get"), 2, "is show, set or clear"),
    (("limit", "set", "1M"), 2, "needs --user or --cgroup"),
    (("limit", "clear"), 2, "needs --user or --cgroup"),
    (("limit", "set", "--user", "0"), 2, "needs a size, such as 4G"),
    (("limit", "set", "--user", "0", "1X"), 2, "K, M, G or T"),
    (("limit", "set", "--user", "0", "1M", "2M"), 2, "one argument too many"),
    (("limit", "show", "1M"), 2, "one argument too many"),
    (("limit", "clear", "--user", "0", "1M"), 2, "one argument too many"),
    (("limit", "--user", "0", "--cgroup", "/"), 2, "one of them, not both"),
    (("limit", "--user", "18446744073709551616"), 1, "there is no such user"),
    (("limit", "--cgroup", "/no/such/group"), None, "/no/such/group: "),
]


def main() -> int:
    failed = 0
    print(f"1..{len(MISTAKES)}")
    for number, (words, status, text) in enumerate(MISTAKES, 1):
        done = subprocess.run([PEERDMA, *words], capture_output=True, text=True, check=False)
        # Without cgroup2 a group is not possible here, with it there is no such group.
        good = done.returncode == status if status is not None else done.returncode in (1, 20)
        good = good and text in done.stderr and not done.stdout
        failed += not good
        print(f"{'ok' if good else 'not ok'} {number} - {' '.join(words)}")
        if not good:
            print(f"# status {done.returncode}, {done.stderr}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
