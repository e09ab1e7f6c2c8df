# SPDX-License-Identifier: BSD-2-Clause
"""Traces made by hand for the checker's own test: right ones, and for each rule some that break only it.

A trace is text, an event a line: hart, microseconds, kind, goroutine, `a`, `b`. A reason of waiting stands for
its number, reason:address for that queue, slice:N for the N-th slice of P 0. There are two harts, and two Ps, if not said otherwise.
"""
import gumptrace as t

REASONS = {'send': 1, 'recv': 2, 'select': 4, 'mutex': 8, 'cond': 11}

# Goroutine 1 does a bit of everything. The other traces go on from here: it runs on hart 0, and hart 1 sleeps.
BASE = '''
0 1 CREATE 1
0 2 START 1 slice:1
0 3 CREATE 2
1 4 START 2
0 5 BLOCK 1 recv 0x100
1 6 UNBLOCK 1 2 recv:0x100
1 7 END 2
1 8 IDLE 0
0 9 START 1 slice:2
0 10 YIELD 1
0 11 START 1 slice:3
0 12 PREEMPT 1
0 13 START 1 slice:4
'''


class Made(t.Trace):
    def __init__(self, text, procs=2, lost=0, harts=2):
        self.harts, self.procs, self.lost, self.whole = harts, procs, lost, not lost
        self.frequency, self.quantum = 1000000000, 10000000
        self.idle, self.names, self.events = set() if lost else set(range(1, harts)), {}, []
        for line in (BASE + text).split('\n'):
            if line:
                hart, us, kind, *rest = line.split()
                g, a, b = (list(map(self.number, rest)) + [0, 0, 0])[:3]
                self.events.append(t.Event(len(self.events), int(us) * 1000, g, t.KINDS.index(kind), int(hart),
                                           a, b))

    @staticmethod
    def number(word):
        name, colon, address = word.partition(':')
        if name == 'slice':
            return int(address) << 32
        if name in REASONS:
            return REASONS[name] << 56 | int(address, 0) if colon else REASONS[name]
        return int(word, 0)


# ---- What happens to goroutines 3, 4, ... ----

def comes(g, how):
    """It is created and waits."""
    return f'0 {g}0 CREATE {g}\n1 {g}1 START {g}\n' + ''.join(f'1 {g}2 {line}\n' for line in how.split(', '))


def plain(*gs, why='recv 0x100'):
    return ''.join(comes(g, f'BLOCK {g} {why}') for g in gs)


def select(g, *queues):
    return comes(g, ', '.join([f'BLOCK {g} select'] + [f'WAIT {g} {queue}' for queue in queues]))


def mutex(g, first=0):
    return comes(g, f'WAIT {g} mutex:0x100 {first}, BLOCK {g} mutex 0x900')


def cond(g):
    return comes(g, f'WAIT {g} cond:0x100, BLOCK {g} cond 0x100')


def wake(*gs, queue='recv:0x100'):
    return ''.join(f'0 100 UNBLOCK {g} 1 {queue}\n' for g in gs)


def turns(n):
    """The running goroutine has so many of them."""
    return ''.join(f'0 101 YIELD 1\n0 101 START 1 slice:{i + 5}\n' for i in range(n))


LATER = '1 200 START 3\n1 200 END 3\n0 200 YIELD 1\n0 200 START 1 slice:9\n'

RIGHT = {
    'nothing more': Made(''),
    'in order': Made(plain(3, 4, 5) + wake(3, 4, 5)),
    'a deadline': Made(plain(3, 4, 5) + '0 90 UNBLOCK 4\n' + wake(3, 5)),
    'a select that another channel has won': Made(
        select(3, 'recv:0x100', 'recv:0x200') + plain(4) + wake(4) + wake(3, queue='recv:0x200')),
    'a select on both sides': Made(
        select(3, 'recv:0x100', 'send:0x100') + plain(4, why='send 0x100') + wake(4, queue='send:0x100')),
    'before the others': Made(mutex(3) + mutex(4) + mutex(5, first=1) + wake(5, 3, 4, queue='mutex:0x100')),
    'a close': Made(plain(3, 4) + '0 90 TAKE 3 recv:0x100\n0 90 TAKE 4 recv:0x100\n' + wake(3, 4, queue='0')),
    'signalled before it is parked': Made(
        comes(3, 'WAIT 3 cond:0x100, YIELD 3') + cond(4) + '0 90 TAKE 3 cond:0x100\n0 90 TAKE 4 cond:0x100\n'),
    'waiters from before': Made(plain(3, why='recv 0x300') + wake(7, 8, 3, queue='recv:0x300'), lost=9),
    'long, but alone': Made('0 90000 YIELD 1\n'),
    'no P for the hart that sleeps': Made('0 90 CREATE 3\n0 9000 YIELD 1\n0 9000 START 3 slice:5\n', procs=1),
    'many turns, but it was there': Made(
        '0 90 CREATE 3\n' + turns(120) + '0 200 YIELD 1\n0 200 START 3 slice:500\n'),
    'a hart that was kicked': Made(
        '0 90 CREATE 3\n0 91 HANDOFF 0 1 1\n1 900 WAKE 0 1\n1 901 START 3 slice:5\n'),
    'a hart that looks, and is not let run': Made(
        '0 90 HANDOFF 0 2 2\n2 91 WAKE 0 2\n0 92 CREATE 3\n0 1101 YIELD 1\n0 1102 START 3 slice:5\n', harts=3, procs=3),
    'locked': Made('0 90 LOCK_HART 1 1\n0 91 BLOCK 1 recv 0x100\n0 92 IDLE\n1 93 UNBLOCK 1 0 recv:0x100\n'
                   '0 94 START 1 slice:5\n'),
}

# rule, trace
WRONG = {
    'on two harts': ('state', Made('1 90 START 1\n')),
    'a start without a wake-up': ('state', Made(plain(3) + '1 90 START 3\n')),
    'woken twice': ('state', Made(plain(3) + wake(3) + '1 100 UNBLOCK 3\n')),
    'stopped where it does not run': ('state', Made('1 90 YIELD 1\n')),
    'two on one hart': ('state', Made('0 90 CREATE 3\n0 91 START 3 slice:5\n')),
    'not on its hart': ('state', Made('0 90 LOCK_HART 1 1\n0 91 YIELD 1\n1 92 START 1\n')),
    'another on its hart': ('state', Made(
        '0 90 LOCK_HART 1 1\n0 91 CREATE 3\n0 92 BLOCK 1 recv 0x100\n0 93 START 3 slice:5\n')),
    'a long ring': ('ring', Made('0 90 YIELD 1\n0 91 START 1 slice:5 258\n')),

    'the youngest first': ('order', Made(plain(3, 4, 5) + wake(5))),
    'the second first': ('order', Made(plain(3, 4, 5, why='send 0x100') + wake(4, queue='send:0x100'))),
    'a younger one of a semaphore': ('order', Made(mutex(3) + mutex(4) + wake(4, queue='mutex:0x100'))),
    'not who is before the others': ('order', Made(
        mutex(3) + mutex(4, first=1) + wake(3, queue='mutex:0x100'))),
    'a younger one of a condition': ('order', Made(cond(3) + cond(4) + '0 90 TAKE 4 cond:0x100\n')),
    'a younger one beside a deadline': ('order', Made(plain(3, 4, 5) + '0 90 UNBLOCK 4\n' + wake(5))),
    'a select that nobody had won': ('order', Made(
        select(3, 'recv:0x100', 'recv:0x200') + plain(4) + wake(4, 3))),
    'a select that nobody woke': ('order', Made(
        select(4, 'recv:0x100') + plain(5) + '0 90 CREATE 3\n' + wake(5) + LATER)),
    'senders and receivers': ('order', Made(plain(3) + plain(4, why='send 0x100'))),
    'from another queue': ('order', Made(plain(3) + wake(3, queue='recv:0x200'))),
    'a younger one, before the trace': ('order', Made(
        plain(3, why='recv 0x300') + wake(3, 7, queue='recv:0x300'), lost=9)),

    'a wake-up that was lost': ('turn', Made('0 90 CREATE 3\n' + turns(130))),
    'long in no queue': ('turn', Made(
        '0 90 CREATE 3\n' + turns(130) + '0 200 YIELD 1\n0 200 START 3 slice:500\n')),
    'all sleep': ('turn', Made('0 90 CREATE 3\n0 91 BLOCK 1 recv 0x100\n0 92 IDLE 0\n')),

    'a long slice': ('slice', Made('0 90 CREATE 3\n0 21000 YIELD 1\n', procs=1)),
    'one that goes on': ('slice', Made('0 90 CREATE 3\n0 21000 CREATE 4\n', procs=1)),
    'a slice handed on': ('slice', Made('0 90 CREATE 3\n0 91 CREATE 4\n0 9000 BLOCK 1 recv 0x100\n'
                                        '0 9000 START 4 slice:4\n0 21000 YIELD 4\n', procs=1)),
    'a hart that sleeps on': ('idle', Made('0 90 CREATE 3\n0 1100 YIELD 1\n0 1101 START 3 slice:5\n')),
    'a hart that was kicked, and sleeps on': ('idle', Made(
        '0 90 CREATE 3\n0 91 HANDOFF 0 1 1\n0 1100 YIELD 1\n0 1101 START 3 slice:5\n')),
    'one that has looked, and sleeps': ('idle', Made(
        '0 90 HANDOFF 0 2 2\n2 91 WAKE 0 2\n0 92 CREATE 3\n2 93 IDLE 2\n0 1101 YIELD 1\n0 1102 START 3 slice:5\n',
        harts=3, procs=3)),
    'one that nobody kicks': ('wake', Made('0 90 CREATE 3\n0 291 YIELD 1\n0 292 START 3 slice:5\n')),
    'one that never wakes': ('idle', Made('0 90 CREATE 3\n0 1101 CREATE 4\n')),
}
