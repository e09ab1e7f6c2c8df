# SPDX-License-Identifier: BSD-2-Clause
"""gump-cc with the options and mistakes that people bring along from other compilers."""
import os
import shutil

from lib import machine
from lib.machine import ARCH, TREE, Failure
from lib.programs import HostTest
from test_qemu_run import Folder, call, check, run

# main's call is the last thing it does: as a jump it would not be in the backtrace.
LAST_CALL = '''#include <gump.h>
__attribute__((noinline, noipa)) int inner(int n) { if (n > 0) go_panic("inner was called"); return n; }
__attribute__((noinline, noipa)) int outer(int n) { return inner(n); }
int main(int argc, char **argv) { return outer(argc); }
'''
FINE = 'int main(void) { return 0; }\n'


def gump_cc(test, *args):
    command = [os.path.join(TREE, 'qemu/gump-cc'), '--target=' + ARCH[test.machine_name]]
    if machine.compiler or machine.checks:
        command.append('--build=' + machine.build_dir(ARCH[test.machine_name]))
    return call(test, *command, *args)


def backtraces(test):
    """A function whose last action is a call is in the backtrace, unless the user says otherwise."""
    with Folder() as folder:
        source, image = folder.write('last.c', LAST_CALL), folder.file('last')
        for options, there in ([], True), (['-O3'], True), (['-foptimize-sibling-calls'], False):
            check(test, gump_cc(test, *options, source, '-o', image), 0)
            result = call(test, *run('--machine', test.machine_name, '--net', 'none', image))
            check(test, result, 2, 'inner was called', 'inner+')
            if ('outer+' in result[1]) != there:
                raise Failure(f'outer in the backtrace with {options}: {not there}')


# gump has functions and variables of these names for itself.
NAMES = """
#include <gump.h>
#include <stdio.h>
int ready, sched, machine, schedule, exclusive, timer_start, udp_send, mem_free, fdt_path_offset;
int park(void) { return 0; }
int cmdline_parse(const char *line) { puts("not for gump to call"); return ready + !line; }
static void count(void *unused) { ready++; }
int main(void)
{
	go(count, NULL);
	while (go_count() > 1)
		go_yield();
	printf("ready is %d\\n", ready + park());
	go_panic("and gump has its names in backtraces");
}
"""

# Of C's names these are none.
POSIX_NAMES = """
#include <gump.h>
#include <stdio.h>
#include <time.h>
const char *usleep = "naps";
int times = 3;
int sleep(int n) { return 2 * n; }
int main(void)
{
	clock_t start = clock();
	go_sleep(50000000);
	printf("own: %d %d %s, clock %s\\n", sleep(3), times, usleep, clock() >= start ? "goes" : "stands");
	return 0;
}
"""


def targets(test):
    """How to compile for the test's machine, and once for the host, too."""
    yield gump_cc, test.machine_name
    if test.machine_name == 'q35':
        yield (lambda test, *args: call(test, os.path.join(TREE, 'qemu/gump-cc'), '--target=hosted', *args)), 'hosted'


def names(test):
    """A program has all names for itself but the public ones."""
    with Folder() as folder:
        source, image = folder.write('names.c', NAMES), folder.file('names')
        for target, name in targets(test):
            check(test, target(test, source, '-o', image), 0)
            result = call(test, *run('--machine', name, '--net', 'none', image))
            check(test, result, 2, 'ready is 1', 'panic: and gump', 'main+', 'go_panic+')
            if 'not for gump' in result[1] or 'gump.' in result[1].replace('gump.h', ''):
                raise Failure(f'names of gump are mixed up with the program\'s: {result[1]}')


def posix_names(test):
    """What only POSIX has is a program's to name as it likes, and C's clock() does not trip over it."""
    with Folder() as folder:
        source, image = folder.write('own.c', POSIX_NAMES), folder.file('own')
        for target, name in targets(test):
            check(test, target(test, source, '-o', image), 0)
            check(test, call(test, *run('--machine', name, '--net', 'none', image)), 0, 'own: 6 3 naps, clock goes')


def stripped(test):
    """-s takes the symbols, not the names in backtraces."""
    with Folder() as folder:
        source, image = folder.write('last.c', LAST_CALL), folder.file('last')
        check(test, gump_cc(test, '-s', source, '-o', image), 0)
        with open(image, 'rb') as file:
            if b'.symtab' in file.read():
                raise Failure('the image has a symbol table')
        result = call(test, *run('--machine', test.machine_name, '--net', 'none', image))
        check(test, result, 2, 'inner+', 'main+')


def refused(test):
    """What cannot work is named in one line."""
    with Folder() as folder:
        fine, out = folder.write('fine.c', FINE), folder.file('out')
        local = folder.write('local.c', 'static _Thread_local int n;\n'
                                        'int main(int c, char **v) { return n += c; }\n')
        plus = folder.write('plus.cpp', FINE)
        quote, itself = folder.write('quote', '"'), folder.file('itself')
        folder.write('itself', f'"@{itself}"')
        for args, message in (
                ([local, '-o', out], 'thread-local variables do not exist here'),
                ([plus, '-o', out], 'no C++'),
                (['-c', plus, '-o', out], 'no C++'),
                (['-x', 'c++', fine, '-o', out], 'no C++'),
                (['-shared', fine, '-o', out], '-shared'),
                (['-fsanitize=address', fine, '-o', out], '-fsanitize=address'),
                (['-fsanitize=undefined', fine, '-o', out], '-fsanitize-undefined-trap-on-error'),
                ([fine, '-o', folder.file('nothere/out')], 'nothere/out'),
                ([fine, '-o', fine], 'is the output, too'),
                (['@' + quote], 'closing quotation'),
                (['@' + itself], 'names itself'),
                (['--build=' + os.path.join(TREE, 'build', 'hosted'), fine], 'is not for'),
                ([fine, '-o', folder.path], f'cannot write {folder.path}: Is a directory'),
                ([folder.file('nothere.c')], 'nothere.c'),
                ([folder.file('nothere.o')], 'nothere.o')):
            result = gump_cc(test, *args)
            check(test, result, 1, message)
            if 'Traceback' in result[1]:
                raise Failure('a mistake of the user is not one of gump-cc')


def refused_for_hosted(test):
    """What a machine refuses a process of the host refuses, too; and a folder without gump is named."""
    with Folder() as folder:
        local = folder.write('local.c', '_Thread_local int n;\nint main(void) { return n; }\n')
        hosted = [os.path.join(TREE, 'qemu/gump-cc'), '--target=hosted']
        check(test, call(test, *hosted, local, '-o', folder.file('out')), 1,
              'thread-local variables do not exist here')
        check(test, call(test, *hosted, '--build=' + folder.path, local), 1, '--build=' + folder.path)


def system_libraries(test):
    """What build systems add for threads, clocks and plug-ins asks for nothing here."""
    with Folder() as folder:
        check(test, gump_cc(test, folder.write('fine.c', FINE), '-o', folder.file('out'), '-pthread', '-lm',
                            '-lpthread', '-lrt', '-ldl'), 0)


def headers(test):
    """Each public header by itself, before anything else, whatever the edition of C; and from C++."""
    with Folder() as folder:
        # A copy, because the tree's are system headers, whose warnings are not shown.
        copy = shutil.copytree(os.path.join(TREE, 'include'), folder.file('include'))
        strict = ['-I' + copy, '-Wall', '-Wextra', '-Wpedantic', '-Werror', '-fsyntax-only']
        for name in 'gump.h', 'gump/net.h', 'gump/trace.h':
            source = folder.write('use.c', f'#include <{name}>\n#include <{name}>\n'
                                           '__attribute__((noreturn)) void end(void);\n')
            for std in 'c99', 'gnu99', 'c11', 'gnu11', 'c17', 'gnu17', 'gnu2x':
                check(test, gump_cc(test, '-std=' + std, *strict, source), 0)
            if shutil.which('g++'):
                check(test, call(test, 'g++', '-x', 'c++', *strict, source), 0)


def tests():
    return [HostTest(f'gump-cc.{f.__name__}', f, name, 1)
            for f in (backtraces, names, posix_names, stripped, refused, system_libraries, headers)
            for name in ('virt', 'q35')] + [HostTest('gump-cc.refused_for_hosted', refused_for_hosted)]
