# SPDX-License-Identifier: BSD-2-Clause
"""The arrows between the folders go one way (docs: the layout), and the files look alike.

    examples -> include      net -> sched, drivers      sched -> kernel/hart.h
    drivers -> kernel        kernel/arch implements kernel/hart.h

Checked in the text (#include lines) and in the objects (undefined symbols). Each rule is also
shown a text that breaks it, and must notice.
"""
import os
import re
import subprocess

from lib import machine
from lib.machine import TREE, Failure
from lib.programs import HostTest

COLUMNS = 110
OWN = ('boot', 'kernel', 'sched', 'drivers', 'net', 'include', 'examples')
# Headers in <> that are not the C library's.
LIBRARIES = re.compile(r'(?!(sched|net/if)\.h$)(gump|lwip|netif|libfdt|kernel|sched|drivers|net|boot)\b')
# What a folder may include beside its own headers and the C library's; the longest prefix counts.
MAY_INCLUDE = {
    'include/': r'gump\.h',
    'examples/': r'gump\.h|gump/.*',
    'sched/': r'sched/.*|kernel/hart\.h|gump\.h|gump/.*',
    'drivers/': r'drivers/.*|kernel/[^/]*|@arch',
    'net/': r'net/.*|sched/netpoll\.h|drivers/.*|kernel/[^/]*|gump\.h|gump/net\.h|lwip.*|netif/.*',
    'kernel/': r'kernel/[^/]*|arch\.h|arch_io\.h|libfdt\.h',
    'kernel/arch/': r'kernel/[^/]*',
    'boot/': r'kernel/[^/]*|drivers/.*|libfdt\.h|@arch',
    'kernel/arch/hosted/': r'kernel/[^/]*|kernel/arch/x86_64/save\.h',  # the same processor
    'net/hosted/': r'net/(handle|hostport|keepalive)\.h|sched/netpoll\.h|kernel/[^/]*|gump\.h|gump/net\.h|@arch',
}
# (who, whose): the symbols of the second that objects of the first may need. @hart.h is what
# that header declares of the scheduler. The return thunk is the compiler's, for SWITCHES of hart.h.
MAY_NEED = {
    ('sched', 'kernel'): r'hart_\w+|mem\w+|malloc|memcpy|calloc|realloc|free|aligned_alloc|go_errno|abort|fflush|stdout|stderr|__assert_fail'
                         r'|__x86_return_thunk',
    ('sched', 'boot'): r'hart_count|hart_get',  # of hart.h, too
    ('drivers', 'kernel'): r'.*',
    ('drivers', 'sched'): '@hart.h',
    ('kernel', 'sched'): '@hart.h',
    ('net', 'sched'): r'netpoll_\w+|go_\w+|@hart.h',
    ('net', 'kernel'): r'.*',
    ('net', 'drivers'): r'.*',
    ('boot', 'kernel'): r'.*',
    ('boot', 'drivers'): r'.*',
    ('boot', 'sched'): '@hart.h',
    ('kernel', 'boot'): r'boot_\w+|hart_\w+|__\w+',
}
ARCH_CONDITION = re.compile(r'^\s*#\s*(if|ifdef|ifndef|elif)\b.*\b(__riscv|__x86_64|__amd64|__i386)')


def read(path):
    with open(os.path.join(TREE, path), encoding='utf-8') as file:
        return file.read()


def own_files():
    listed = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard'], cwd=TREE,
                            check=True, stdout=subprocess.PIPE).stdout.decode()
    return [path for path in listed.splitlines() if os.path.isfile(os.path.join(TREE, path))]


def arch_headers():
    return {name for arch in os.listdir(os.path.join(TREE, 'kernel/arch'))
            for name in os.listdir(os.path.join(TREE, 'kernel/arch', arch)) if name.endswith('.h')}


def bad_includes(path, text, headers):
    """The #include lines of the text that a file at this path may not have."""
    prefix = max((p for p in MAY_INCLUDE if path.startswith(p)), key=len, default=None)
    if not prefix:
        return []
    beside = os.path.dirname(path)
    bad = []
    for kind, name in re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', text, re.MULTILINE):
        if kind == '<' and not LIBRARIES.match(name):
            continue
        allowed = re.fullmatch(MAY_INCLUDE[prefix].replace('@arch', '(?!)'), name)
        if '@arch' in MAY_INCLUDE[prefix] and name in headers:
            allowed = True
        if '/' not in name and os.path.exists(os.path.join(TREE, beside, name)):
            allowed = True  # a header that lies beside the file
        # An architecture's own headers, and its part of boot/, go together.
        arch = re.search(r'/(riscv64|x86_64|hosted)$', beside)
        if arch and os.path.exists(os.path.join(TREE, 'kernel/arch', arch[1], name)):
            allowed = True
        if not allowed:
            bad.append(f'{path} includes {name}')
    return bad


def bad_conditions(path, text):
    if re.match(r'(boot|kernel/arch|linker|tests/(riscv64|x86_64|hosted))/', path):
        return []
    return [f'{path}:{number} asks for the architecture: {line.strip()}'
            for number, line in enumerate(text.splitlines(), 1)
            if path.endswith(('.c', '.h', '.S')) and ARCH_CONDITION.match(line)]


def bad_name(path):
    return [f'{path} was left behind by a tool'] if path.endswith(('.orig', '.rej', '.swp', '~')) else []


def bad_first_line(path, text):
    if path == 'LICENSE' or path.startswith('tests/fuzz/corpus/') or path.endswith(('.md', '.json', '.json.in', '.svg', '.gitignore')):
        return []
    first = '\n'.join(text.splitlines()[:2])
    return [] if 'SPDX-License-Identifier: BSD-2-Clause' in first else [f'{path}: no SPDX line']


def bad_lines(path, text):
    """Lines up to 110 columns, a tab being 8 of them."""
    return [f'{path}:{number} is {len(line.expandtabs(8))} columns long, {COLUMNS} are enough'
            for number, line in enumerate(text.splitlines(), 1)
            if path.endswith(('.c', '.h', '.S')) and len(line.expandtabs(8)) > COLUMNS]


def bad_needs(objects, hart_h):
    """objects: {component: [(object, defined, undefined)]}. Symbols across a missing arrow."""
    bad = []
    home = {symbol: component for component, parts in objects.items()
            for _, defined, _ in parts for symbol in defined}
    for component, parts in objects.items():
        for name, _, undefined in parts:
            for symbol in undefined:
                whose = home.get(symbol, component)
                pattern = MAY_NEED.get((component, whose), '(?!)')
                pattern = pattern.replace('@hart.h', '|'.join(hart_h))
                if whose != component and not re.fullmatch(pattern, symbol):
                    bad.append(f'{name} needs {symbol} of {whose}/')
    return bad


def complain(bad):
    if bad:
        raise Failure(f'{len(bad)} wrong:\n    ' + '\n    '.join(bad))


def includes(_):
    headers = arch_headers()
    planted = [('sched/x.c', '#include "drivers/uart.h"'), ('sched/x.c', '#include "arch.h"'),
               ('sched/x.c', '#include "kernel/pages.h"'), ('sched/x.c', '#include <lwip/tcp.h>'),
               ('drivers/x.c', '#include "sched/sched.h"'), ('net/x.c', '#include "sched/sched.h"'),
               ('examples/x.c', '#include "kernel/hart.h"'), ('kernel/x.c', '#include "sched/sched.h"'),
               ('kernel/arch/riscv64/x.c', '# include "sched/sched.h"'),
               ('kernel/arch/riscv64/x.S', '#include "kernel/arch/x86_64/save.h"'),
               ('include/gump.h', '#include "kernel/hart.h"')]
    for path, text in planted:
        if not bad_includes(path, text, headers):
            raise Failure(f'this check does not notice {text} in {path}')
    complain([line for path in own_files() if path.endswith(('.c', '.h', '.S'))
              for line in bad_includes(path, read(path), headers)])


def looks(_):
    if (not bad_conditions('sched/x.c', '\n  # ifdef __riscv') or not bad_first_line('x.c', 'int x;')
            or not bad_lines('sched/x.c', '\t' + 103 * 'x') or bad_lines('sched/x.c', '\t' + 102 * 'x')
            or not bad_name('sched/x.c.orig') or bad_name('sched/x.c')):
        raise Failure('this check does not notice what is wrong')
    bad = []
    for path in own_files():
        bad += bad_name(path)
        try:
            text = read(path)
        except UnicodeDecodeError:
            continue
        bad += bad_conditions(path, text) + bad_first_line(path, text)
        if path.startswith(OWN):
            bad += bad_lines(path, text)
    complain(bad)


def component_of(name):
    """The folder that an object of libgump.a comes from: Meson's names say it."""
    return re.match('|'.join(OWN), os.path.basename(name))[0]


def symbols(_):
    hart_h = re.findall(r'\bsched_\w+', read('kernel/hart.h'))
    planted = {'sched': [('x.o', {'sched_interrupt', 'runq_get'}, {'uart_put', 'hart_kick'})],
               'drivers': [('y.o', {'uart_put'}, {'runq_get', 'sched_interrupt'})],
               'kernel': [('z.o', {'hart_kick'}, set())]}
    if len(bad_needs(planted, hart_h)) != 2:
        raise Failure('this check does not notice the two that are planted')
    bad = []
    for arch in 'riscv64', 'x86_64', 'hosted':
        archive = os.path.join(machine.build_dir(arch), 'libgump.a')
        if not os.path.exists(archive):
            continue
        listing = subprocess.run(['nm', '-A', '-P', archive], check=True, stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL).stdout.decode()
        objects = {}
        for line in listing.splitlines():
            found = re.match(r'.*\[([^]]+)\]: (\S+) (\S)', line)
            if found:
                _, defined, undefined = objects.setdefault(
                    found[1], (found[1], set(), set()))
                (undefined if found[3] == 'U' else defined if found[3].isupper() else set()).add(found[2])
        if len(objects) < 10:
            raise Failure(f'nm shows only {len(objects)} objects in {archive}')
        components = {}
        for name, parts in objects.items():
            components.setdefault(component_of(name), []).append(parts)
        bad += bad_needs(components, hart_h)
    complain(sorted(set(bad)))


def tests():
    return [HostTest('layering.includes', includes), HostTest('layering.looks', looks),
            HostTest('layering.symbols', symbols)]
