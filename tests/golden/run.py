#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Golden tests: peerdma on machines as text (tree.py), compared with what it said before.

    run.py PEERDMA [--update] [NAME...]

NAME.tree names its commands in lines that begin with "$"; NAME.out has what they print and their
exit status. A change of output is reviewed as a change of NAME.out. Prints TAP.
"""

import difflib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))

import tree  # noqa: E402

# Every cause that /design names is shown by some tree: 1 to 25.
CAUSES = set(range(1, 26))


def run(peerdma: str, words: list[str], root: str) -> tuple[str, int]:
    env = {**os.environ, "LC_ALL": "C.UTF-8", "TERM": "dumb"}
    command = [peerdma, words[0], "--sysroot", root, *words[1:]]
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False, timeout=60, encoding="utf-8")
    lines = [line.rstrip() for line in done.stdout.replace(root, "TREE").splitlines()]
    return "\n".join(lines), done.returncode


def causes_of(peerdma: str, root: str, words: list[str]) -> set[int]:
    text, _ = run(peerdma, [*words, "--json"], root)
    found: set[int] = set()
    answer = json.loads(text)
    for entry in answer.get("findings", []):
        found.add(entry["cause_number"])
    for entry in answer.get("directions", []):
        found.add(entry["predicted"]["cause_number"])
    return found


def transcript(peerdma: str, text: str, root: str) -> tuple[str, set[int]]:
    pieces, causes = [], set()
    for words in tree.commands(text):
        output, status = run(peerdma, words, root)
        pieces.append(f"$ peerdma {' '.join(words)}\n{output}\nexit {status}\n")
        if words[0] in ("check", "doctor") and status in (0, 1, 20) and "--json" not in words:
            causes |= causes_of(peerdma, root, words)
    return "# SPDX-License-Identifier: MIT\n" + "\n".join(pieces), causes


def compare(name: str, got: str, update: bool) -> str:
    path = HERE / f"{name}.out"
    if update:
        path.write_text(got, encoding="utf-8")
    want = path.read_text(encoding="utf-8") if path.exists() else ""
    return "\n".join(difflib.unified_diff(want.splitlines(), got.splitlines(), f"{name}.out",
                                          "now", lineterm=""))


def main() -> int:
    args = sys.argv[1:]
    update = "--update" in args
    peerdma, *names = [arg for arg in args if arg != "--update"]
    names = names or sorted(path.stem for path in HERE.glob("*.tree"))
    failed, seen = 0, set()
    print(f"1..{len(names) + 1}")
    for number, name in enumerate(names, 1):
        text = (HERE / f"{name}.tree").read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory(prefix="peerdma-golden-") as directory:
            root = f"{directory}/tree"
            os.mkdir(root)
            tree.unpack(text, pathlib.Path(root))
            got, causes = transcript(peerdma, text, root)
        seen |= causes
        difference = compare(name, got, update)
        failed += bool(difference)
        print(f"{'not ok' if difference else 'ok'} {number} - {name}")
        for line in difference.splitlines():
            print(f"# {line}")
    missing = sorted(CAUSES - seen) if len(names) > 1 else []
    failed += bool(missing)
    print(f"{'not ok' if missing else 'ok'} {len(names) + 1} - every cause is shown by a tree")
    if missing:
        print(f"# not shown: {missing}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
