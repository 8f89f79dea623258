# SPDX-License-Identifier: MIT
"""Does a kernel have what the lab needs?"""

from pathlib import Path

from .errors import LabError


def parse(text: str) -> dict[str, str]:
    options = {}
    for line in text.splitlines():
        name, sep, value = line.partition("=")
        if sep and name.startswith("CONFIG_"):
            options[name[7:]] = value
    return options


def missing(options: dict[str, str], needed: dict[str, str]) -> list[tuple[str, str]]:
    """Pairs of option and what it is for. 'A|B' in @needed is met by either."""
    return [
        (name, purpose)
        for name, purpose in needed.items()
        if not any(options.get(alternative) in ("y", "m") for alternative in name.split("|"))
    ]


def verify(config: Path, needed: dict[str, str]) -> None:
    absent = missing(parse(config.read_text(encoding="utf-8", errors="replace")), needed)
    if absent:
        names = ", ".join(f"CONFIG_{name} ({purpose})" for name, purpose in absent)
        raise LabError(f"the kernel of {config.name} lacks {names}", "use a kernel that has it")
