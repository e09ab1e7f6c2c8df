# SPDX-License-Identifier: BSD-2-Clause
"""qemu/run and gump-cc as their users meet them: programs from anywhere, and what goes wrong.

Programs are made in a folder outside the tree, whose name has a blank in it.
"""
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile

from lib import machine
from lib.machine import ARCH, MACHINES, TREE, Failure, free_port
from lib.programs import HostTest

PROGRAM = '''
#include <gump.h>
#include <stdio.h>
#include <stdlib.h>
#include "answer.h"

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		printf("argument [%s]\\n", argv[i]);
	if (getenv("SAID"))
		printf("said [%s]\\n", getenv("SAID"));
	printf("%d harts\\n", go_harts());
	return answer();
}
'''
ANSWER = '#include "answer.h"\nint answer(void) { return ANSWER; }\n'
MAKEFILE = '''
CFLAGS = -O1 -Wall -DANSWER=23
out.elf: main.o answer.o
	$(CC) $(LDFLAGS) -o $@ main.o answer.o
'''


class Folder:
    """A temporary folder with a program of two files; removed at the end."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix='gump outside ')
        self.write('main.c', PROGRAM)
        self.write('answer.c', '#define ANSWER 11\n' + ANSWER)
        self.write('answer.h', 'int answer(void);\n')
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path)

    def file(self, name):
        return os.path.join(self.path, name)

    def write(self, name, text):
        with open(self.file(name), 'w', encoding='utf-8') as file:
            file.write(text)
        return self.file(name)


def call(test, *command, cwd=TREE, env=None, timeout=60):
    """(status, output) of a command that ends by itself."""
    test.command = ' '.join(command)
    try:
        done = subprocess.run(command, cwd=cwd, env=env, timeout=timeout, check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
    except subprocess.TimeoutExpired as error:
        test.output = (error.stdout or b'').decode(errors='replace')
        raise Failure(f'no end within {timeout} s') from None
    test.output = done.stdout.decode(errors='replace').replace('\r', '')
    return done.returncode, test.output


def check(test, result, status, *texts):
    if result[0] != status:
        raise Failure(f'exit status {result[0]}, not {status}')
    for text in texts:
        if text not in result[1]:
            raise Failure(f'no "{text}"')


def run(*args):
    return (os.path.join(TREE, 'qemu/run'), *args)


def one_file(test):
    """A single .c file outside the tree, from another directory, by a relative path."""
    with Folder() as folder:
        folder.write('answer.h', '#include <stdlib.h>\nstatic int answer(void) { return 9; }\n')
        result = call(test, *run('--machine', test.machine_name, '--harts', '3', '--net', 'none',
                                 '-e', 'SAID=a b', 'main.c', 'x y', '"', '-n', '\\', '', '$HOME'),
                      cwd=folder.path)
        check(test, result, 9, '3 harts', 'said [a b]', 'argument [x y]', 'argument ["]',
              'argument [-n]', 'argument [\\]', 'argument []', 'argument [$HOME]')
        # The command that it printed does the same without the script.
        shown = re.search(r'^.*qemu-system-\w+ .*$', result[1], re.MULTILINE)
        if not shown or '-kernel' not in shown[0]:
            raise Failure('the QEMU command line is not printed')
        again = call(test, 'sh', '-c', shown[0])
        check(test, (0, again[1]), 0, '3 harts', 'said [a b]', 'argument [x y]', 'argument []')


def assignments(test):
    """An argument of a variable's form is an argument, and -- is one, too."""
    with Folder() as folder:
        for arguments in ['NAME=1', 'SAID=2'], ['--', 'NAME=1'], ['x', '--']:
            result = call(test, *run('--machine', test.machine_name, '--net', 'none', '-e', 'SAID=yes', folder.path,
                                     *arguments))
            check(test, result, 11, 'said [yes]', *(f'argument [{each}]' for each in arguments))


def trace_beside_other_options(test):
    with Folder() as folder:
        for options in 'schedtrace=1000', 'seed=5', 'trace=100':
            result = call(test, *run('--machine', test.machine_name, '--net', 'none', '-e', f'GUMPDEBUG={options}',
                                     '--trace', folder.file('out.json'), folder.path))
            check(test, result, 11, 'events in ')


def folder_of_files(test):
    with Folder() as folder:
        result = call(test, *run('--machine', test.machine_name, '--net', 'none', folder.path))
        check(test, result, 11, '4 harts')


def makefile(test):
    """CC="gump-cc --target=..." is all that a Makefile needs."""
    arch = ARCH[test.machine_name]
    cc = f'gump-cc --target={arch}'
    if machine.compiler or machine.checks:
        cc += f' --build={machine.build_dir(arch)}'
    with Folder() as folder:
        folder.write('answer.c', ANSWER)
        folder.write('Makefile', MAKEFILE)
        env = dict(os.environ, PATH=os.path.join(TREE, 'qemu') + ':' + os.environ['PATH'])
        check(test, call(test, 'make', 'CC=' + cc, cwd=folder.path, env=env), 0)
        result = call(test, *run('--machine', test.machine_name, '--net', 'none',
                                 folder.file('out.elf')))
        check(test, result, 23, '4 harts')


def odd_status(test):
    with Folder() as folder:
        program = folder.write('status.c', '#include <stdlib.h>\nint main(int argc, char **argv)'
                                           ' { exit(atoi(argv[argc - 1])); }\n')
        for status in 0, 1, 2, 3, 68, 124, 127, 128, 137, 254, 255:
            result = call(test, *run('--machine', test.machine_name, '--net', 'none', program,
                                     str(status)))
            check(test, result, status)
        for status in 68, 124, 137:  # which are those of QEMU's, and of programs that time is up for
            check(test, call(test, *run('--machine', test.machine_name, '--net', 'none', '--timeout', '30', program,
                                        str(status))), status)


def wrong_use(test):
    """One clear message, status 1, at once."""
    with Folder() as folder, socket.create_server(('127.0.0.1', 0)) as busy:
        program = folder.write('fine.c', 'int main(void) { return 0; }\n')
        broken = folder.write('broken.c', 'int main(void) { return no_such_thing; }\n')
        loose = folder.write('loose.c', 'void nowhere(void); int main(void) { nowhere(); }\n')
        text = folder.write('text', 'neither source nor image\n')
        riscv64 = machine.image_path('idle', 'riscv64')
        process = folder.file('process')
        check(test, call(test, 'gcc', '-no-pie', program, '-o', process), 0)
        port = busy.getsockname()[1]
        os.mkdir(folder.file('empty'))
        for args, message in (
                (['--nonsense', program], '--nonsense'),
                ([], 'no program'),
                (['--harts', '0', program], '--harts'),
                (['--harts', '17', program], '--harts'),
                (['--harts', '010', program], '--harts'),
                (['--mem', '99999999999G', program], '--mem'),
                (['--', '-dash.c'], '-dash.c: no such file'),
                ([program, 'x' * 4000], '3,500'),
                (['--harts', 'many', program], '--harts'),
                (['--mem', 'much', program], '--mem'),
                (['--timeout', '0', program], '--timeout'),
                (['--mem', '7M', program], 'virt needs 8M'),
                (['--mem', '1024K', '--machine', 'q35', program], 'q35 needs 2M'),
                (['--arch', 'sparc', program], 'sparc'),
                (['--machine', 'pdp11', program], 'pdp11'),
                (['--arch', 'riscv64', '--machine', 'q35', program], 'q35'),
                (['--net', 'avian', program], 'avian'),
                (['--net', 'user', '--net', 'none', program], 'no other network'),
                (['--arch', 'hosted', '--net', 'user', '--net', 'user', program], 'twice'),
                (['--arch', 'hosted', '--mem', '64M', program], '--mem'),
                (['--arch', 'hosted', '--net', 'tap:lo', program], 'tap:lo'),
                (['--arch', 'hosted', '--qemu-arg', '-S', program], '--qemu-arg'),
                (['--arch', 'x86_64', riscv64], 'is an image for riscv64, not x86_64'),
                (['--arch', 'hosted', riscv64], 'is an image for riscv64, not hosted'),
                (['--arch', 'x86_64', process], 'is an image for hosted, not x86_64'),
                (['/bin/true'], 'neither'),
                (['--net', 'tap:nothere0', program], 'nothere0'),
                (['--publish', 'http', program], '--publish'),
                (['--publish', f'{port}:80', program], f'{port}'),
                (['--publish', '8080:70000', program], '65535'),
                (['--publish', '08080:80', program], '65535'),
                (['--quiet=1', program], '--quiet'),
                (['--trace', folder.file('no/folder.json'), program], 'cannot be written'),
                (['-e', 'NOVALUE', program], 'NOVALUE'),
                (['-e', 'a.b=1', program], 'a.b'),
                ([folder.file('missing.c')], 'missing.c'),
                ([folder.file('empty')], 'empty'),
                ([text], 'text'),
                ([broken], 'no_such_thing'),
                ([loose], 'nowhere')):
            result = call(test, *run(*args), timeout=30)
            check(test, result, 1, message)
            if 'qemu-system' in re.sub(r'qemu/run:.*', '', result[1]):
                raise Failure('QEMU was started')


def unwritable(test):
    """A tree that cannot be written boots images, and says so when something is to be built."""
    with Folder() as folder:
        image = machine.image_path('idle', 'x86_64')
        os.symlink(os.path.join(TREE, 'subprojects'), folder.file('subprojects'))
        shutil.copytree(os.path.join(TREE, 'qemu'), folder.file('qemu'))
        folder.write('build', 'no folder\n')
        own, trace = folder.file('qemu/run'), folder.file('trace.json')
        env = dict(os.environ, TMPDIR=folder.path)
        check(test, call(test, own, '--net', 'none', '--trace', trace, image, '0', env=env), 0, 'idle now', 'events in ')
        check(test, call(test, own, '--net', 'none', folder.file('main.c'), env=env), 1, 'build cannot be written')
        left = [name for name in os.listdir(folder.path) if name.startswith('gump-run.')]
        if left:
            raise Failure(f'{left} are left over')


def qemu_alone(test):
    """An image needs nothing but QEMU; without that the one missing thing is named. No apt: what it would do is said."""
    with Folder() as folder:
        os.mkdir(folder.file('bin'))
        tools = ('bash basename cat cksum cut dirname env grep head id mkdir mktemp numfmt od readlink rm sed sort tail '
                 'timeout tr uname').split()
        for name in tools + ['qemu-system-x86_64']:
            os.symlink(shutil.which(name), folder.file('bin/' + name))
        env = dict(os.environ, PATH=folder.file('bin'))
        image = machine.image_path('idle', 'x86_64')
        check(test, call(test, *run('--net', 'none', image, '0'), env=env), 0, 'idle now')
        os.unlink(folder.file('bin/qemu-system-x86_64'))
        result = call(test, *run('--net', 'none', image, '0'), env=env)
        check(test, result, 1, 'qemu-system-x86 ', 'no qemu-system-x86_64', 'no apt here')


def unknown_tests(test):
    """A name that no test has is an error, not a run in which nothing failed."""
    for args, message in (['no.such.test', 'layering'], 'no.such.test'), (['layering', '--harts', '16'], 'no test is'):
        result = call(test, os.path.join(TREE, 'tests/run'), *args)
        check(test, result, 2, message, '--list')


def one_target(test):
    """Of qemu/build: another would be an option of Meson's; and the soak's help builds nothing."""
    check(test, call(test, os.path.join(TREE, 'qemu/build'), 'riscv64', 'x86_64', timeout=30), 2, 'one target', 'x86_64')
    check(test, call(test, os.path.join(TREE, 'tests/soak'), '--help', timeout=5), 0, 'usage: tests/soak', 'Half an hour')
    check(test, call(test, os.path.join(TREE, 'tests/soak'), 'an', 'hour', timeout=5), 2, 'usage: tests/soak')


def help_text(test):
    for command in 'qemu/build', 'qemu/deps', 'qemu/gump-cc', 'qemu/trace', 'tests/run', 'tests/soak':
        for option in '--help', '-h':
            check(test, call(test, os.path.join(TREE, command), option, timeout=30), 0,
                  'usage: ' + command.replace('qemu/gump-cc', 'gump-cc'))
    check(test, call(test, os.path.join(TREE, 'qemu/build'), timeout=5), 2, 'usage: qemu/build')
    for args in ['nothere', 'nothere', 'out.json'], [TREE + '/README.md', TREE + '/README.md', '/nothere/out.json']:
        result = call(test, os.path.join(TREE, 'qemu/trace'), *args)
        check(test, result, 1, 'qemu/trace: ')
        if 'Traceback' in result[1]:
            raise Failure('a mistake of the user is not one of qemu/trace')
    result = call(test, *run('--help'))
    check(test, result, 0, *('--arch --machine --harts --mem --net --publish -e --gdb --qemu-arg'
                             ' FILE.c DIR').split())


def interrupted(test):
    """A signal ends QEMU too."""
    image = machine.image_path('idle', 'riscv64')
    with test.boot(image, machine='virt', harts=1, args=['60']) as boot:
        boot.wait_for('idle now')
        pid = boot.qemu_pid()
        boot.process.terminate()
        if boot.process.wait(5) == 0:
            raise Failure('status 0 after SIGTERM')
        boot.reader.join(5)
        if os.path.exists(f'/proc/{pid}'):
            raise Failure('QEMU is still there')


def interrupted_hosted(test):
    """Ctrl-C ends a process, too, which bash has started in the background."""
    image = machine.image_path('idle', 'hosted')
    with test.boot(image, machine='hosted', harts=1, args=['60']) as boot:
        boot.wait_for('idle now')
        boot.process.send_signal(signal.SIGINT)
        if boot.process.wait(5) == 0:
            raise Failure('status 0 after SIGINT')


def published_port(test):
    """The port that is asked for is taken while the machine runs."""
    image = machine.image_path('idle', 'riscv64')
    port = free_port()
    with test.boot(image, machine='virt', harts=1, net='user', publish=[f'{port}:80'],
                   args=['60']) as boot:
        boot.wait_for('idle now')
        result = call(test, *run('--publish', f'{port}:80', image))
        check(test, result, 1, str(port))


def tests():
    each = [one_file, assignments, trace_beside_other_options, folder_of_files, makefile, odd_status]
    return ([HostTest(f'qemu-run.{f.__name__}', f, name, 4) for f in each
             for name in (MACHINES if f is odd_status else
                          ('virt', 'q35', 'hosted') if f is trace_beside_other_options else ('virt', 'q35'))]
            + [HostTest(f'qemu-run.{f.__name__}', f)
               for f in (wrong_use, unwritable, qemu_alone, unknown_tests, one_target, help_text, interrupted,
                         interrupted_hosted, published_port)])
