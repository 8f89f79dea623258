# SPDX-License-Identifier: MIT
"""Which lines of a kernel log fail a run."""

import re
import pathlib
import sys
import unittest

LAB = pathlib.Path(__file__).resolve().parents[2] / "lab"
sys.path.insert(0, str(LAB))

from peerdma_lab import klog  # noqa: E402

ALARMS = """\
WARNING: drivers/pci/p2pdma.c:123 at pci_p2pdma_add_resource+0x1/0x2, CPU#0: modprobe/77
WARNING: CPU: 1 PID: 12 at mm/gup.c:55 try_grab_folio+0x3/0x9
WARNING: possible circular locking dependency detected
BUG: unable to handle page fault for address: ffffc90000000000
BUG: KASAN: slab-out-of-bounds in foo+0x1/0x2
BUG: soft lockup - CPU#0 stuck for 26s! [kworker]
BUG kmalloc-64 (Not tainted): Redzone overwritten
kernel BUG at mm/slub.c:434!
Oops: general protection fault, probably for non-canonical address 0xdead: 0000 [#1] SMP
Oops: 0002 [#1] PREEMPT SMP
Kernel panic - not syncing: sysrq triggered crash
INFO: task fio:99 blocked for more than 60 seconds.
rcu: INFO: rcu_preempt self-detected stall on CPU
UBSAN: shift-out-of-bounds in lib/foo.c:1:2
refcount_t: underflow; use-after-free.
list_del corruption. prev->next should be ffff, but was 0
WARNING: suspicious RCU usage
Out of memory: Killed process 12 (cat)
""".splitlines()
HARMLESS = """\
Freeing unused kernel image (initmem) memory: 4000K
nvme nvme0: Ignoring bogus Namespace Identifiers
Speculative Return Stack Overflow: WARNING is not what this line is
DMAR: IOMMU enabled
ACPI: bus type PCI registered
clocksource: tsc: mask: 0xffffffffffffffff
random: crng init done
printk: legacy console [ttyS0] enabled
vfio-pci 0000:04:00.0: resetting
test BUG-free: this is not a report
""".splitlines()


class Alarms(unittest.TestCase):
    def test_reports_are_alarms(self) -> None:
        for line in ALARMS:
            with self.subTest(line):
                self.assertTrue(klog.is_alarm(line))

    def test_ordinary_lines_are_not(self) -> None:
        for line in HARMLESS:
            with self.subTest(line):
                self.assertFalse(klog.is_alarm(line))


class Records(unittest.TestCase):
    def test_fields(self) -> None:
        raw = b"28,300,2500000,-;WARNING: a\\x09b\n SUBSYSTEM=pci\n"
        record = klog.parse_record(raw)
        self.assertEqual((record.level, record.seconds), (4, 2.5))
        self.assertEqual(record.text, "WARNING: a\tb")

    def test_nonsense_is_kept(self) -> None:
        for raw in (b"", b"nonsense", b"1;x", b"a,b,c;d", b"\xff\xfe"):
            klog.parse_record(raw)
        self.assertEqual(klog.parse_record(b"BUG: odd").text, "BUG: odd")


class Watching(unittest.TestCase):
    def test_log_and_console_count_once(self) -> None:
        watch = klog.Watch()
        watch.feed("WARNING: one")
        watch.feed_console("[    1.234567] WARNING: one\r\n[    1.3][   T12] BUG: two\r\n")
        self.assertEqual(watch.take(), ["WARNING: one", "BUG: two"])
        self.assertEqual(watch.take(), [])

    def test_allowed(self) -> None:
        watch = klog.Watch((re.compile("one$"),))
        self.assertFalse(watch.feed("WARNING: one"))
        self.assertTrue(watch.feed("WARNING: one more"))

    def test_fatal(self) -> None:
        watch = klog.Watch()
        watch.feed("WARNING: mild")
        self.assertFalse(watch.fatal)
        watch.feed("BUG: unable to handle page fault")
        self.assertTrue(watch.fatal)


if __name__ == "__main__":
    unittest.main()
