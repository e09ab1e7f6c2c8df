# SPDX-License-Identifier: BSD-2-Clause
"""Device trees that are wrong: the machine works all the same, or ends with a clear message.

Never a hang, and never silence. OpenSBI reads the tree first; where it gives up itself, so that
gump is never entered, its own message counts. (Without cpus or a timebase, or with other cells for
addresses, it hangs without a word; and QEMU itself dies of a structure block beyond the end.)
"""
import os
import random
import struct
import subprocess
import tempfile

from lib import machine
from lib.fdt import Tree
from lib.machine import TREE, Failure
from lib.programs import HostTest

OPENSBI_GAVE_UP = 'init_coldboot', 'sbi_trap_error', 'hart failed'


def qemus_own():
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, 'virt.dtb')
        subprocess.run(['qemu-system-riscv64', '-machine', f'virt,dumpdtb={file}', '-smp', '2',
                        '-m', '256M', '-global', 'virtio-mmio.force-legacy=false', '-nodefaults',
                        '-display', 'none'], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        with open(file, 'rb') as blob:
            return blob.read()


def word(*values):
    return struct.pack(f'>{len(values)}I', *values)


# What is spoilt, and what must come of it: 'works', 'message', or 'either'.
def cases():
    def change(function):
        def changed(blob):
            tree = Tree(blob)
            function(tree)
            return bytes(tree.blob)
        return changed

    def size_of(end, size):
        return change(lambda tree: tree.set_size(tree.find(end), size))

    def value_of(end, *values):
        return change(lambda tree: tree.overwrite(tree.find(end), word(*values)))

    def without(end):
        return change(lambda tree: tree.remove(tree.find(end)))

    return [
        ('as it is', bytes, 'works'),
        ('no virtio devices', change(lambda tree: [tree.remove(node) for node in list(tree.nodes)
                                                   if '/virtio_mmio' in node]), 'works'),
        ('a virtio device at 0', value_of('/virtio_mmio@10008000:reg', 0, 0, 0, 0), 'either'),
        ('a virtio device of no size', value_of('/virtio_mmio@10008000:reg', 0, 0x10008000, 0, 0),
         'either'),
        ('a virtio device everywhere', value_of('/virtio_mmio@10006000:reg', 0, 0x10006000, 0x610000,
                                                0x1000), 'either'),
        ('half a reg', size_of('/virtio_mmio@10008000:reg', 6), 'either'),
        ('interrupt 4 billion', value_of('/virtio_mmio@10008000:interrupts', 0xffffffff), 'either'),
        ('no interrupt controller', without('/plic'), 'either'),
        ('a plic of no size', change(lambda tree: tree.overwrite(
            tree.find('/plic@c000000:reg'), word(0, 0xc000000, 0, 0))), 'either'),
        ('a plic that interrupts nobody', size_of('/plic@c000000:interrupts-extended', 4), 'either'),
        ('no chosen node', without('/chosen'), 'either'),
        ('no memory node', without('/memory'), 'message'),
        ('memory of no size', value_of('/memory@80000000:reg', 0, 0x80000000, 0, 0), 'message'),
        ('half a memory reg', size_of('/memory@80000000:reg', 7), 'message'),
        ('memory everywhere', value_of('/memory@80000000:reg', 0, 0x80000000, 0xffffffff,
                                       0xffffffff), 'either'),
        ('both cpus are one', value_of('/cpu@1:reg', 0), 'either'),
        ('a cpu with a huge number', value_of('/cpu@1:reg', 0x7fffffff), 'either'),
        ('a timebase of 0', value_of('/cpus:timebase-frequency', 0), 'message'),
        ('no serial port', without('/serial'), 'either'),
        ('not a tree', lambda blob: b'\0' * 64, 'either'),
        ('only a beginning', lambda blob: blob[:len(blob) // 3], 'either'),
        ('total size 4 GiB', lambda blob: blob[:4] + word(0xffffffff) + blob[8:], 'either'),
    ]


def boot(test, blob, expected, name):
    with tempfile.NamedTemporaryFile(prefix='gump-', suffix='.dtb') as file:
        file.write(blob)
        file.flush()
        with test.boot(machine.image_path('memory', 'riscv64'), machine='virt', harts=2,
                       args=['fine'], timeout=20,
                       options=['--qemu-arg', '-dtb', '--qemu-arg', file.name]) as run:
            try:
                status = run.wait()
            except Failure:
                if any(text in run.text for text in OPENSBI_GAVE_UP):
                    return
                raise Failure(f'{name}: neither works nor ends') from None
        works = status == 0 and 'PASS' in run.text
        says = status != 0 and ('fatal' in run.text or 'gump:' in run.text
                                or 'qemu-system' in run.text.split('\n', 1)[-1])
        if not (works and expected != 'message' or says and expected != 'works'):
            raise Failure(f'{name}: status {status}, and no clear message')


def spoilt(test, name, change, expected):
    boot(test, change(qemus_own()), expected, name)


def random_bytes(test):
    """Bytes changed at random in what describes devices, ten boots; the seed is fixed."""
    rng = random.Random(1)
    for number in range(10):
        tree = Tree(qemus_own())
        wanted = [name for name in tree.properties if 'virtio_mmio' in name or 'plic' in name
                  or 'pci' in name or 'rtc' in name or 'flash' in name or 'fw-cfg' in name]
        for _ in range(6):
            _, at, size = tree.properties[rng.choice(wanted)]
            if size:
                tree.blob[at + rng.randrange(size)] = rng.randrange(256)
        boot(test, bytes(tree.blob), 'either', f'random change {number}')


def beyond_reach(test):
    """RAM that Sv39 has no addresses for is nobody's."""
    tree = Tree(qemus_own())
    for name in tree.properties:
        if name.endswith(':mmu-type'):
            tree.overwrite(name, b'riscv,sv39\0')
    tree.overwrite(tree.find('/memory@80000000:reg'), word(0, 0x80000000, 75, 0))  # 300 GiB
    with tempfile.NamedTemporaryFile(prefix='gump-', suffix='.dtb') as file:
        file.write(tree.blob)
        file.flush()
        arguments = ['-dtb', file.name, '-object', 'memory-backend-ram,id=ram,size=300G,reserve=off',
                     '-machine', 'memory-backend=ram']
        options = [option for argument in arguments for option in ('--qemu-arg', argument)]
        with test.boot(machine.image_path('hello', 'riscv64'), mem='300G', env=['GUMPDEBUG=memory'],
                       options=options) as run:
            status = run.wait()
            if status != 0 or "beyond the page tables' reach" not in run.text:
                raise Failure(f'status {status}, and what is beyond 256 GiB is not told')


def tests():
    found = [HostTest('devicetree.' + name.replace(' ', '-'),
                      lambda test, c=case: spoilt(test, *c), 'virt', 2)
             for case in cases() for name in [case[0]]]
    return found + [HostTest('devicetree.random', random_bytes, 'virt', 2),
                    HostTest('devicetree.beyond-reach', beyond_reach, 'virt', 2)]
