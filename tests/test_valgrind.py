# SPDX-License-Identifier: BSD-2-Clause
"""Hosted programs under valgrind: it takes no switch of goroutines and no preemption for an error, and says of an error
in which function of a goroutine it is."""
import functools
import re
import subprocess

from lib import machine
from lib.machine import Failure
from lib.programs import HostTest

FOUND = 99
REQUEST = bytes.fromhex('48c1c703 48c1c70d 48c1c73d 48c1c733')  # how a program speaks to valgrind
CLEAN = [('chan', ()), ('select', ()), ('preempt', ('-sleeper_beside_hogs',))]


def valgrind(test, program, *args):
    with open(machine.image_path(program, 'hosted'), 'rb') as image:
        if REQUEST not in image.read():
            raise Failure("build/hosted was made before valgrind's headers were there: remove it, and run this again")
    # fair: or the thread that waits for another, spinning, keeps the one lock
    command = ['env', f'GUMP_HARTS={test.harts}', 'PART=10', 'valgrind', '-q', '--fair-sched=yes',
               f'--error-exitcode={FOUND}', machine.image_path(program, 'hosted'), *args]
    test.command = ' '.join(command)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=test.patience(120))
    test.output = done.stdout.decode(errors='replace')
    return done.returncode


def clean(test, program, args):
    if (status := valgrind(test, program, *args)) != 0:
        raise Failure(f'exit status {status}')


def found(test):
    status = valgrind(test, 'reads_beyond')
    if status != FOUND or not re.search(r'Invalid read of size 1\n.* reads_beyond \(', test.output):
        raise Failure(f'exit status {status}: no report of reads_beyond()')


def tests():
    return [HostTest(f'valgrind.{program}', functools.partial(clean, program=program, args=args), 'hosted', 4)
            for program, args in CLEAN] + [HostTest('valgrind.reads_beyond', found, 'hosted', 4)]
