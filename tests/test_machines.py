# SPDX-License-Identifier: BSD-2-Clause
"""Machines that differ from the usual ones: other processors, firmware, sizes of memory."""
import os
import subprocess
import time

from lib import machine
from lib.machine import ARCH, Failure
from lib.programs import HostTest

OPENSBI = '/usr/lib/riscv64-linux-gnu/opensbi/generic/'

# More than the host has: QEMU takes the pages that are touched only.
RESERVE_NONE = ['-object', 'memory-backend-ram,id=ram,size=64G,reserve=off',
                '-machine', 'memory-backend=ram']

# name, machine, harts, memory, further arguments for QEMU
VARIANTS = [
    ('little-memory', 'virt', 4, '16M', []),
    ('little-memory', 'q35', 4, '16M', []),
    ('little-memory', 'microvm', 4, '16M', []),
    ('much-memory', 'virt', 4, '64G', RESERVE_NONE),
    ('much-memory', 'q35', 4, '64G', RESERVE_NONE),
    ('much-memory', 'microvm', 4, '64G', RESERVE_NONE),
    ('no-sstc', 'virt', 4, None, ['-cpu', 'rv64,sstc=off']),
    ('qemu64', 'q35', 4, None, ['-cpu', 'qemu64']),
    ('qemu64', 'microvm', 4, None, ['-cpu', 'qemu64']),
    ('one-thread', 'virt', 4, None, ['-accel', 'tcg,thread=single']),
    ('one-thread', 'q35', 4, None, ['-accel', 'tcg,thread=single']),
    ('no-acpi', 'microvm', 4, None, ['-machine', 'acpi=off']),
    ('sockets', 'q35', 4, None, ['-smp', '4,sockets=2,cores=2']),
] + [(file[:-4], 'virt', 4, None, ['-bios', OPENSBI + file])
     for file in ('fw_dynamic.bin', 'fw_jump.bin') if os.path.exists(OPENSBI + file)]


def boots(test, memory, arguments, program='hello', args=()):
    options = [word for argument in arguments for word in ('--qemu-arg', argument)]
    with test.boot(machine.image_path(program, ARCH[test.machine_name]), mem=memory, args=args,
                   options=options) as boot:
        if (status := boot.wait()) != 0:
            raise Failure(f'exit status {status}')
        if program == 'hello' and f'4 greetings, {test.harts} harts\n' not in boot.text:
            raise Failure('not all greetings')


def too_old(test):
    """Devices that speak virtio's old language get one clear message, and are left alone."""
    with test.boot(machine.image_path('ports', ARCH[test.machine_name]), net='user',
                   publish=[f'{machine.free_port()}:7'], timeout=20,
                   options=['--qemu-arg', '-global', '--qemu-arg',
                            'virtio-mmio.force-legacy=true']) as boot:
        boot.wait_for('force-legacy=false')


def says(test, program, said, arguments, status=None, memory=None):
    """What cannot work is named in one message, and ends the machine if it cannot do without."""
    with test.boot(machine.image_path(program, ARCH[test.machine_name]), net='user', timeout=20, mem=memory,
                   publish=[f'{machine.free_port()}:7'],
                   options=[word for argument in arguments for word in ('--qemu-arg', argument)]) as boot:
        if status is None:
            boot.wait_for(said)
        elif boot.wait() != status or said not in boot.text:
            raise Failure(f'not "{said}" and status {status}')


def switches_itself_off(test):
    """By ACPI: `qemu/run` ends machines by another way, which tells a status."""
    image = machine.image_path('hello', ARCH[test.machine_name])
    command = ['qemu-system-x86_64', '-machine', test.machine_name, '-cpu', 'max', '-smp', str(test.harts),
               '-m', '64M', '-nodefaults', '-display', 'none', '-serial', 'stdio', '-kernel', image]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          encoding='utf-8', timeout=test.patience(20), check=False)
    if done.returncode != 0 or 'greetings' not in done.stdout:
        raise Failure(f'status {done.returncode}:\n{done.stdout}')


def clock_without_a_reference(test):
    """Neither a PIT nor a PM timer: a second is a second all the same."""
    with test.boot(machine.image_path('a_second', ARCH[test.machine_name]),
                   options=['--qemu-arg', '-machine', '--qemu-arg', 'pit=off']) as boot:
        boot.wait_for('begins\n')
        start = time.monotonic()
        boot.wait_for('ends\n')
        took = time.monotonic() - start
        if 'neither a PIT nor a PM timer' not in boot.text:
            raise Failure('there is a clock to measure by')
        if took < 0.5:  # what the host is late in reading is less than that
            raise Failure(f'a second took {took:.3f} s')


def tests():
    return ([HostTest('machine.' + name, lambda test, m=memory, a=arguments: boots(test, m, a),
                      where, harts) for name, where, harts, memory, arguments in VARIANTS]
            + [HostTest('machine.too-old', too_old, name, 2) for name in ('virt', 'microvm')]
            + [HostTest('machine.no-fp', lambda test: says(test, 'hello', 'rv64gc', ['-cpu', 'rv64,f=off,d=off'], 2),
                        'virt', 1),
               HostTest('machine.vector', lambda test: says(test, 'vector', 'fatal: illegal instruction',
                                                            ['-cpu', 'rv64,v=true'], 2), 'virt', 2),
               *(HostTest('machine.switches-itself-off', switches_itself_off, name, 2) for name in ('q35', 'microvm')),
               HostTest('machine.no-plic', lambda test: says(test, 'ports', 'without aia=', ['-machine', 'aia=aplic-imsic']),
                        'virt', 2),
               HostTest('machine.no-memory', lambda test: says(test, 'hello', 'fatal: no memory for', [], 2, '2M'),
                        'microvm', 16),
               HostTest('machine.no-reference', clock_without_a_reference, 'microvm', 1)])
