# SPDX-License-Identifier: MIT
"""scripts/check.sh finds what it promises: a violation of each rule is planted in a small tree."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest
import unittest.mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
COPIED = ("scripts/check.sh", "scripts/codespell-ignore.txt", ".clang-format", "meson.build",
          "meson_options.txt", "scripts/errnos.py")
C_LICENCE = "/* SPDX-License-Identifier: MIT */\n"
HW_LICENCE = "/* SPDX-License-Identifier: GPL-2.0-only OR MIT */\n"
HASH_LICENCE = "# SPDX-License-Identifier: MIT\n"

# A tree that breaks no rule.
GOOD = {
    "include/hw/good.h": HW_LICENCE + "#pragma once\n#include <stdint.h>\n\n"
                                      "struct good {\n\tuint32_t id;\n};\n",
    "util/good.h": C_LICENCE + "int util_good(void);\n",
    "util/good.c": C_LICENCE + '#include "util/good.h"\n\nint util_good(void)\n{\n\treturn 1;\n}\n',
    "util/meson.build": HASH_LICENCE + "util_lib = static_library('util', 'good.c',\n"
                                       "  dependencies: inc_dep)\n",
    "tests/good.py": HASH_LICENCE + "import os\n\nprint(os.name)\n",
    "docs/good.md": "<!-- SPDX-License-Identifier: MIT -->\n[code](../util/good.c)\n",
    "docs/good.rst": ".. SPDX-License-Identifier: MIT\n\nTitle\n=====\n",
    "tool": "#!/bin/sh\n" + HASH_LICENCE + "echo \"$1\"\n",
}

# rule, file, contents, what the complaint must contain
PLANTED = [
    ("whitespace", "util/bad.c", C_LICENCE + "int x; \n", "util/bad.c:2"),
    ("whitespace", "docs/bad.md", "no end", "docs/bad.md: no newline"),
    ("whitespace", "tests/bad.py", "if 1:\n\tpass\n", "tests/bad.py:2"),
    ("whitespace", "util/crlf.h", "int x;\r\n", "util/crlf.h:1"),
    ("width", "util/bad.c", "\t/* " + "x" * 90 + " */\n", "util/bad.c:1: 104 columns"),
    ("width", "tests/bad.py", "# " + "x" * 99 + "\n", "101 columns"),
    ("spdx", "util/bad.c", "int x;\n", "util/bad.c:1: licence is ''"),
    ("spdx", "kernel/bad.c", C_LICENCE, "must be 'GPL-2.0-only'"),
    ("spdx", "include/hw/bad.h", C_LICENCE, "must be 'GPL-2.0-only OR MIT'"),
    ("spdx", "bad", "#!/bin/sh\necho\n", "bad:1"),
    ("spdx", "util/late.c", "\n\n" + C_LICENCE, "util/late.c:1"),
    ("format", "util/bad.c", C_LICENCE + "int  x;\n", "+int x;"),
    ("format", "util/bad.c", C_LICENCE + "int f(void)\n{\n    return 1;\n}\n", "+\treturn 1;"),
    ("length", "util/bad.c", C_LICENCE * 801, "util/bad.c: 801 lines"),
    ("length", "util/bad.c", "int f(void)\n{\n" + "\tg();\n" * 61 + "}\n", "function of 61 lines"),
    ("length", "tests/bad.py", "def f():\n" + "    g()\n" * 60, "f has 61 lines"),
    ("includes", "util/bad.c", '#include "hw/good.h"\n', "util/bad.c:1: hw/good.h"),
    ("includes", "util/bad.c", '#include "../include/hw/good.h"\n', "util/bad.c:1"),
    ("includes", "util/bad.c", "# include <json-c/json.h>\n", "json-c/json.h"),
    ("includes", "include/hw/bad.h", "#include <stdio.h>\n", "stdio.h"),
    ("includes", "models/accel/bad.c", '#include "models/nic/x.h"\n', "models/nic/x.h"),
    ("includes", "lib/bad.c", '#include "models/nic/x.h"\n', "models/nic/x.h"),
    ("includes", "tests/proto/bad.c", '#include "hw/good.h"\n', "hw/good.h"),
    ("headers", "include/hw/bad.h", "struct s {\n\tuint32_t x;\n};\n", "unknown type"),
    ("headers", "include/peerdma/bad.h", "#pragma once\nint f(int class);\n",
     "include/peerdma/bad.h:2:7"),
    ("headers", "util/bad.h", "enum twice { A };\n", "redeclaration"),
    ("shell", "bad.sh", "#!/bin/sh\necho $1\n", "SC2086"),
    ("shell", "bad", "#!/bin/bash\necho $1\n", "SC2086"),
    ("python", "tests/bad.py", "def f(:\n", "tests/bad.py:1"),
    ("python", "tests/bad.py", "import os\n", "imported but unused"),
    ("python", "bad", "#!/usr/bin/env python3\nimport numpy\nnumpy.x()\n", "numpy is not in"),
    ("spelling", "docs/bad.md", "This is t" + "eh end.\n", "docs/bad.md:1"),
    ("docs", "docs/bad.md", "[gone](nowhere.c)\n", "link to nowhere.c"),
    ("docs", "docs/bad.rst", "Long title\n=====\n", "Title underline too short"),
    ("gcc", "util/good.c", "int util_good(int x)\n{\n\tint y;\n\treturn x;\n}\n",
     "unused variable"),
    ("clang", "util/good.c", "int util_good(void)\n{\n\treturn 1;\n}\n", "no previous prototype"),
    ("errnos", "include/uapi/peerdma/bad.h",
     HW_LICENCE + "/*\n * EIO\tbroken\n */\nstruct bad {\n};\n", "EIO of bad has no test"),
    ("errnos", "tests/guest/errnos.txt", "bad.h bad EIO gone.c:test\n", "is not documented"),
    ("errnos", "tests/guest/errnos.txt", "bad.h bad EIO gone.c:test\n", "there is no tests/guest"),
    ("names", "util/good.c", "int good(void);\nint good(void)\n{\n\treturn 1;\n}\n", ": good"),
]


class CheckTest(unittest.TestCase):
    """Each test has a tree of its own."""

    def setUp(self) -> None:
        self.tree = pathlib.Path(tempfile.mkdtemp(prefix="peerdma-check-"))
        self.addCleanup(shutil.rmtree, self.tree)
        for name in COPIED:
            self.put(name, (ROOT / name).read_text(encoding="utf-8"))
            shutil.copymode(ROOT / name, self.tree / name)
        for name, text in GOOD.items():
            self.put(name, text)

    def put(self, name: str, text: str) -> None:
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")

    def check(self, *args: str) -> subprocess.CompletedProcess[str]:
        env = {k: v for k, v in os.environ.items() if k != "PEERDMA_BUILD"} | {"LC_ALL": "C"}
        return subprocess.run([self.tree / "scripts/check.sh", *args], env=env, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False)

    def test_good_tree_passes_all_rules(self) -> None:
        result = self.check()
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertNotIn("not ok", result.stdout)
        self.assertIn("\nok 16 - errnos", result.stdout)

    def test_every_rule_has_a_planted_violation(self) -> None:
        listed = {line.split()[0] for line in self.check("--list").stdout.splitlines()}
        self.assertEqual(listed, {rule for rule, *_ in PLANTED} | {"kernel"})

    def test_planted_kernel(self) -> None:
        """The modules themselves with a function that each of the four checkers dislikes."""
        for folder in ("kernel", "include/uapi", "lab"):
            shutil.copytree(ROOT / folder, self.tree / folder)
        with open(self.tree / "kernel/peerdma/main.c", "a", encoding="utf-8") as module:
            module.write("int pdk_planted(int __user *p)\n{\n\tif(*p)\n"
                         "\t\treturn 1;\n\treturn 0;\n}\n")
        result = self.check("kernel")
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        for complaint in ("# gcc-.*no previous prototype", "# clang: .*no previous prototype",
                          "# sparse: .*dereference of noderef", "# .*ERROR:SPACING"):
            self.assertRegex(result.stdout, complaint)

    def test_unknown_rule_is_a_usage_error(self) -> None:
        self.assertEqual(self.check("nonsense").returncode, 2)

    def test_ignored_files_are_not_checked(self) -> None:
        subprocess.run(["git", "init", "-q"], cwd=self.tree, check=True)
        self.put(".gitignore", HASH_LICENCE + "/junk/\n")
        self.put("junk/bad.c", "int x; ")
        result = self.check("whitespace", "spdx")
        self.assertEqual(result.returncode, 0, result.stdout)

    def test_git_that_refuses_hides_nothing(self) -> None:
        subprocess.run(["git", "init", "-q"], cwd=self.tree, check=True)
        self.put("bin/git", "#!/bin/sh\nexit 128\n")
        (self.tree / "bin/git").chmod(0o755)
        self.put("util/bad.c", "int x; \n")
        with unittest.mock.patch.dict(os.environ, PATH=f"{self.tree}/bin:{os.environ['PATH']}"):
            result = self.check("whitespace")
        self.assertIn("util/bad.c:1", result.stdout)
        self.assertEqual(result.returncode, 1)

    def test_nothing_to_check_is_a_failure(self) -> None:
        self.put("bin/git", "#!/bin/sh\ntrue\n")
        (self.tree / "bin/git").chmod(0o755)
        self.put(".git", "")
        with unittest.mock.patch.dict(os.environ, PATH=f"{self.tree}/bin:{os.environ['PATH']}"):
            result = self.check("whitespace")
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertIn("Bail out!", result.stdout)

    def test_format_rewrites(self) -> None:
        self.put("util/bad.c", C_LICENCE + "int  x;\n")
        self.assertEqual(self.check("--format").returncode, 0)
        self.assertEqual((self.tree / "util/bad.c").read_text(), C_LICENCE + "int x;\n")


def planted_test(rule: str, name: str, text: str, complaint: str):
    def test(self: CheckTest) -> None:
        self.put(name, text)
        result = self.check(rule)
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        self.assertIn(f"not ok 1 - {rule}\n", result.stdout)
        self.assertIn(complaint, result.stdout)
    return test


for number, planted in enumerate(PLANTED, 1):
    setattr(CheckTest, f"test_planted_{number:02}_{planted[0]}", planted_test(*planted))

if __name__ == "__main__":
    unittest.main()
