# SPDX-License-Identifier: MIT
"""The table of what each case of rdma-core's test suite does on the NIC model."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Expected:
    verdict: str  # pass, skip, fail
    said: str = ""  # part of what the suite itself says when it skips or fails
    reason: str = ""  # why that is right: for people


def load_expected(path: Path) -> dict[str, Expected]:
    """By name of the case. Empty when there is no file yet."""
    if not path.exists():
        return {}
    data = json.loads(path.read_text(encoding="utf-8"))
    reasons = data["reasons"]
    table = {name: Expected("pass") for name in data["pass"]}
    for verdict in ("skip", "fail"):
        for key, groups in data[verdict].items():
            for said, names in groups.items():
                table |= {n: Expected(verdict, said, reasons[key]) for n in names}
    return table
