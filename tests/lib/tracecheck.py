# SPDX-License-Identifier: BSD-2-Clause
"""Reads a scheduler trace as a witness: what no right scheduler does is reported.

For each goroutine a state machine is kept: it starts only when it is runnable, stops only where it runs, and becomes
runnable only when it waited. So one that runs on two harts at once, a start without a wake-up, and a wake-up that
came twice all show. Goroutines whose beginning the rings have lost are followed from their first event on.
"""
import collections
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), '..', '..', 'qemu'))

import gumptrace as t  # noqa: E402

RING = 256
LOST_NS = 2000000000  # a goroutine that was runnable for so long is forgotten

UNKNOWN, RUNNABLE, RUNNING, WAITING, DEAD = 'unknown', 'runnable', 'running', 'waiting', 'dead'
AFTER = {t.CREATE: RUNNABLE, t.START: RUNNING, t.BLOCK: WAITING, t.YIELD: RUNNABLE, t.PREEMPT: RUNNABLE,
         t.END: DEAD, t.UNBLOCK: RUNNABLE, t.UNBLOCKING: RUNNABLE}
BEFORE = {t.CREATE: DEAD, t.START: RUNNABLE, t.BLOCK: RUNNING, t.YIELD: RUNNING, t.PREEMPT: RUNNING,
          t.END: RUNNING, t.UNBLOCK: WAITING, t.UNBLOCKING: RUNNING}


class Checker:
    def __init__(self, trace):
        self.trace, self.wrong = trace, []
        self.state = collections.defaultdict(lambda: UNKNOWN)
        self.hart, self.since = {}, {}

    def concerns(self, e):
        """Does the event change a goroutine's state? One that leaves a blocking section with its P runs on."""
        return e.kind in AFTER and not (e.kind == t.UNBLOCKING and e.a)

    def legal(self, e):
        state = self.state[e.g]
        if not self.concerns(e) or state == UNKNOWN:
            return True
        if BEFORE[e.kind] == RUNNING and state == RUNNING and self.hart[e.g] != e.hart:
            return False
        return state == BEFORE[e.kind]

    def event(self, e):
        if not self.legal(e):
            self.wrong.append(f'{self.trace.text(e)}, but {self.trace.name(e.g)} was {self.state[e.g]}')
        if self.concerns(e):
            self.state[e.g], self.hart[e.g], self.since[e.g] = AFTER[e.kind], e.hart, self.trace.ns(e.ticks)
        if e.kind == t.START and e.b >> 1 > RING + 1:
            self.wrong.append(f'{self.trace.text(e)}: a queue of {e.b >> 1}')

    def run(self):
        end = 0
        for e in self.trace.events:
            self.event(e)
            end = max(end, self.trace.ns(e.ticks))
        for g, state in self.state.items():
            if state == RUNNABLE and end - self.since[g] > LOST_NS:
                self.wrong.append(f'{self.trace.name(g)} is runnable since {self.since[g]} ns and never ran')
        return self.wrong


def check(image, ram):
    """What is wrong with the trace in that RAM, a line each; and how many events there were."""
    trace = t.Trace(image, ram)
    return Checker(trace).run(), len(trace.events)
