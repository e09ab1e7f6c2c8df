# SPDX-License-Identifier: BSD-2-Clause
"""What is measured: the benchmarks, the figures that each of them prints, and our bars.

All figures but those of `bytes` are nanoseconds; under -icount, where an instruction takes one, they are instructions.
"""
from collections import namedtuple

# program: its name in the image, if not the same; env: of gump's boot, which then has no twin; alone: gump has no
# twin in it, and is measured on machines only
Benchmark = namedtuple('Benchmark', 'name what program env alone', defaults=(None, (), False))
# bar: what the figure should not exceed; for `speedup`, what it should reach
Row = namedtuple('Row', 'figure benchmark label bar')

BENCHMARKS = [
    Benchmark('create', 'create a goroutine, which ends: a yield after each; 100,000, then wait'),
    Benchmark('unbuffered', 'there over one unbuffered channel and back over another'),
    Benchmark('buffered', 'a send and a receive over a channel of 128, by two goroutines'),
    Benchmark('many', 'a send and a receive by 8 senders and 8 receivers, one channel of 64'),
    Benchmark('select', 'a receive by select over 4 unbuffered channels, and its send'),
    Benchmark('yield', 'a yield of two goroutines to each other, and of one alone'),
    Benchmark('mutex', 'lock and unlock a mutex that nobody else wants'),
    Benchmark('malloc', 'malloc and free of 64 bytes; in Go new, with its garbage collection off'),
    Benchmark('ring', 'a hop of a token that goes round a ring of 1000 goroutines'),
    Benchmark('park', '100,000 goroutines that wait on one channel, then are woken'),
    Benchmark('skynet', 'a tree of goroutines with 1,000,000 leaves; in all'),
    Benchmark('timer', 'a timer that is set and stopped, and one of 1000 that is set anew'),
    Benchmark('deadline', 'a send, and its receive by a select with a deadline'),
    Benchmark('nap', 'the work of a sleep of 10 us'),
    Benchmark('sleepers', '100,000 goroutines that sleep 1 to 100 ms; CPU time in all'),
    Benchmark('sleep', 'how late a sleep of 1 ms ends'),
    Benchmark('hog', 'how late it ends beside an endless loop, GOMAXPROCS=1'),
    Benchmark('hog-1ms', 'the same with a slice of 1 ms', 'hog', ('QUANTUM_US=1000',)),
    Benchmark('fault', 'a page that comes when a stack grows', alone=True),
    Benchmark('bytes', '100,000 goroutines: bytes of memory each', alone=True),
    Benchmark('reclaim', 'a reclaim cycle beside 100,000 packed goroutines; for each that it packs', alone=True),
    Benchmark('speedup', '64 goroutines that compute: time at GOMAXPROCS=1 / time at 2'),
]
NAMED = {benchmark.name: benchmark for benchmark in BENCHMARKS}

US, MS, S = 1e3, 1e6, 1e9
ROWS = [
    Row('create', 'create', 'create, run, exit', 350),
    Row('create-many', 'create', 'the same, 100,000 at a time', 350),
    Row('unbuffered', 'unbuffered', 'unbuffered round trip', 425),
    Row('buffered', 'buffered', 'buffered (128) send + receive', 120),
    Row('many', 'many', '8 to 8 over one channel of 64', 130),
    Row('select', 'select', 'select over 4', 700),
    Row('yield', 'yield', 'yield, two to each other', 100),
    Row('yield-alone', 'yield', 'yield, one alone', 100),
    Row('mutex', 'mutex', 'mutex, lock + unlock', 20),
    Row('malloc', 'malloc', 'malloc + free of 64 bytes', 60),
    Row('ring', 'ring', 'ring of 1000, a hop', 225),
    Row('park', 'park', 'create and park 100,000, each', 2500),
    Row('wake', 'park', 'wake a parked one, it ends', 250),
    Row('skynet', 'skynet', 'skynet, 1,000,000 leaves', 1.0 * S),
    Row('timer', 'timer', 'timer, set + stop', 350),
    Row('timer-anew', 'timer', 'timer, set anew', 180),
    Row('deadline', 'deadline', 'select with a deadline', 750),
    Row('nap', 'nap', 'sleep(10 us), CPU', 2100),
    Row('sleepers', 'sleepers', '100,000 sleepers, CPU', 0.25 * S),
    Row('sleep-p50', 'sleep', 'sleep(1 ms) late by, p50', 15 * US),
    Row('sleep-p99', 'sleep', 'sleep(1 ms) late by, p99', 30 * US),
    Row('hog-p50', 'hog', 'beside a loop late by, p50', 10 * MS),
    Row('hog-max', 'hog', 'beside a loop late by, max', 20 * MS),
    Row('hog-1ms-p50', 'hog-1ms', '  QUANTUM_US=1000, p50', 1 * MS),
    Row('hog-1ms-max', 'hog-1ms', '  QUANTUM_US=1000, max', 2 * MS),
    Row('fault', 'fault', 'page fault of a stack that grows', 800),
    Row('bytes-created', 'bytes', 'goroutine that has not run, bytes', 384),
    Row('bytes-waiting', 'bytes', '  and waits', 4608),
    Row('bytes-reclaimed', 'bytes', '  after a reclaim cycle', 1024),
    Row('reclaim', 'reclaim', 'reclaim cycle, 100,000 packed before', 50 * US),
    Row('reclaim-each', 'reclaim', '  for each goroutine packed', 3000),
    Row('speedup', 'speedup', 'speed-up from 1 to 2 harts', 1.9),
]

Mode = namedtuple('Mode', 'name harts icount title')
MODES = [
    Mode('icount', 1, True, 'instructions (-icount shift=0,sleep=off), 1 hart'),
    Mode('tcg1', 1, False, 'nanoseconds (TCG), 1 hart'),
    Mode('tcg2', 2, False, 'nanoseconds (TCG), 2 harts'),
]


def applies(benchmark, mode):
    if benchmark.name == 'bytes':
        return mode.icount
    return mode.harts == 2 if benchmark.name == 'speedup' else True


def bar_of(row, mode):
    """The bars are instructions, but for the speed-up."""
    return row.bar if mode.icount or row.figure == 'speedup' else None


def met(row, value):
    """Printed figures decide: 20.4 instructions are 20."""
    if row.figure == 'speedup':
        return round(value, 2) >= row.bar
    return round(value) <= row.bar
