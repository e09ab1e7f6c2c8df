# SPDX-License-Identifier: BSD-2-Clause
"""The fuzzing targets of tests/fuzz: how they are built (into build/fuzz, by ninja), and how one is run.

A target is one C file there. @with in its first comment says what is linked to it: `net`, `lwip` and `libfdt` are
those libraries, anything else a source file of the tree. The files of tests/fuzz/corpus/TARGET are what it begins with.
"""
import glob
import os
import re
import subprocess

from lib.machine import TREE

FUZZ = os.path.join(TREE, 'tests', 'fuzz')
BUILD = os.path.join(TREE, 'build', 'fuzz')
# -fsanitize=undefined asks for aligned words, which lwIP's headers are (net/lwip/arch/cc.h), in frames too.
FLAGS = ['-std=gnu11', '-g', '-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-D_GNU_SOURCE',
         '-DGUMP_CHECKS=0', '-I.', '-Iinclude', '-Ikernel/arch/hosted', '-Inet/lwip']
LWIP = 'lwip-patched-*/lwip-2.2.1'
# lwIP takes the address of the first member of what may be NULL: NULL.
LIBRARY = '-w -fno-sanitize=null'
OWN = ['-Wall', '-Wextra', '-Werror', '-Wno-unused-parameter', '-Wno-unused-function', '-Wno-macro-redefined']
LOADS = '-fsanitize-coverage=trace-loads' # of what is read of memory that a device can write: tests/fuzz/virtio.c
QUIET = {'ASAN_OPTIONS': 'detect_leaks=0:quarantine_size_mb=16'} # leaks: what a run that ends early has allocated


def targets():
    return sorted(os.path.basename(path)[:-2] for path in glob.glob(os.path.join(FUZZ, '*.c')))


def folder(pattern):
    """A library's sources, which Meson has unpacked."""
    found = sorted(glob.glob(os.path.join(TREE, 'subprojects', pattern)), key=lambda path: (len(path), path)) # 9, 10
    return os.path.relpath(found[-1], TREE) if found else pattern


def listed(library, where):
    """The files that the library's meson.build names."""
    with open(os.path.join(TREE, 'subprojects', 'packagefiles', library, 'meson.build'), encoding='utf-8') as file:
        return [os.path.join(where, name) for name in re.findall(r"^  '(\S+\.c)',", file.read(), re.MULTILINE)]


def parts(target):
    """What is linked to it."""
    with open(os.path.join(FUZZ, target + '.c'), encoding='utf-8') as file:
        words = re.search(r'@with (.*)|$', file.read().split('*/\n', 2)[1])[1] or ''
    for word in words.split():
        if word == 'net': # but for its memory, which is to be malloc's
            yield from sorted(set(map(lambda path: os.path.relpath(path, TREE), glob.glob(f'{TREE}/net/*.c')))
                              - {'net/memory.c'})
        elif word == 'lwip':
            yield from listed('lwip', folder(LWIP)[:-len('lwip-2.2.1')])
        elif word == 'libfdt':
            yield from listed('libfdt', folder('opensbi-*/lib/utils/libfdt')[:-len('lib/utils/libfdt')])
        else:
            yield word


def ninja_file():
    includes = ['-I' + folder(LWIP + '/src/include'), '-I' + folder('opensbi-*/lib/utils/libfdt')]
    flags = ' '.join(FLAGS + includes)
    lines = [f'builddir = {os.path.relpath(BUILD, TREE)}',
             f'rule part\n  command = clang {flags} -fsanitize=fuzzer-no-link $more -include tests/fuzz/sections.h -MD -MF '
             '$out.d -c $in -o $out\n  depfile = $out.d\n  deps = gcc',
             f'rule target\n  command = clang {flags} {" ".join(OWN)} -fsanitize=fuzzer -MD -MF $out.d -MT $out $in -o '
             '$out\n  depfile = $out.d\n  deps = gcc']
    objects = {}
    for target in targets():
        for source in parts(target):
            objects[source] = '$builddir/' + source.replace('/', '_') + '.o'
        files = ' '.join(objects[source] for source in parts(target))
        lines.append(f'build $builddir/{target}: target tests/fuzz/{target}.c {files}')
    for source, file in objects.items():
        more = LIBRARY if source.startswith('subprojects/') else LOADS if source.startswith('drivers/virtio/') else ''
        lines.append(f'build {file}: part {source}\n  more = {more}')
    return '\n'.join(lines) + '\n'


def build(target, jobs=2):
    """(status, what the compiler said)"""
    os.makedirs(BUILD, exist_ok=True)
    file = os.path.join(BUILD, 'build.ninja')
    with open(file, 'w', encoding='utf-8') as out:
        out.write(ninja_file())
    done = subprocess.run(['ninja', '-C', TREE, '-f', file, '-j', str(jobs), f'build/fuzz/{target}'],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout.decode(errors='replace')


def command(target, seconds, corpus, more=()):
    """Runs it on its own corpus, and writes what it finds new into `corpus`; a finding is kept in build/fuzz."""
    kept = os.path.join('tests', 'fuzz', 'corpus', target)
    return [f'build/fuzz/{target}', f'-max_total_time={seconds}', '-max_len=10000', '-timeout=20', '-rss_limit_mb=2048',
            '-verbosity=1', f'-artifact_prefix=build/fuzz/{target}-', *more, corpus, kept]
