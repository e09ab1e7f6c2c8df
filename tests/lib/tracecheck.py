# SPDX-License-Identifier: BSD-2-Clause
"""Reads a scheduler trace as a witness: what no right scheduler does is reported.

The records of all harts have one order, in which causes come before effects (sched/trace.h). So each rule is
a state machine that is fed with them, and what it finds is no matter of how exact a clock is:

    state  a goroutine that starts without a wake-up, stops where it does not run, runs on two harts, or beside
           another on one, or on a hart that is not the one that it is locked to
    ring   a queue longer than it can be
    order  a waiter taken out of a channel, semaphore or condition before one that came earlier (tracequeues.py)
    turn   a goroutine that is runnable, and passed over for longer than the queues explain: an unblock was lost
    slice  one that ran for two slices while others waited       } of time, so only where times mean
    idle   a hart that slept for 1 ms while a goroutine waited   } something (tracetime.py)
    wake   one that nobody woke for 0.2 ms while one waited      }

What a full ring has lost cannot be judged. A trace is read from where every hart's is whole; what a rule knows
nothing about then is taken as right, and `Verdict` counts what each rule has judged, and what it could not.
"""
import collections
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), '..', '..', 'qemu'))

import gumptrace as t  # noqa: E402
from lib import tracequeues, tracetime  # noqa: E402

RING = 256
GLOBAL_TICK = 61  # turns of a P for one of the global queue, if its own is never empty
SILENT_NS = 100000

UNKNOWN, RUNNABLE, RUNNING, WAITING, DEAD = 'unknown', 'runnable', 'running', 'waiting', 'dead'
AFTER = {t.CREATE: RUNNABLE, t.START: RUNNING, t.BLOCK: WAITING, t.YIELD: RUNNABLE, t.PREEMPT: RUNNABLE,
         t.END: DEAD, t.UNBLOCK: RUNNABLE}
BEFORE = {t.CREATE: DEAD, t.START: RUNNABLE, t.BLOCK: RUNNING, t.YIELD: RUNNING, t.PREEMPT: RUNNING,
          t.END: RUNNING, t.UNBLOCK: WAITING}
LEAVES_HART = {t.BLOCK, t.YIELD, t.PREEMPT, t.END}


class Verdict:
    """What was found, and on what grounds."""

    def __init__(self, trace):
        self.trace = trace
        self.wrong = []  # (rule, text)
        self.judged = collections.Counter()  # rule: how often it could have found something
        self.unknown = collections.Counter()  # rule: how often it could not, since the beginning is lost

    def refuse(self, rule, event, text):
        self.wrong.append((rule, f'{self.trace.text(event)}: {text}'))

    def __str__(self):
        trace = self.trace
        text = f'{len(trace.events)} events; judged: '
        text += ', '.join(f'{n} {rule}' for rule, n in sorted(self.judged.items()))
        if trace.lost:
            text += f'; {trace.lost} older ones are lost'
        return text + ''.join(f'; {rule} not judged: {n}' for rule, n in sorted(self.unknown.items()) if n)


class World:
    """What is known of goroutines and harts at one point of the trace; the rules `state` and `ring`."""

    def __init__(self, trace, verdict):
        self.trace, self.verdict = trace, verdict
        self.state = collections.defaultdict(lambda: DEAD if trace.whole else UNKNOWN)
        self.running = [None] * trace.harts  # goroutine on each hart; None: none, or unknown
        self.idle = [hart in trace.idle for hart in range(trace.harts)]
        self.hart_of = {}  # goroutine: where it runs
        self.runnable = {}  # goroutine: its event, in the order of those
        self.locked = {}  # goroutine: the only hart that it may run on
        self.lockers = {}  # hart: the goroutines that are locked to it
        self.all_locked_until = -1  # sequence: then every hart had one, and so ran others', too
        self.last = [-1] * trace.harts  # sequence of each hart's last event
        self.said = [None] * trace.harts  # and its time, in ticks
        self.silence = SILENT_NS * trace.frequency // 1000000000
        self.silent_until = 0  # ticks: the end of the last such silence of a hart that looked for work

    def looks_since(self, hart):
        """Since when has that hart been silent, awake and without a goroutine? None: it is not."""
        return self.said[hart] if self.running[hart] is None and not self.idle[hart] else None

    def silence_before(self, e):
        """The time of e, or when the silence began that lasts."""
        begun = [since for since in map(self.looks_since, range(self.trace.harts)) if since is not None]
        return min((since for since in begun if e.ticks - since > self.silence), default=e.ticks)

    def event(self, e):
        kind = e.kind
        looked = self.looks_since(e.hart)
        if looked is not None and e.ticks - looked > self.silence:
            self.silent_until = e.ticks
        if kind in AFTER:
            self.transition(e)
        elif kind == t.UNBLOCKING and not e.a:
            self.transition(e._replace(kind=t.YIELD))
        elif kind == t.IDLE:
            self.idle[e.hart] = True
        elif kind == t.WAKE:
            self.idle[e.hart] = False
        elif kind == t.LOCK_HART:
            self.lock(e.g, e.hart if e.a else None, e.sequence)
        self.last[e.hart], self.said[e.hart] = e.sequence, e.ticks

    def transition(self, e):
        kind, g = e.kind, e.g
        before = self.state[g]
        self.verdict.judged['state'] += 1
        if before != BEFORE[kind] and before != UNKNOWN:
            self.verdict.refuse('state', e, f'it was {before}')
        elif before == RUNNING and self.hart_of[g] != e.hart:
            self.verdict.refuse('state', e, f'it ran on hart {self.hart_of[g]}')
        after = self.state[g] = AFTER[kind]
        if kind == t.START:
            self.start(e)
        elif kind in LEAVES_HART:
            self.running[e.hart] = None
            if kind == t.END and g in self.locked:
                self.lock(g, None, e.sequence)
        if after == RUNNABLE:
            self.runnable[g] = e
        else:
            self.runnable.pop(g, None)

    def start(self, e):
        other = self.running[e.hart]
        if other is not None:
            self.verdict.refuse('state', e, f'{self.trace.name(other)} had not stopped there')
        self.running[e.hart], self.hart_of[e.g], self.idle[e.hart] = e.g, e.hart, False
        if e.b > RING + 1:  # with runnext
            self.verdict.refuse('ring', e, f'a queue of {e.b}')
        if self.locked.get(e.g, e.hart) != e.hart:
            self.verdict.refuse('state', e, f'it is locked to hart {self.locked[e.g]}')
        if e.g not in self.lockers.get(e.hart, {e.g}) and self.last[e.hart] > self.all_locked_until:
            self.verdict.refuse('state', e, f'the hart is locked to others: {self.lockers[e.hart]}')

    def lock(self, g, hart, sequence):
        if len(self.lockers) == self.trace.harts:
            self.all_locked_until = sequence
        if g in self.locked:
            before = self.locked.pop(g)
            self.lockers[before].discard(g)
            if not self.lockers[before]:
                del self.lockers[before]
        if hart is not None:
            self.locked[g] = hart
            self.lockers.setdefault(hart, set()).add(g)
        if len(self.lockers) == self.trace.harts:
            self.all_locked_until = 1 << 64


class Turns:
    """
    The rule `turn`. A runnable goroutine is in some queue. Of its P's own each turn takes one; of the global
    queue every 61st does. If every hart that is awake has had more turns than that, it is in no queue.
    Sometimes it goes behind others that came later: from the head of a full ring to the global queue's tail,
    and, while the world is stopped, from the queue of a P that is removed.
    """

    kinds = {kind for kind, after in AFTER.items() if after in (RUNNABLE, RUNNING)} | {t.STOP_WORLD}

    def __init__(self, world):
        self.world = world
        self.turns = [0] * world.trace.harts
        self.slice = [None] * world.trace.harts  # P and number of the last one
        self.since = {}  # runnable goroutine: turns when it became so, and how many others were
        self.most = 0  # runnable at once
        self.stops = 0  # of the world

    def event(self, e):
        """Before the world has changed."""
        if e.kind == t.START:
            self.judge(e)
            self.since.pop(e.g, None)
            if e.a != self.slice[e.hart]:  # in the slice of another: that is no turn
                self.slice[e.hart] = e.a
                self.turns[e.hart] += 1
        elif e.kind == t.STOP_WORLD:
            self.stops += 1
        else:
            waiting = len(self.world.runnable)
            self.most = max(self.most, waiting)
            self.since[e.g] = self.turns[:], waiting, self.stops

    def judge(self, e):
        turns, waiting, stops = self.since.get(e.g, (None, 0, 0))
        if turns is None:
            return
        self.world.verdict.judged['turn'] += 1
        if self.most > RING or stops != self.stops:
            waiting = self.most
        limit = (GLOBAL_TICK + 1) * (waiting + 2)
        awake = [now - then for now, then, idle in zip(self.turns, turns, self.world.idle) if not idle]
        if awake and min(awake) > limit:
            self.world.verdict.refuse('turn', e, f'{min(awake)} turns passed over it, beside {waiting} others')

    def end(self):
        events = self.world.trace.events
        for g in list(self.since):
            self.judge(events[-1]._replace(g=g, kind=0))
        if all(self.world.idle):
            for g, e in self.world.runnable.items():
                self.world.verdict.refuse('turn', e, 'all harts sleep, and it never ran')


def check(trace, timed=()):
    """The Verdict on a trace. timed: which rules of time it can be judged by, see tracetime.py."""
    verdict = Verdict(trace)
    world = World(trace, verdict)
    rules = [Turns(world), tracequeues.Queues(world)]
    for name, rule in ('slice', tracetime.Slices), ('idle', tracetime.Idle), ('wake', tracetime.Wake):
        if name in timed:
            rules.append(rule(world))
        else:
            verdict.unknown[name] += 1
    steps = [[rule.event for rule in rules if kind in rule.kinds] + [world.event]
             for kind in range(len(t.KINDS))]
    for e in trace.events:
        for step in steps[e.kind]:
            step(e)
    if trace.events:
        for rule in rules:
            rule.end()
    return verdict
