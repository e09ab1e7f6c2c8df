# SPDX-License-Identifier: BSD-2-Clause
"""The event trace: what the tests of the scheduler leave is checked; and the checker itself, on traces made wrong."""
import copy
import json
import os
import tempfile

from lib import machine, tracecheck
from lib.machine import ARCH, TREE, Failure
from lib.programs import HostTest

t = tracecheck.t
PROGRAMS = ['chan', 'select_stress', 'sync', 'sleep', 'procs']
EVENTS = 16384


def checked(name):
    def run(test):
        image = machine.image_path(name, ARCH[test.machine_name])
        with tempfile.NamedTemporaryFile(dir=os.path.join(TREE, 'build')) as ram:
            options = ['--qemu-arg', '-object', '--qemu-arg',
                       f'memory-backend-file,id=ram,mem-path={ram.name},share=on,size=256M',
                       '--qemu-arg', '-machine', '--qemu-arg', 'memory-backend=ram']
            with test.boot(image, env=[f'GUMPDEBUG=trace={EVENTS}'], options=options, timeout=60) as boot:
                if (status := boot.wait()) != 0:
                    raise Failure(f'exit status {status}')
            wrong, count = tracecheck.check(image, ram.name)
        boot.text += f'{count} events\n'
        if count < 1000:
            raise Failure(f'only {count} events')
        if wrong:
            raise Failure(f'{len(wrong)} contradictions in {count} events: ' + '; '.join(wrong[:5]))
    return run


def exported(test):
    """qemu/run --trace: a file as Perfetto reads it, with a row a hart, slices and arrows."""
    with tempfile.NamedTemporaryFile(dir=os.path.join(TREE, 'build'), suffix='.json') as out:
        image = machine.image_path('hello', ARCH[test.machine_name])
        with test.boot(image, options=['--trace', out.name]) as boot:
            if (status := boot.wait()) != 0:
                raise Failure(f'exit status {status}')
        with open(out.name, encoding='utf-8') as file:
            events = json.load(file)['traceEvents']
    rows = {e['tid'] for e in events if e['ph'] == 'M' and e['name'] == 'thread_name'}
    names = {e['name'].split(' #')[0] for e in events if e['ph'] == 'X'}
    arrows = [{e['id'] for e in events if e['ph'] == kind} for kind in 'sf']
    if rows != set(range(test.harts)) or not {'main', 'greet'} <= names:
        raise Failure(f'rows {rows}, slices {names}')
    if not arrows[0] & arrows[1]:
        raise Failure('no arrow from a waker to the wakened')


class Made:
    """A trace of one goroutine that is made ready by another; right as it stands."""

    def __init__(self):
        self.events = [t.Event(i, 10000 * (i + 1), g, kind, hart, a, b) for i, (hart, kind, g, a, b) in enumerate([
            (0, t.CREATE, 1, 0, 0), (0, t.START, 1, 0, 0), (0, t.CREATE, 2, 0, 0), (1, t.START, 2, 1, 0),
            (1, t.BLOCK, 2, 1, 0), (0, t.UNBLOCK, 2, 1, 0), (1, t.START, 2, 1, 2), (1, t.END, 2, 0, 0),
            (0, t.YIELD, 1, 0, 0), (1, t.START, 1, 1, 0), (1, t.END, 1, 0, 0)])]

    def ns(self, ticks):
        return ticks

    def name(self, g):
        return f'#{g}'

    def text(self, event):
        return repr(event)


def self_check(test):
    wrongs = {
        'on two harts': lambda e: e.insert(4, t.Event(0, 45000, 2, t.START, 0, 0, 0)),
        'a start without a wake-up': lambda e: e.pop(5),
        'a wake-up that came twice': lambda e: e.insert(6, t.Event(0, 65000, 2, t.UNBLOCK, 0, 1, 0)),
        'stopped where it does not run': lambda e: e.__setitem__(4, e[4]._replace(hart=0)),
        'a ring over its size': lambda e: e.__setitem__(3, e[3]._replace(b=258 << 1)),
        'forgotten': lambda e: e.pop(6) and e.append(e.pop()._replace(ticks=10 ** 10)) or e.pop(6),
    }
    if tracecheck.Checker(Made()).run():
        raise Failure('a right trace is refused')
    for what, spoil in wrongs.items():
        made = copy.deepcopy(Made())
        spoil(made.events)
        if not tracecheck.Checker(made).run():
            raise Failure(f'not noticed: {what}')


def tests():
    return ([HostTest('trace.checker', self_check)]
            + [HostTest('trace.exported', exported, name, 2) for name in ARCH]
            + [HostTest(f'trace.{name}', checked(name), machine_name, 4)
               for name in PROGRAMS for machine_name in ('virt', 'q35')])
