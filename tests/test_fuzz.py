# SPDX-License-Identifier: BSD-2-Clause
"""The fuzzing targets of tests/fuzz, six seconds each, on the corpus that is kept and from there on at random.

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

SECONDS = 6
building = threading.Lock()  # they share objects


def seeds(test, target, kept):
    """Those that are kept, as they are: to begin with, they are cut to the length of what is made up from them."""
    done = subprocess.run([f'build/fuzz/{target}', *kept], cwd=TREE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, **fuzzing.QUIET}, timeout=100, check=False)
    if done.returncode != 0:
        text = done.stdout.decode(errors='replace')
        test.output, test.command = text, 'build/fuzz/' + ' '.join([target, *re.findall(r'^Running: (.*)$', text, re.MULTILINE)[-1:]])
        raise Failure(f'exit status {done.returncode} for an input that is kept')


def fuzz(test, target):
    with building:
        status, test.output = fuzzing.build(target)
    if status != 0:
        raise Failure('the target does not build')
    kept = glob.glob(os.path.join(fuzzing.FUZZ, 'corpus', target, '*'))
    seeds(test, target, kept)
    with tempfile.TemporaryDirectory() as new:
        done = subprocess.run(fuzzing.command(target, SECONDS, new), cwd=TREE, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env={**os.environ, **fuzzing.QUIET}, timeout=200,
                              check=False)
    text = done.stdout.decode(errors='replace')
    begin = re.search(r'^.*(ERROR: |runtime error: | is false$)', text, re.MULTILINE)
    test.output = text[begin.start():] if begin else text
    if done.returncode != 0:
        found = re.search(r'build/fuzz/\S+-\w+$', text, re.MULTILINE)
        test.command = f'build/fuzz/{target} {found[0]}' if found else ''
        raise Failure(begin[0] if begin else f'exit status {done.returncode}')
    if not kept or not re.search(r'^Done \d+ runs', text, re.MULTILINE):
        raise Failure(f'{len(kept)} inputs are kept, and it did not run to its end')


def tests():
    if platform.machine() != 'x86_64':
        return []  # they use the hosted port's headers
    return [HostTest('fuzz.' + target, lambda test, target=target: fuzz(test, target))
            for target in fuzzing.targets()]
