# SPDX-License-Identifier: BSD-2-Clause
"""The mutants of tests/mutants still apply, and docs/mechanisms.md names tests that exist, and each mutant. tests/mutants/run runs them."""
import fnmatch
import glob
import os
import re
import shlex
import subprocess

from lib import main as runner
from lib.machine import TREE, Failure
from lib.programs import HostTest


def words_of(path):
    """The tests that the first line of a patch names after the bar, among options with values."""
    with open(path, encoding='utf-8') as file:
        words = shlex.split(file.readline().partition(' | ')[2])
    return [word for before, word in zip(['', *words], words)
            if not word.startswith('--') and before not in ('--arch', '--machine', '--harts', '--repeat', '--seeds', '--sanitize')]


def apply(_):
    names = {test.name for test in runner.all_tests()}
    bad = []
    for path in sorted(glob.glob(os.path.join(TREE, 'tests/mutants/*.patch'))):
        done = subprocess.run(['patch', '-p1', '-F1', '--dry-run', '-i', path], cwd=TREE, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        if done.returncode != 0:
            bad.append(os.path.basename(path) + ' does not apply')
        bad += [f'{os.path.basename(path)}: no test {word}' for word in words_of(path)
                if not any(word in name or fnmatch.fnmatch(name, word) for name in names)]
    if bad:
        raise Failure('; '.join(bad))


def named(_):
    """The tests and mutants that the page of mechanisms names: those that there are, and all mutants."""
    with open(os.path.join(TREE, 'docs/mechanisms.md'), encoding='utf-8') as file:
        text = file.read()
    found = set()
    for source in glob.glob(os.path.join(TREE, 'tests/**/*.[ch]'), recursive=True):
        with open(source, encoding='utf-8') as file:
            program = os.path.basename(source)[:-2]
            found |= {program} | {f'{program}.{fn}' for fn in re.findall(r'TEST\w*\((\w+)\)', file.read())}
    for test in runner.all_tests():
        words = test.name.split('.')
        found |= {'.'.join(words[:n]) for n in range(1, len(words) + 1)}  # trace.host is all of trace.host.*
    mutants = {os.path.basename(path)[:-6] for path in glob.glob(os.path.join(TREE, 'tests/mutants/*.patch'))}
    cells = re.findall(r'^\|[^|]*\|([^|]*)\|([^|]*)\|$', text, re.MULTILINE)[2:]
    bad = [name for tests, _ in cells for name in re.findall(r'`([^`]+)`', tests) if name not in found]
    told = {name for _, some in cells for name in re.findall(r'`([^`]+)`', some)}
    bad += told - mutants
    if bad or len(cells) < 20:
        raise Failure(f'docs/mechanisms.md: there are no {", ".join(bad)}')
    if mutants - told:
        raise Failure(f'docs/mechanisms.md: of no mechanism: {", ".join(sorted(mutants - told))}')


def tests():
    return [HostTest('mutants.apply', apply), HostTest('mutants.named', named)]
