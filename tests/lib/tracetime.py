# SPDX-License-Identifier: BSD-2-Clause
"""The rules `slice` and `idle` of tracecheck.py, which are about time.

They hold for a machine whose harts run whenever they can; one that the host does not let run looks as if it
slept, or went on and on. One hart whose time is a count of instructions (-icount) is such a machine: so `slice`
is for that. Several harts share such a time in turns, each until the next timer of any of them is due, at the
latest at the end of a slice. With slices that are short against 1 ms, every hart has its turn long before that:
so `idle` is for that, too; unless two that run for ever use up each share before it comes to a third: one that
is awake, has no goroutine, and says nothing for SILENT_NS is not let run, and that time does not count. So is a preemption, which wakes a hart for what nobody was woken for before.
With two harts and long slices `wake` is exact: if one sleeps the other has all the time, so it is never slow on
its way from making a goroutine runnable to waking the other hart; when that one wakes then is no matter.
"""
import gumptrace as t

IDLE_NS = 1000000
WAKE_NS = 200000
STOPS = {t.BLOCK, t.YIELD, t.PREEMPT, t.END}


def longest_waiting(world):
    """The event that made runnable the goroutine that waits longest and that any hart may run."""
    for g, e in world.runnable.items():
        if g not in world.locked:
            return e
    return None


class Slices:
    """A goroutine, or several that hand one slice on, ran for two slices, and another waited all the time."""

    kinds = STOPS | {t.START, t.BLOCKING, t.UNBLOCKING, t.IDLE}

    def __init__(self, world):
        self.world, self.limit = world, 2 * world.trace.quantum
        self.start = [None] * world.trace.harts  # of the slice under way; None: none, or it has no P
        self.slice = [None] * world.trace.harts  # its P and number

    def event(self, e):
        kind = e.kind
        if kind == t.START:
            if e.a != self.slice[e.hart] or self.start[e.hart] is None:
                self.slice[e.hart] = e.a
                self.start[e.hart] = e.ticks
        elif kind in STOPS:
            self.judge(e)
        elif kind == t.BLOCKING:
            self.judge(e)
            self.start[e.hart] = None
        elif kind == t.UNBLOCKING and e.a:
            self.start[e.hart] = e.ticks
        elif kind == t.IDLE:
            self.start[e.hart] = None

    def judge(self, e):
        start = self.start[e.hart]
        if start is None:
            return
        waiting = longest_waiting(self.world)
        if waiting is None:
            return
        self.world.verdict.judged['slice'] += 1
        both = e.ticks - max(start, waiting.ticks)
        if both > self.limit:
            ns, name = self.world.trace.ns, self.world.trace.name
            self.world.verdict.refuse('slice', e, f'its slice lasted for {ns(e.ticks - start)} ns while '
                                      f'{name(waiting.g)} waited for {ns(e.ticks - waiting.ticks)} ns')

    def end(self):
        last = self.world.trace.events[-1]
        for hart, start in enumerate(self.start):
            if start is not None and self.world.running[hart] is not None:
                self.judge(last._replace(hart=hart, g=self.world.running[hart], kind=0))


class Idle:
    """A hart slept for over 1 ms though there was a P for it, and all the time a goroutine waited."""

    name, limit_ns = 'idle', IDLE_NS
    kinds = {t.START, t.WAKE, t.IDLE, t.HANDOFF, t.BLOCKING, t.UNBLOCKING, t.STOP_WORLD, t.START_WORLD}

    def __init__(self, world):
        trace = world.trace
        self.world, self.limit = world, self.limit_ns * trace.frequency // 1000000000
        self.procs = trace.procs  # None: unknown until a START_WORLD
        self.since = [trace.events[0].ticks if trace.events and idle else None for idle in world.idle]
        self.used = [not idle for idle in world.idle]  # has the hart a P?
        self.free_since = None  # ticks: since then there was a P that nobody had
        self.stopped = False
        self.told = set()

    def event(self, e):
        kind, hart = e.kind, e.hart
        if kind in (t.START, t.WAKE):
            self.judge(e)
            self.awake(hart)
            self.use(e, True)
        elif kind == t.IDLE:
            self.judge(e)
            self.since[hart] = e.ticks
            self.use(e, False)
        elif kind == t.HANDOFF:
            self.judge(e)
            self.wake(e)
        elif kind == t.BLOCKING:
            self.use(e, False)
        elif kind == t.UNBLOCKING:
            self.judge(e)
            self.use(e, bool(e.a))
        elif kind in (t.STOP_WORLD, t.START_WORLD):
            self.judge(e)
            self.stopped = kind == t.STOP_WORLD
            if not self.stopped:
                self.procs = e.a
            self.free_since = None
            self.use(e, True)

    def wake(self, e):
        """Hart e.b gets a P, and is kicked; it sleeps until it says WAKE."""

    def awake(self, hart):
        if self.since[hart] is not None:
            known = self.world.verdict.unknown if self.procs is None else self.world.verdict.judged
            known[self.name] += 1
            self.since[hart] = None

    def use(self, e, used):
        self.used[e.hart] = used
        if self.procs is None or self.stopped or sum(self.used) >= self.procs:
            self.free_since = None
        elif self.free_since is None:
            self.free_since = e.ticks

    def judge(self, e):
        slept = min((since for since in self.since if since is not None), default=None)
        waiting = longest_waiting(self.world)
        if self.free_since is None or slept is None or waiting is None:
            return
        lasted = self.world.silence_before(e) - max(self.free_since, slept, waiting.ticks, self.world.silent_until)
        if lasted > self.limit and waiting.sequence not in self.told:
            self.told.add(waiting.sequence)
            self.world.verdict.refuse(self.name, e, f'{self.world.trace.name(waiting.g)} waited for '
                                      f'{self.world.trace.ns(lasted)} ns while a hart slept')

    def end(self):
        self.judge(self.world.trace.events[-1])


class Wake(Idle):
    """Nobody woke a hart for 0.2 ms though there was a P for it, and all the time a goroutine waited."""

    name, limit_ns = 'wake', WAKE_NS

    def wake(self, e):
        self.awake(e.b)
