# SPDX-License-Identifier: BSD-2-Clause
"""Measures gump as a process of this host: beside Go's twin, and some of it in C with State Threads.

All run on the same processors, one after the other, round after round, and the best of the rounds
counts: so what else the host does meets all alike. Times are the host's clock, but the sleepers', which
are CPU time of the whole process.
"""
import glob
import json
import os

import guests
from guests import PLACE, TREE, Failure
from report import quantity
from rows import BENCHMARKS, NAMED, ROWS

# What gump's figure divided by Go's should not exceed.
BARS = {'create': 0.5, 'unbuffered': 0.4, 'buffered': 0.6, 'many': 0.8, 'select': 0.5, 'yield': 0.4,
        'ring': 0.4, 'wake': 0.5, 'skynet': 0.5, 'sleepers': 0.5}
IN_C = {'create', 'unbuffered', 'buffered', 'many', 'yield', 'ring', 'park'}


class Gump:
    name = 'gump'

    def __init__(self):
        self.program = os.path.join(PLACE, 'gump-hosted')
        os.makedirs(PLACE, exist_ok=True)
        guests.run([os.path.join(TREE, 'qemu', 'build'), 'hosted'], 'qemu/build')
        sources = [path for path in sorted(glob.glob(os.path.join(TREE, 'bench', '*.c')))
                   if os.path.basename(path) != 'idle.c']
        guests.run([os.path.join(TREE, 'qemu', 'gump-cc'), '--target=hosted', '-Wall', '-Wextra', '-Werror',
                    *sources, os.path.join(TREE, 'bench', 'hosted', 'cputime.c'), '-o', self.program], 'gump-cc')

    def measures(self, benchmark):
        return not benchmark.alone

    def command(self, benchmark, harts):
        return ['env', f'GUMP_HARTS={harts}', 'GUMP_NET=none', *benchmark.env, self.program,
                benchmark.program or benchmark.name]


class Go:
    def __init__(self, go):
        try:
            version = guests.run([go, 'version'], f'{go} version').split()[2]
        except OSError as error:
            raise Failure(f'{go}: {error.strerror}') from None
        self.name = 'Go ' + version.removeprefix('go')
        guests.go_program(go, 'x86_64', 'go')
        self.program = os.path.join(PLACE, 'go-x86_64')

    def measures(self, benchmark):
        return not benchmark.env and not benchmark.alone

    def command(self, benchmark, harts):
        return ['env', f'GOMAXPROCS={harts}', self.program, benchmark.name]


class StateThreads:
    name = 'libst'

    def __init__(self):
        if not os.path.exists('/usr/include/st.h'):
            raise Failure('libst is not installed (qemu/deps --bench)')
        self.program = os.path.join(PLACE, 'st-hosted')
        guests.run(['gcc', '-O2', '-Wall', '-Wextra', os.path.join(TREE, 'bench', 'c', 'st.c'), '-lst',
                    '-o', self.program], 'gcc')

    def measures(self, benchmark):
        return benchmark.name in IN_C

    def command(self, benchmark, harts):
        return [self.program, benchmark.name]


def programs(chosen, say):
    """gump, and of the others those that can be had."""
    found = [Gump()]
    for what, make in ('Go', lambda: Go(chosen.go)), ('State Threads', StateThreads):
        try:
            if not (what == 'Go' and chosen.no_go):
                found.append(make())
        except Failure as failure:
            say(f'bench/run: without {what}: {failure}')
    return found


def run_one(program, benchmark, harts, timeout):
    """{figure: ns}; of gump with a setting of its own, under the benchmark's name."""
    command = ['taskset', '-c', ','.join(map(str, sorted(os.sched_getaffinity(0))[:harts])),
               *program.command(benchmark, harts)]
    figures, _ = guests.boot(command, timeout)
    if benchmark.program:
        figures = {benchmark.name + name[len(benchmark.program):]: value for name, value in figures.items()}
    return figures


def measure(chosen, say):
    """({harts: {(program, figure): ns}}, failures)"""
    several = len(os.sched_getaffinity(0)) > 1
    results, failed = {}, 0
    everything = programs(chosen, say)
    for harts in (1, 2) if several else (1,):
        best = results[harts] = {}
        for benchmark in BENCHMARKS:
            if benchmark.name not in (chosen.name or NAMED) or (benchmark.name == 'speedup' and harts == 1):
                continue
            choose = max if benchmark.name == 'speedup' else min
            for _ in range(chosen.runs):
                for program in everything:
                    if not program.measures(benchmark):
                        continue
                    try:
                        figures = run_one(program, benchmark, harts, chosen.timeout)
                    except Failure as failure:
                        say(f'bench/run: hosted {harts} {program.name} {benchmark.name}: {failure}')
                        failed += 1
                        continue
                    for name, value in figures.items():
                        key = program.name, name
                        best[key] = choose(best[key], value) if key in best else value
            say(f'hosted, {harts} harts: {benchmark.name}')
    return results, failed


def names_in(figures):
    """gump, Go, libst: those that have figures."""
    names = dict.fromkeys(name for name, _ in figures)
    return sorted(names, key=lambda name: (name != 'gump', not name.startswith('Go')))


def table(harts, figures):
    names = names_in(figures)
    go = next((name for name in names if name.startswith('Go')), None)
    lines = [[f'processes of this host, {harts} hart{"s" if harts > 1 else ""}: nanoseconds', *names,
              'of Go', 'bar', '']]
    for row in ROWS:
        values = [figures.get((name, row.figure)) for name in names]
        if values[0] is None:
            continue
        ratio, bar = of_go(figures, go, row.figure), BARS.get(row.figure)
        lines.append([row.label, *(quantity(row.figure, value) for value in values),
                      f'{ratio:.2f}' if ratio else '', f'{bar}' if bar else '',
                      '' if not (bar and ratio) else 'met' if round(ratio, 2) <= bar else 'not met'])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return ['  '.join([line[0].ljust(widths[0])]
                      + [cell.rjust(width) for cell, width in zip(line[1:-1], widths[1:-1])]
                      + [line[-1]]).rstrip() for line in lines]


def of_go(figures, go, figure):
    ours, theirs = figures.get(('gump', figure)), figures.get((go, figure))
    return ours / theirs if ours is not None and theirs else None


def processor():
    with open('/proc/cpuinfo', encoding='utf-8') as file:
        for line in file:
            if line.startswith('model name'):
                return line.partition(':')[2].strip()
    return 'an unknown processor'


def tables(results, warning):
    out = [f'{processor()}, Linux {os.uname().release}', '']
    for harts, figures in results.items():
        out += table(harts, figures) + ([f'({warning})'] if warning else []) + ['']
    return out


def write_json(path, results):
    if path == os.path.join(PLACE, 'bench.json'):
        path = os.path.join(PLACE, 'hosted.json')
    out = {'processor': processor(), 'linux': os.uname().release, 'load': os.getloadavg()[0], 'results': []}
    for harts, figures in results.items():
        for row in ROWS:
            values = {name: value for (name, figure), value in figures.items() if figure == row.figure}
            if values:
                out['results'].append({'harts': harts, 'figure': row.figure, 'label': row.label.strip(),
                                       'bar of Go': BARS.get(row.figure), 'values': values,
                                       'unit': 'times' if row.figure == 'speedup' else 'ns'})
    with open(path, 'w', encoding='utf-8') as file:
        json.dump(out, file, indent=1)
        file.write('\n')
