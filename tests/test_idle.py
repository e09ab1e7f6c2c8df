# SPDX-License-Identifier: BSD-2-Clause
"""A machine with nothing to do sleeps: its QEMU takes next to none of the host's time."""
import os
import tempfile
import time

from lib import machine
from lib.machine import ARCH, MACHINES, TREE, Failure
from lib.network import UserNet
from lib.programs import HostTest

SECONDS, PERCENT = 2.0, 2.0


def cpu_seconds(pid):
    with open(f'/proc/{pid}/stat', encoding='ascii') as file:
        fields = file.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def measure(boot):
    pid = boot.qemu_pid()
    time.sleep(0.5)
    before = cpu_seconds(pid)
    time.sleep(SECONDS)
    percent = (cpu_seconds(pid) - before) / SECONDS * 100
    boot.text += f'{percent:.1f} % of a host core\n'
    if percent > PERCENT:
        raise Failure(f'an idle machine takes {percent:.1f} % of a host core')


def sleeping(test):
    image = machine.image_path('idle', ARCH[test.machine_name])
    with test.boot(image) as boot:
        boot.wait_for('idle now')
        measure(boot)
        if boot.wait() != 0:
            raise Failure('the machine did not wake up well')


def serving(test):
    image = machine.image_path('http', ARCH[test.machine_name])
    with UserNet([80]) as net, test.boot(image, net=net.net, publish=net.publish) as boot:
        boot.wait_for('listening')
        time.sleep(3)  # DHCP
        measure(boot)


def deadlines(test, *args):
    """A deadline at every instruction of the way into sleep: tests/deadlines.c."""
    image = machine.image_path('deadlines', ARCH[test.machine_name])
    options = ['--qemu-arg', '-icount', '--qemu-arg', 'shift=0,sleep=off']
    with test.boot(image, args=args, options=options) as boot:
        if boot.wait() != 0:
            raise Failure('no PASS')


def uninterrupted(test, env=()):
    """A machine with nothing to do takes no interrupt, the timer's included."""
    image = machine.image_path('idle', ARCH[test.machine_name])
    with tempfile.NamedTemporaryFile(dir=os.path.join(TREE, 'build')) as log:
        options = ['--qemu-arg', '-d', '--qemu-arg', 'int', '--qemu-arg', '-D', '--qemu-arg', log.name]
        with test.boot(image, options=options, env=env) as boot:
            boot.wait_for('idle now')
            time.sleep(1)
            before = os.path.getsize(log.name)
            time.sleep(SECONDS)
            after = os.path.getsize(log.name)
            if boot.wait() != 0:
                raise Failure('the machine did not wake up well')
        if before == 0 or os.path.getsize(log.name) == after:
            raise Failure('QEMU logs no interrupts')
        if after != before:
            log.seek(before)
            raise Failure('an idle machine is interrupted: ' + log.read(200).decode(errors='replace'))


def tests():
    found = [HostTest('idle.sleeping', sleeping, name, n, waits=True) for name in MACHINES for n in (1, 4)]
    if os.path.exists(os.path.join(TREE, 'examples/http.c')):
        found += [HostTest('idle.serving', serving, name, 4, waits=True) for name in MACHINES]
    own = [HostTest('idle.uninterrupted', uninterrupted, name, n, waits=True) for name in MACHINES for n in (1, 4)]
    own += [HostTest('idle.uninterrupted.two_ps', lambda test: uninterrupted(test, ['GOMAXPROCS=2']), name, 4,
                     waits=True) for name in MACHINES]
    for test in own:
        test.source = 'tests/idle.c'
    clocked = [HostTest('idle.deadlines', deadlines, name, 1) for name in MACHINES]
    # OpenSBI does not start a second hart in a time that counts instructions.
    clocked += [HostTest('idle.deadlines.locked', lambda test: deadlines(test, 'locked'), name, 2)
                for name in ('q35', 'microvm')]
    for test in clocked:
        test.source = 'tests/deadlines.c'
    return found + own + clocked
