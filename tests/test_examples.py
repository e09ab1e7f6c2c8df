# SPDX-License-Identifier: BSD-2-Clause
"""The examples print what their comments say."""
import re

from lib import machine
from lib.machine import ARCH, MACHINES, Failure
from lib.programs import HostTest


def boot(test, name, *args, env=(), harts=4):
    image = machine.image_path(name, ARCH[test.machine_name])
    with test.boot(image, harts=harts, args=args, env=env) as run:
        if (status := run.wait()) != 0:
            raise Failure(f'exit status {status}')
        # What qemu/run says comes first; firmware ends in a line of its own.
        return run.text


def hello(test):
    text = boot(test, 'hello', harts=test.harts)
    greeted = set(re.findall(r'^hello from goroutine (\d) on hart \d+$', text, re.MULTILINE))
    if greeted != set('0123') or f'4 greetings, {test.harts} harts\n' not in text:
        raise Failure('not the four greetings')


def zero_one(test):
    for procs in '1', '2':
        text = boot(test, 'zero-one', '300', env=['GOMAXPROCS=' + procs])
        digits = re.findall(r'[01]{300,}', text)
        if not digits or digits[-1].count('0') != 300 or digits[-1].count('1') != 300:
            raise Failure(f'not 300 of each digit at GOMAXPROCS={procs}')
        if procs == '1' and '1' * 20 not in digits[-1]:
            raise Failure('no rows of 1 at GOMAXPROCS=1')


def hogs(test):
    text = boot(test, 'hogs', '2', env=['GOMAXPROCS=1'])
    found = re.search(r'(\d+) wake-ups, average (\d+) us late, at most (\d+) us', text)
    if not found:
        raise Failure('no averages')
    if int(found[2]) > 20000:
        raise Failure(f'woke {found[2]} us late on average, not 20000 at most')


def tests():
    return ([HostTest('example.hello', hello, name, n) for name in (*MACHINES, 'hosted') for n in (1, 2, 4, 16)]
            + [HostTest('example.zero-one', zero_one, name, 4) for name in (*MACHINES, 'hosted')]
            + [HostTest('example.hogs', hogs, name, 4, alone=True) for name in (*MACHINES, 'hosted')])
