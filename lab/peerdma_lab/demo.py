# SPDX-License-Identifier: MIT
"""peerdma-lab demo: the guest program of the demonstration, in one lab after the other."""

import json
from dataclasses import dataclass

from .errors import LabError
from .paths import lab_data


@dataclass(frozen=True)
class Demo:
    topologies: list[str]
    command: list[str]


def load() -> Demo:
    data = json.loads((lab_data() / "demo.json").read_text(encoding="utf-8"))
    try:
        return Demo(data["topologies"], data["command"])
    except KeyError as error:
        raise LabError(f"demo.json has no {error}") from None
