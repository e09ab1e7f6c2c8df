# SPDX-License-Identifier: BSD-2-Clause
"""The rule `order` of tracecheck.py: who waits longest is served first.

A queue is an object and the reason why one waits for it; a channel has two. A goroutine joins it by WAIT, or by
the BLOCK that says so itself, and is taken out by UNBLOCK or TAKE; all four are recorded under the lock of the
queue. It leaves by itself only with its wake-up: by a deadline, or by another case of its select.

A select that waits in several queues is won by a compare-and-swap, and recorded a little later by who won it.
Meanwhile the other queues pass over it. So a plain waiter may not be passed over; one in a select may be, but
then it must not be taken from that queue any more, and its wake-up has to come.
"""
import collections

import gumptrace as t

SEND, RECEIVE, SEMAPHORE = map(t.WAIT_REASONS.index, ('chan send', 'chan receive', 'semaphore acquire'))
BY_BLOCK = {SEND, RECEIVE, SEMAPHORE}  # reasons whose queue BLOCK tells, by its lock
OTHER_SIDE = {SEND: RECEIVE, RECEIVE: SEND}
OBJECT = (1 << 56) - 1


class Queues:
    kinds = {t.BLOCK, t.WAIT, t.UNBLOCK, t.TAKE}

    def __init__(self, world):
        self.world, self.trace, self.verdict = world, world.trace, world.verdict
        self.queues = collections.defaultdict(collections.OrderedDict)  # queue: {goroutine: plain?}
        self.joined = collections.defaultdict(list)  # goroutine: the queues that it is in
        self.passed = {}  # (queue, goroutine): the event that passed over it
        self.younger = set()  # queues out of which one that joined after the trace's beginning was taken

    def event(self, e):
        kind = e.kind
        if kind == t.BLOCK:
            if e.a in BY_BLOCK:
                self.join(e, e.b & OBJECT | e.a << 56, True)
        elif kind == t.WAIT:
            self.join(e, e.a, e.a >> 56 not in OTHER_SIDE)
        elif kind == t.UNBLOCK:
            if e.b:
                self.take(e, e.b)
            self.leave(e.g)
        elif kind == t.TAKE:
            self.take(e, e.a)
            self.leave(e.g)

    def join(self, e, queue, plain):
        if not plain and self.world.state[e.g] != 'waiting':
            return  # the trace begins amid the queues of this select
        waiters = self.queues[queue]
        if e.g in waiters:
            if not plain:  # a select with several cases alike: the first counts
                return
            self.verdict.refuse('order', e, 'it waits there already')
            return
        waiters[e.g] = plain
        if e.kind == t.WAIT and e.b:
            waiters.move_to_end(e.g, last=False)
        self.joined[e.g].append(queue)
        reason = queue >> 56
        if plain and reason in OTHER_SIDE:
            partners = self.queues.get(queue & OBJECT | OTHER_SIDE[reason] << 56)
            if partners and next(iter(partners.values())):
                self.verdict.refuse('order', e, 'senders and receivers wait for each other')

    def take(self, e, queue):
        waiters = self.queues[queue]
        if e.g not in waiters:
            self.take_stranger(e, queue)
            return
        self.verdict.judged['order'] += 1
        self.younger.add(queue)
        for g, plain in waiters.items():
            if g == e.g:
                break
            if plain:
                self.verdict.refuse('order', e, f'{self.trace.name(g)} came before it to {self.text(queue)}')
                break
            self.passed.setdefault((queue, g), e)
        if (queue, e.g) in self.passed:
            self.verdict.refuse('order', e, f'it was passed over before in {self.text(queue)}')

    def take_stranger(self, e, queue):
        """It joined before the trace's beginning: before all that the trace knows of."""
        if self.trace.whole or self.joined[e.g]:
            self.verdict.refuse('order', e, f'it did not wait in {self.text(queue)}')
        elif queue in self.younger:
            self.verdict.refuse('order', e, f'a younger one was taken from {self.text(queue)} before')
        else:
            self.verdict.unknown['order'] += 1

    def leave(self, g):
        for queue in self.joined.pop(g, ()):
            waiters = self.queues[queue]
            waiters.pop(g, None)
            self.passed.pop((queue, g), None)
            if not waiters:
                del self.queues[queue]

    def end(self):
        """Whoever has won the others' select has recorded it by the next event of its hart."""
        for (queue, g), e in self.passed.items():
            if all(idle or last > e.sequence for idle, last in zip(self.world.idle, self.world.last)):
                self.verdict.refuse('order', e, f'{self.trace.name(g)} was passed over, and nobody woke it')

    def text(self, queue):
        return f'{t.WAIT_REASONS[queue >> 56]} at {queue & OBJECT:#x}'
