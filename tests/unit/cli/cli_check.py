#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What holds for every command of peerdma: help, options, errors, completion, man page.

    cli_check.py PEERDMA SOURCE-DIRECTORY
"""

import os
import pathlib
import re
import subprocess
import sys

PEERDMA, SOURCE = sys.argv[1], pathlib.Path(sys.argv[2])
# Without a man page of their own: explained by peerdma(1).
SMALL = {"help", "completion"}
COMMON = {"--json", "--color", "--help"}

failures: list[str] = []


def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PEERDMA, *words], capture_output=True, text=True, check=False,
                          timeout=60, env={**os.environ, "LC_ALL": "C.UTF-8", **env})


def expect(what: str, got: object, want: object) -> None:
    if got != want:
        failures.append(f"{what}: {got!r}, not {want!r}")


def commands() -> list[str]:
    text = run("--help").stdout
    return re.findall(r"^  ([a-z]+) +\S", text.split("Commands:")[1].split("\n\n")[0], re.M)


def options(command: str) -> set[str]:
    text = run(command, "--help").stdout.split("Options:")[1].split("Exit status:")[0]
    return set(re.findall(r"^  (?:-\w, |    )(--[a-z-]+)", text, re.M))


def check_help(command: str) -> None:
    done = run(command, "--help")
    expect(f"status of {command} --help", done.returncode, 0)
    expect(f"stderr of {command} --help", done.stderr, "")
    expect(f"help command on {command}", run("help", command).stdout, done.stdout)
    expect(f"common options of {command}", COMMON - options(command), set())
    expect(f"width of the help of {command}",
           [line for line in done.stdout.splitlines() if len(line) > 100], [])


def check_mistakes(command: str) -> None:
    for words in ((command, "--no-such-option"), (command, "--color", "pink"),
                  (command, *["x"] * 40)):
        done = run(*words)
        if words[1] == "x" and done.returncode != 2 and command in ("serve", "watch", "dump"):
            continue  # takes any number of arguments
        expect(f"status of {words[:3]}", done.returncode, 2)
        expect(f"output of {words[:3]}", done.stdout, "")
        if not re.fullmatch(r"peerdma: [^\n]+: [^\n]+\n", done.stderr):
            failures.append(f"{words[:3]} says {done.stderr!r}")


def check_page(command: str) -> None:
    page = SOURCE / "docs/man" / f"peerdma-{command}.1.rst"
    if command in SMALL:
        return
    if not page.exists():
        failures.append(f"{command} has no man page")
        return
    text = page.read_text(encoding="utf-8")
    missing = {option for option in options(command) - COMMON
               if not re.search(rf"{option}\b", text)}
    expect(f"options that {page.name} lacks", missing, set())


def complete(script: str, *words: str) -> list[str]:
    """What bash offers for the last word."""
    quoted = " ".join(f"'{word}'" for word in ("peerdma", *words))
    code = (f"{script}\nCOMP_WORDS=({quoted})\nCOMP_CWORD={len(words)}\n_peerdma\n"
            'printf "%s\\n" "${COMPREPLY[@]}"\n')
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=False)
    expect(f"stderr of completion of {words}", done.stderr, "")
    return [line for line in done.stdout.splitlines() if line]


def check_completion(names: list[str]) -> None:
    script = run("completion", "bash").stdout
    expect("offered commands", sorted(complete(script, "")),
           sorted([*names, "--help", "--version"]))
    expect("offered colours", complete(script, "list", "--color", "a"), ["auto", "always"])
    expect("what limit offers", complete(script, "limit", "s"), ["show", "set"])
    expect("offered users", complete(script, "limit", "set", "--user", "roo"), ["root"])
    for command in names:
        expect(f"offered options of {command}", set(complete(script, command, "--")),
               options(command))
    expect("status for another shell", run("completion", "tcsh").returncode, 2)


def check_main() -> None:
    expect("status without a command", run().returncode, 2)
    expect("status of --version", run("--version").returncode, 0)
    expect("status of an unknown command", run("frobnicate").returncode, 2)
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([PEERDMA, "--help"], stdout=full, stderr=subprocess.PIPE, text=True,
                              check=False)
    expect("status when nothing can be written", done.returncode, 1)
    expect("its reason", done.stderr, "peerdma: standard output: cannot write\n")


def report(number: int, name: str) -> bool:
    print(f"{'not ok' if failures else 'ok'} {number} - {name}")
    for line in failures:
        print(f"# {line}")
    failed = bool(failures)
    failures.clear()
    return failed


def main() -> int:
    names = commands()
    print(f"1..{len(names) + 2}")
    failed = 0
    for number, command in enumerate(names, 1):
        check_help(command)
        check_mistakes(command)
        check_page(command)
        failed += report(number, f"{command}: help, mistakes, man page")
    check_completion(names)
    failed += report(len(names) + 1, "completion offers what there is")
    check_main()
    failed += report(len(names) + 2, "the program by itself")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
