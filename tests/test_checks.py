# SPDX-License-Identifier: BSD-2-Clause
"""The build with checks: some programs with one seed each, every time another; that each check notices what it is
for; and that with one hart and time counted in instructions a seed repeats a schedule exactly.

`tests/run --checks --seeds N` is the long form, tests/stress the longest.
"""
import os
import re

from lib import machine
from lib.machine import ARCH, Failure
from lib.programs import Boot, HostTest, lines

PROGRAMS = ['chan', 'select', 'sync', 'timers', 'wakeups']
NOTICED = {  # what tests/breaks.c does: what the machine says to it
    'out_of_order': r'lock order: channel \S+ is wanted while sched.lock \S+ is held',
    'taken_twice': r'lock order: sched.lock \S+ is wanted again by its holder',
    'without_a_rank': r'lock order: \S+ has no rank',
    'not_held': r'lock order: channel \S+ is released, but not held here',
    'kept_over_a_switch': r'lock order: channel \S+ is held at the start of a goroutine',
    'g_without_such_a_change': r'state: goroutine \d+ from running to idle: there is no such change',
    'g_is_in_another_state': r'state: goroutine \d+ is running, to go from waiting to runnable',
    'p_without_the_lock': r'state: P \d from running to idle: sched.lock is not held',
    'm_without_the_lock': r'state: M \d from working to idle: sched.lock is not held',
    'lost_wake_up': r'lost wake-up: 0 goroutines wait in the global queue, 1 in that of P \d, and M \d sleeps',
}
ICOUNT = ['--qemu-arg', '-icount', '--qemu-arg', 'shift=0,sleep=off']
BREAKS = os.path.join('tests', 'breaks.c')


class CheckedTest(HostTest):
    checks = True
    source = BREAKS

    def run_breaks(self, name, seed, options=()):
        image = machine.image_path('breaks', ARCH[self.machine_name], True)
        with self.boot(image, args=[name], env=[f'GUMPDEBUG=seed={seed}'], options=list(options)) as boot:
            return boot.wait(), boot.text


def noticed(test):
    for name, says in NOTICED.items():
        status, text = test.run_breaks(name, 0)
        if status != 2 or not re.search('fatal: ' + says, text):
            raise Failure(f'{name} is not noticed: exit status {status}')


def repeats(test):
    schedules = []
    for seed in 1, 2, 3, 4, 1, 2:
        status, text = test.run_breaks('schedule_of_ten', seed, ICOUNT)
        found = re.search(r'^order .*', text, re.MULTILINE)
        if status != 0 or not found:
            raise Failure(f'exit status {status}')
        schedules.append(found[0])
    if schedules[:2] != schedules[4:]:
        raise Failure(f'a seed does not repeat: {schedules}')
    if len(set(schedules)) < 2:
        raise Failure('all seeds make the same schedule')


def tests():
    found = [CheckedTest('checks.notice', noticed, name, 2) for name in ('virt', 'q35', 'hosted')]
    found += [CheckedTest('checks.repeat', repeats, name, 1) for name in ('virt', 'q35')]
    for program in PROGRAMS:
        source = os.path.join('tests', program + '.c')
        for name in 'virt', 'q35':
            boot = Boot(source, lines(source)[0], name, 4, with_checks=True)
            boot.name = 'checks.' + program
            found.append(boot)
    return found
