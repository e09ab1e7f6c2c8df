# SPDX-License-Identifier: BSD-2-Clause
"""Sets up, builds, and tests gump on all its machines in QEMU.

A test is a boot of a program of tests/ (its @test lines say how: see tests/lib/programs.py), or
a function of a tests/test_*.py file, which does something on the host, mostly with a machine
that it boots. Each prints one line; one that fails also the end of its console and the command
that repeats it. Ends with a line `N passed, N failed`, and status 0 if none failed.
"""
import argparse
import copy
import fnmatch
import glob
import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
from lib import machine, programs  # noqa: E402

# What tests/run runs with each sanitizer without being asked: the programs of the scheduler and its channels, on 4
# harts, or on as many as they are for.
SANITIZED = {
    'atomics', 'block', 'chains', 'chan', 'conservation', 'cycles', 'fences', 'goroutines', 'hartlock', 'heap',
    'mutex', 'net', 'net_closed', 'netpoll', 'panic', 'parallel', 'preempt', 'procs', 'reclaim', 'runq', 'select',
    'select_stress', 'sleep', 'slices', 'stack', 'stats', 'steal', 'sync', 'timers', 'timers_lazy',
    'tracering', 'traces', 'wakeups'}
SHOWN = 25  # lines of the console in the report of a failure


def options():
    parser = argparse.ArgumentParser(prog='tests/run', description=__doc__.split('\n\n')[0])
    parser.add_argument('name', nargs='*', help='only tests whose name contains or matches this')
    parser.add_argument('--arch', choices=['riscv64', 'x86_64', 'hosted'])
    parser.add_argument('--machine', choices=list(machine.ARCH))
    parser.add_argument('--sanitize', choices=machine.SANITIZERS,
                        help='hosted, with this sanitizer and random scheduling')
    parser.add_argument('--harts', type=int, help='only boots with this many')
    parser.add_argument('--clang', action='store_true', help='build with clang, not gcc')
    parser.add_argument('--coverage', action='store_true', help='hosted, built for tests/coverage')
    parser.add_argument('--checks', action='store_true', help='the build with checks')
    parser.add_argument('--seeds', type=int, default=1, metavar='N',
                        help='with --checks: each test N times, with another seed each time')
    parser.add_argument('--seed', type=int, metavar='S', help='with --checks: the first seed')
    parser.add_argument('--stress', action='store_true',
                        help='the stress suite instead, with 1, 2, 4 and 8 harts')
    parser.add_argument('--repeat', type=int, default=1, metavar='N', help='run each N times')
    parser.add_argument('-x', action='store_true', help='end after the first that fails')
    parser.add_argument('-j', type=int, default=2, metavar='N',
                        help='tests at once (default 2), and half as many of those that mostly wait')
    parser.add_argument('-v', action='store_true', help='show the console of all tests')
    parser.add_argument('--list', action='store_true', help='name the tests and run none')
    return parser.parse_args()


def all_tests():
    tests = list(programs.boots())
    for path in sorted(glob.glob(os.path.join(machine.TREE, 'tests', 'test_*.py'))):
        tests += importlib.import_module(os.path.basename(path)[:-3]).tests()
    return tests


def named(test, name):
    return name in test.name or fnmatch.fnmatch(test.name, name)


def wanted(test, chosen):
    """Does the command line ask for this test?"""
    if chosen.name and not any(named(test, name) for name in chosen.name):
        return False
    if (chosen.arch or chosen.machine or chosen.sanitize) and not test.machine_name:
        return False
    if chosen.sanitize and test.sanitizer != chosen.sanitize:
        return False
    if test.machine_name.startswith('hosted') and not wanted_hosted(test, chosen):
        return False
    return (chosen.arch in (None, machine.ARCH.get(test.machine_name))
            and chosen.machine in (None, test.machine_name)
            and chosen.harts in (None, test.harts))


def wanted_hosted(test, chosen):
    if test.sanitizer and (machine.compiler == '-coverage' or machine.checks or
                           machine.compiler and not chosen.sanitize):
        return False  # there is no such build (those with a sanitizer have checks on); clang's is asked for
    if chosen.sanitize or not test.sanitizer or test.machine_name == chosen.machine:
        return test.sanitizer == (chosen.sanitize or '') or test.machine_name == chosen.machine
    return (not chosen.arch and not chosen.machine and test.most
            and test.name.partition('.')[0] in SANITIZED)


def archs_of(tests):
    names = {test.machine_name for test in tests}
    return sorted({machine.ARCH[name] for name in names if name}
                  | ({'riscv64', 'x86_64'} if '' in names else set()))


def prepare(tests, jobs):
    """Tools, libraries, and the images of the programs that the tests are about."""
    def quiet(*command):
        if subprocess.call(command, cwd=machine.TREE) != 0:
            sys.exit('tests/run: ' + ' '.join(command) + ' failed')

    quiet('qemu/deps', '--tests', *sorted({arch.partition('-')[0] for arch in archs_of(tests)}))
    todo, targets = [], []
    for with_checks in sorted({test.checks for test in tests}):
        archs = archs_of([test for test in tests if test.checks == with_checks])
        targets += [machine.target(arch, with_checks) for arch in archs]
        asked = {(test.source, arch) for test in tests if test.checks == with_checks for arch in archs_of([test])}
        todo += [(source, arch, with_checks) for source, only in programs.sources()
                 for arch in archs if only in (None, arch.partition('-')[0])
                 and not asked.isdisjoint({(source, arch), (None, arch)})]
    with ThreadPoolExecutor(min(jobs, 2)) as pool:  # one is set up while another one is compiled
        list(pool.map(lambda target: quiet('qemu/build', target), targets))
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda one: programs.build(*one), todo))


class Report:
    def __init__(self, verbose):
        self.verbose, self.passed, self.failed = verbose, 0, 0
        self.lock = threading.Lock()

    def add(self, test, reason, seconds):
        where = f'{test.machine_name} {test.harts or ""}'.strip()
        with self.lock:
            print(f'{"FAIL" if reason else "ok":4} {seconds:6.2f} s  {test.name}  {where}')
            if reason:
                print(f'  {reason}')
            if reason or self.verbose:
                lines = test.output.splitlines()
                for line in lines if self.verbose else lines[-SHOWN:]:
                    print(f'  | {line}')
                if test.command:
                    print(f'  again: {test.command}')
            sys.stdout.flush()
            self.passed += not reason
            self.failed += bool(reason)


def run_one(test, report, enough):
    if enough and report.failed:
        return
    start, reason = time.monotonic(), None
    try:
        test.run()
    except machine.Failure as failure:
        reason = str(failure)
    except Exception as error:  # a test that is broken itself fails, and the others go on
        reason = f'{type(error).__name__}: {error}'
    if not test.output and hasattr(test, 'machine'):
        test.output = test.machine.text
    report.add(test, reason, time.monotonic() - start)


def ended(*_):
    """Ctrl-C, or a time limit of whoever called: no machine may stay behind."""
    machine.stop_all()
    os._exit(130)


def runs(tests, chosen):
    """The tests as often as asked for, those of the build with checks each time with another seed."""
    first = chosen.seed if chosen.seed is not None else time.time_ns() // 1000000 % 10**9
    for number in range(chosen.repeat * chosen.seeds):
        for test in map(copy.copy, tests):
            if (test.checks or test.sanitizer) and test.seed is None:
                test.seed = first + number
            yield test


def main():
    chosen = options()
    signal.signal(signal.SIGINT, ended)
    signal.signal(signal.SIGTERM, ended)
    machine.compiler = '-clang' if chosen.clang else '-coverage' if chosen.coverage else ''
    machine.checks = chosen.checks
    tests = list(programs.stress() if chosen.stress else all_tests())
    unknown = [name for name in chosen.name if not any(named(test, name) for test in tests)]
    tests = [test for test in tests if wanted(test, chosen)]
    if unknown or not tests:
        print('tests/run: ' + (f'no test is named {", ".join(unknown)}' if unknown else 'no test is all of that')
              + '; see tests/run --list', file=sys.stderr)
        return 2
    if chosen.list:
        for test in tests:
            print(f'{test.name}  {test.machine_name} {test.harts or ""}'.strip())
        return 0
    prepare(tests, chosen.j)
    report = Report(chosen.v)
    with ThreadPoolExecutor(chosen.j) as pool, ThreadPoolExecutor((chosen.j + 1) // 2) as beside:
        for test in runs(tests, chosen):
            if not test.alone:
                (beside if test.waits else pool).submit(run_one, test, report, chosen.x)
    with ThreadPoolExecutor(1) as pool:
        for test in runs(tests, chosen):
            if test.alone:
                pool.submit(run_one, test, report, chosen.x)
    print(f'{report.passed} passed, {report.failed} failed')
    return 1 if report.failed else 0


if __name__ == '__main__':
    sys.exit(main())
