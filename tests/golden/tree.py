#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Machines as text: captured by "peerdma topo --save", or typed from what is known of real ones.

    tree.py pack DIR > NAME.tree      a capture as text
    tree.py unpack NAME.tree DIR      a text as the tree that --sysroot takes

Lines of a .tree file; what follows "|" on the next lines belongs to the line before:

    # comment                     $ words: a command the golden test runs on the tree
    file PATH                     text, a line each
    hex PATH                      config space: "OFFSET: hexadecimal bytes", the rest is zero;
                                  "= LENGTH" first
    link PATH TARGET              symbolic link
    dir PATH
    system KEY=VALUE...           kernel, cpu, family, model, bits, virtual=1, options=A,-B
    function BDF KEY=VALUE...     a PCI function, see function.py
"""

import os
import pathlib
import shlex
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import function  # noqa: E402


def write(root: pathlib.Path, path: str, data: bytes) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)


def config_bytes(lines: list[str]) -> bytes:
    data = bytearray(int(lines[0].removeprefix("=")))
    for line in lines[1:]:
        offset, _, digits = line.partition(":")
        piece = bytes.fromhex(digits)
        data[int(offset, 16):int(offset, 16) + len(piece)] = piece
    return bytes(data)


def unpack_line(root: pathlib.Path, words: list[str], body: list[str]) -> None:
    kind, path = words[0], words[1]
    if kind == "file":
        write(root, path, "".join(line + "\n" for line in body).encode())
    elif kind == "hex":
        write(root, path, config_bytes(body))
    elif kind == "link":
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).symlink_to(words[2])
    elif kind == "dir":
        (root / path).mkdir(parents=True, exist_ok=True)
    else:
        raise SystemExit(f"tree.py: '{kind}' is no line of a .tree file")


def items(text: str) -> list[tuple[list[str], list[str]]]:
    found: list[tuple[list[str], list[str]]] = []
    for line in text.splitlines():
        if line.startswith("|"):
            found[-1][1].append(line[1:].removeprefix(" "))
        elif line.strip() and line[0] not in "#$":
            found.append((shlex.split(line), []))
    return found


def commands(text: str) -> list[list[str]]:
    return [shlex.split(line[1:]) for line in text.splitlines() if line.startswith("$")]


def unpack(text: str, root: pathlib.Path) -> None:
    machine = function.Machine()
    for words, body in items(text):
        if words[0] == "system":
            machine.system(words[1:])
        elif words[0] == "function":
            machine.function(words[1], words[2:])
        else:
            unpack_line(root, words, body)
    for path, data in machine.files():
        write(root, path, data)
    for path, target in machine.links():
        unpack_line(root, ["link", path, target], [])


def pack_config(data: bytes) -> list[str]:
    lines = [f"= {len(data)}"]
    for offset in range(0, len(data), 32):
        piece = data[offset:offset + 32].rstrip(b"\0")
        if piece:
            lines.append(f"{offset:03x}: {piece.hex()}")
    return lines


def pack_one(root: pathlib.Path, path: pathlib.Path) -> list[str]:
    name = path.relative_to(root).as_posix()
    if path.is_symlink():
        return [f"link {name} {os.readlink(path)}"]
    if path.is_dir():
        return [] if any(path.iterdir()) else [f"dir {name}"]
    data = path.read_bytes()
    if path.name == "config":
        return [f"hex {name}", *(f"| {line}" for line in pack_config(data))]
    lines = data.decode().splitlines()
    return [f"file {name}", *(f"| {line}".rstrip() for line in lines)]


def pack(root: pathlib.Path) -> str:
    lines: list[str] = []
    for directory, names, files in os.walk(root):
        names.sort()
        for name in sorted(names + files):
            path = pathlib.Path(directory, name)
            if path.is_symlink() or not path.is_dir() or not any(path.iterdir()):
                lines += pack_one(root, path)
    return "\n".join(lines) + "\n"


def main() -> int:
    if len(sys.argv) == 3 and sys.argv[1] == "pack":
        sys.stdout.write("# SPDX-License-Identifier: MIT\n" + pack(pathlib.Path(sys.argv[2])))
        return 0
    if len(sys.argv) == 4 and sys.argv[1] == "unpack":
        root = pathlib.Path(sys.argv[3])
        root.mkdir()
        unpack(pathlib.Path(sys.argv[2]).read_text(encoding="utf-8"), root)
        return 0
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main())
