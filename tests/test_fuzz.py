# SPDX-License-Identifier: BSD-2-Clause
"""The fuzzing targets of tests/fuzz, ten seconds each, on the corpus that is kept and from there on at random.

What is found is written to build/fuzz, and the command that repeats it is in the report.
"""
import glob
import os
import platform
import re
import subprocess
import tempfile
import threading

from lib import fuzzing
from lib.machine import TREE, Failure
from lib.programs import HostTest

SECONDS = 10
building = threading.Lock()  # they share objects


def fuzz(test, target):
    with building:
        status, test.output = fuzzing.build(target)
    if status != 0:
        raise Failure('the target does not build')
    with tempfile.TemporaryDirectory() as new:
        done = subprocess.run(fuzzing.command(target, SECONDS, new), cwd=TREE, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env={**os.environ, **fuzzing.QUIET}, timeout=20 * SECONDS,
                              check=False)
    text = done.stdout.decode(errors='replace')
    begin = re.search(r'^.*(ERROR: |runtime error: | is false$)', text, re.MULTILINE)
    test.output = text[begin.start():] if begin else text
    if done.returncode != 0:
        found = re.search(r'build/fuzz/\S+-\w+$', text, re.MULTILINE)
        test.command = f'build/fuzz/{target} {found[0]}' if found else ''
        raise Failure(begin[0] if begin else f'exit status {done.returncode}')
    kept = len(glob.glob(os.path.join(fuzzing.FUZZ, 'corpus', target, '*')))
    if kept == 0 or not re.search(r'^Done \d+ runs', text, re.MULTILINE):
        raise Failure(f'{kept} inputs are kept, and it did not run to its end')


def tests():
    if platform.machine() != 'x86_64':
        return []  # they use the hosted port's headers
    return [HostTest('fuzz.' + target, lambda test, target=target: fuzz(test, target))
            for target in fuzzing.targets()]
