#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/pyverbs.md from tests/pyverbs/expected.json: table.py > docs/pyverbs.md"""

import sys
from collections import Counter
from pathlib import Path

from expected import Expected, load_expected

HERE = Path(__file__).resolve().parent

HEAD = """<!-- SPDX-License-Identifier: MIT -->
<!-- Written by tests/pyverbs/table.py from tests/pyverbs/expected.json. -->
# rdma-core's test suite on the NIC model

rdma-core tests its user land with a suite of its own, in Python over pyverbs. The lab runs it whole
and unmodified, as Debian ships it in `/usr/share/doc/rdma-core/tests`, with the stock kernel, stock
driver and stock libraries, on one NIC model:

```
lab/peerdma-lab test rdma_core
```

runs every case and compares it with the table below. A case that does anything else than what the
table says fails the test; so do a case that the table does not know or that is gone, one that takes
more than three minutes, a warning of the guest's kernel, a port that is not active afterwards and a
queue pair that is left. `make test` runs it with the other guest tests.

The suite finds what it asks for: IPoIB up with an address, huge pages, scapy. The cases that drive
the NIC from user space get it bound to vfio-pci after all others. To run some cases by hand:

```
lab/peerdma-lab run -t switch-iommu --modules ib_ipoib,rdma_ucm,ib_umad,vfio_pci -o DIR -- \\
    python3 /peerdma/source/tests/guest/rdma_core.py PATTERN...
```

`DIR/artefacts/a` then has the suite's own output and the results as JSON. After a change in what a
case does, edit `tests/pyverbs/expected.json` and run `tests/pyverbs/table.py > docs/pyverbs.md`.
"""


def module(name: str) -> str:
    return name.split(".")[1]


def short(name: str) -> str:
    return ".".join(name.split(".")[1:])


def totals(table: dict[str, Expected]) -> list[str]:
    count = Counter((module(n), e.verdict) for n, e in table.items())
    lines = ["| file | pass | skip | fail |", "|---|---:|---:|---:|"]
    for file in sorted({module(n) for n in table}):
        numbers = [str(count[file, v] or "") for v in ("pass", "skip", "fail")]
        lines.append(f"| {file} | {' | '.join(numbers)} |")
    verdicts = Counter(e.verdict for e in table.values())
    numbers = [str(verdicts[v]) for v in ("pass", "skip", "fail")]
    lines.append(f"| **all {len(table)}** | {' | '.join(numbers)} |")
    return lines


def reasons(table: dict[str, Expected], verdict: str) -> list[str]:
    lines = ["| cases | why |", "|---|---|"]
    for reason in dict.fromkeys(e.reason for e in table.values() if e.verdict == verdict):
        names = sorted(short(n) for n, e in table.items()
                       if e.verdict == verdict and e.reason == reason)
        lines.append(f"| {', '.join(names)} | {reason} |")
    return lines


def passes(table: dict[str, Expected]) -> list[str]:
    names = sorted(n for n, e in table.items() if e.verdict == "pass")
    lines = ["| file | cases |", "|---|---|"]
    for file in sorted({module(n) for n in names}):
        cases = [n.split(".")[-1].removeprefix("test_") for n in names if module(n) == file]
        lines.append(f"| {file} | {', '.join(cases)} |")
    return lines


def document(table: dict[str, Expected]) -> str:
    parts = [HEAD, "## Counts", *totals(table)]
    for verdict, title in (("fail", "## Failures"), ("skip", "## Skips")):
        if any(e.verdict == verdict for e in table.values()):
            parts += ["", title, "", *reasons(table, verdict)]
    parts += ["", "## Passes", "", *passes(table)]
    return "\n".join(parts).replace("## Counts\n", "## Counts\n\n") + "\n"


if __name__ == "__main__":
    sys.stdout.write(document(load_expected(HERE / "expected.json")))
