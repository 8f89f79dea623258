# SPDX-License-Identifier: MIT
"""Makes the package of the launcher importable."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "lab"))
