# SPDX-License-Identifier: BSD-2-Clause
"""What docs/network.md says of limits and time-outs is what stands in the code."""
import glob
import os
import re

from lib.machine import TREE, Failure
from lib.programs import HostTest

UNITS = {'': 1, 's': 1e9, 'ms': 1e6, 'ns': 1, 'KiB': 1024, 'MiB': 1 << 20, 'pages': 4096}
# Where a constant may be if its row names no file, and what its own file may mean by another's name.
SHARED = ['net/lwip/lwipopts.h', 'subprojects/lwip-patched-*/lwip-2.2.1/src/include/lwip/opt.h',
          'subprojects/lwip-patched-*/lwip-2.2.1/src/include/lwip/priv/tcp_priv.h']


def read(pattern):
    path = sorted(glob.glob(os.path.join(TREE, pattern)), key=lambda path: (len(path), path))  # 9, 10
    if not path:
        raise Failure(f'there is no {pattern}')
    with open(path[-1], encoding='utf-8', errors='replace') as file:
        return file.read()


def value(name, texts):
    """What a constant is: of a #define, a member that is set, an option of a table, or a variable."""
    for text in texts:
        for form in (r'^#define NAME[ \t]+(.*)$', r'(?<!\w)NAME = ([^;,}]*);', r'NAME = (\d+)', r'NAME, (\d+)'):
            if found := re.search(form.replace('NAME', re.escape(name)), text, re.MULTILINE):
                words = re.sub(r'/\*.*|\(int64_t\)', '', found[1])
                words = re.sub(r'\b[A-Za-z_]\w*', lambda word: str(value(word[0], texts)), re.sub(r'(\d)[uUlL]+\b', r'\1', words))
                return eval(words, {'__builtins__': {}})  # numbers and operators are all that is left
    raise Failure(f'nothing says what {name} is')


def limits(_):
    text = read('docs/network.md').partition('## Limits and time-outs\n')[2].partition('\n## ')[0]
    rows, wrong = re.findall(r'^\| ([^|]+) \| ([^|]+) \| ([^|]*)\| ([^|]+) \|$', text, re.MULTILINE)[1:], []
    if len(rows) < 20:
        raise Failure(f'the table has {len(rows)} rows')
    for what, defaults, _, where in rows:
        said = [(float(number.replace(',', '')), unit) for number, unit in re.findall(r'([\d,]*\d) ?(s|ms|KiB|MiB|)(?:, |$)', defaults)]
        words = re.findall(r'`([^`]+)`(?: (s|ms|ns|pages)\b)?', where)
        names = [word for word in words if '/' not in word[0]]
        texts = [*(read(name) for name, _ in words if '/' in name), *map(read, SHARED)]
        meant = [(value(name, texts), unit) for name, unit in names]
        if len(said) != len(meant) or not said or any(a * UNITS[b] != c * UNITS[d] for (a, b), (c, d) in zip(said, meant)):
            wrong.append(f'{what}: {defaults} is said, {meant} is meant')
    if wrong:
        raise Failure('\n  '.join(wrong))


def options(_):
    """The options' table has all that net/limits.c reads, with its bounds and defaults."""
    text = read('docs/network.md').partition('## Options\n')[2].partition('\n## ')[0]
    code, wrong = read('net/limits.c'), []
    said = {name: (bounds.replace(',', '').split('; '), default) for name, bounds, default in
            re.findall(r'^\| `(\w+)` \| [^|]+ \| ([\d,; ]+?)(?: each)? \| ([\d,]+) \|$', text, re.MULTILINE)}
    found = re.findall(r'\{ "(\w+)", "\w[\w,]*",\s*\{((?:\s*\{ &\w+, \d+, \d+ \},?)+) \} \}', code)
    if len(found) < 9:
        raise Failure(f'net/limits.c has {len(found)} options')
    for name, numbers in found:
        triples = re.findall(r'&(\w+), (\d+), (\d+)', numbers)
        bounds = [f'{least} {most}' for _, least, most in triples]
        defaults = ','.join(str(value(limit, [code])) for limit, _, _ in triples)
        if name not in said or said[name][1] != defaults or \
                (said[name][0] != bounds and said[name][0] * len(bounds) != bounds):
            wrong.append(f'{name}: {said.get(name)} is said, {bounds}, {defaults} is meant')
    if wrong:
        raise Failure('\n  '.join(wrong))


def tests():
    found = [HostTest('docs.limits', limits), HostTest('docs.options', options)]
    for test in found:
        test.source = ''  # they boot nothing
    return found
