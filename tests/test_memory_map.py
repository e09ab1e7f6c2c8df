# SPDX-License-Identifier: BSD-2-Clause
"""The memory map of GUMPDEBUG=memory: ranges that meet, each somebody's, with QEMU's -m as their sum."""
import re

from lib import machine
from lib.machine import ARCH, MACHINES, Failure
from lib.programs import HostTest

LINE = re.compile(r'^memory: 0x([0-9a-f]+) +(\d+) (.*?)\r?$', re.MULTILINE)
TOTAL = re.compile(r'^memory: total +(\d+)\r?$', re.MULTILINE)
OWNERS = {'image: text', 'image: rodata', 'image: data', 'image: bss', 'page tables', 'page map', 'free', 'heap',
          'stacks', "harts' blocks and trap stacks"}
OF_MACHINE = {'virt': {'firmware', 'device tree'}, 'q35': {'below 1 MiB', 'firmware'}, 'microvm': {'below 1 MiB'}}


def check(text, name, megabytes):
    ranges = [(int(base, 16), int(size), owner) for base, size, owner in LINE.findall(text)]
    at = 0
    for base, size, owner in ranges:
        if base < at or size == 0:
            raise Failure(f'{owner} at {base:#x} begins in what is before it')
        at = base + size
    missing = (OWNERS | OF_MACHINE[name]) - {owner for _, _, owner in ranges}
    if missing:
        raise Failure(f'nothing is of: {missing}')
    unused = sum(size for _, size, owner in ranges if owner == 'unused')
    if unused >= 4 * 4096:
        raise Failure(f'{unused} bytes are nobody\'s')
    total = sum(size for _, size, _ in ranges)
    said = TOTAL.findall(text)
    if total != megabytes << 20 or said != [str(total)]:
        raise Failure(f'{total} bytes in the ranges, {said} it says, and {megabytes} MiB is {megabytes << 20}')


def memory_map(test, megabytes):
    image = machine.image_path('accounts', ARCH[test.machine_name])
    with test.boot(image, mem=f'{megabytes}M', env=['GUMPDEBUG=memory'], args=['sums']) as boot:
        if boot.wait() != 0:
            raise Failure('no PASS')
        check(boot.text, test.machine_name, megabytes)


def tests():
    found = [HostTest(f'memory_map.{megabytes}M', lambda test, m=megabytes: memory_map(test, m), name, harts)
             for name in MACHINES for megabytes, harts in ((32, 1), (129, 2), (512, 4), (5120, 16))]
    for test in found:
        test.source = 'tests/accounts.c'
    return found
