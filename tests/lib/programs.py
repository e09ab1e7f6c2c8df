# SPDX-License-Identifier: BSD-2-Clause
"""The programs of tests/, what their @test lines say, and whether a boot did as they say.

A line of a program's first comment that starts with @test stands for boots on each machine:

    @test [NAME] [KEY=VALUE]... [EXPECTED]...

NAME is the program's argument (and part of the test's name). EXPECTED is "text" or /regex/ that
the console must show, with ! before it one that it must not. Keys:

    harts=1,2,4      the numbers of harts (this is the default); with 4 among them, 2 is for virt and q35 only,
                     and 1 not for microvm, which is q35 with other devices
    machines=virt,q35,microvm,hosted   hosted is no machine but a process of this host
    sanitize=thread,address,undefined  on hosted also with these; empty: with none
    status=0         the expected exit status; with 0 a line PASS is expected too
    mem=128M         memory
    env=A=1|B=2      environment
    args=a|b         the arguments, in place of NAME
    timeout=30       seconds
    lines=N each=/regex/   exactly N lines of the console match the regex from end to end
    alone            nothing else runs meanwhile: it measures time
    checks           in the build with checks, whichever is asked for

A program with a line of @stress is in the stress suite, `tests/run --stress`, which boots it as that line says, on
virt and q35 with 1, 2, 4, and 8 harts. PART=10 in the environment makes a tenth of the rounds (test_part()).
"""
import functools
import glob
import json
import os
import re
import subprocess

from lib import machine
from lib.machine import ARCH, TREE, Failure, Machine

TOKEN = re.compile(r'''(?P<expect>!?(?:"[^"]*"|/(?:\\.|[^/\\])+/))(?!\S)
                     | (?P<key>\w+)=(?P<value>"(?:\\.|[^"\\])*"|/(?:\\.|[^/\\])+/|\S*)
                     | (?P<word>\S+)''', re.VERBOSE)
FOLDERS = {'tests': None, 'tests/riscv64': 'riscv64', 'tests/x86_64': 'x86_64', 'tests/hosted': 'hosted',
           'examples': None}
FLAGS = ['-Wall', '-Wextra', '-Werror', '-Wno-unused-parameter', '-Wno-infinite-recursion',
         '-fno-optimize-sibling-calls',  # backtraces that name every caller
         '-Wno-atomic-alignment',  # clang's, of an atomic that needs a lock: there is a test of those
         '-Itests', '-I.']  # some look at the kernel and the scheduler from inside


broken = {}  # image -> what the compiler said


class Test:
    """One boot, or one check on the host: run() raises Failure, output is for the report."""
    alone = False
    waits = False  # most of the time nothing runs, until a lease or a time-out is over: others run beside it
    sanitizer = ''
    source = None  # the program that is booted; None: it may be any, '': none is
    seed = None    # of random scheduling, in the build with checks
    machine_name = ''
    harts = 0
    most = False   # a program's, on 4 harts, or on as many as it is for if that is less

    def __init__(self, name):
        self.name = name
        self.output = ''
        self.command = ''

    @property
    def checks(self):
        """Is this about the build with checks?"""
        return machine.checks

    def environment(self, env):
        return machine.with_seed(env, self.seed) if self.seed is not None else env

    def patience(self, seconds):
        """A time limit: random scheduling takes its time."""
        return 4 * seconds if self.checks or self.sanitizer else seconds

    def run(self):
        raise NotImplementedError


class HostTest(Test):
    """A function of a test_*.py file; it may set output and command of the test it is given."""

    def __init__(self, name, function, machine_name='', harts=0, alone=False, waits=False):
        super().__init__(name)
        self.function, self.machine_name, self.harts = function, machine_name, harts
        self.alone, self.waits = alone, waits
        self.sanitizer = machine_name.partition('-')[2]

    def run(self):
        self.function(self)

    def boot(self, program, **options):
        """A Machine whose console is in this test's report when it fails."""
        options.setdefault('machine', self.machine_name)
        options.setdefault('harts', self.harts)
        options.setdefault('urgent', self.alone)
        options['env'] = self.environment(options.get('env', ()))
        options['timeout'] = self.patience(options.get('timeout', 30))
        self.machine = Machine(program, **options)
        self.command = self.machine.shown()
        return self.machine


class Boot(Test):
    def __init__(self, source, line, machine_name, harts, with_checks=None):
        program = os.path.basename(source)[:-2]
        super().__init__(program + ('.' + line.name if line.name else ''))
        self.source, self.machine_name, self.harts, self.line = source, machine_name, harts, line
        self.alone = line.alone
        self.sanitizer = machine_name.partition('-')[2]
        self.with_checks = with_checks
        self.image = machine.image_path(program, ARCH[machine_name], with_checks)

    @property
    def checks(self):
        return machine.with_checks(self.with_checks)

    def run(self):
        line = self.line
        if self.image in broken:
            self.output, broken[self.image] = broken[self.image], ''  # once is enough
            raise Failure('the program does not compile' + ('' if self.output else ': see above'))
        boot = Machine(self.image, self.machine_name, self.harts, mem=line.keys.get('mem'),
                       env=self.environment(line.list('env')), args=line.list('args'),
                       timeout=self.patience(float(line.keys.get('timeout', 30))),
                       urgent=self.alone)
        self.command = boot.shown()
        with boot:
            try:
                status = boot.wait()
            finally:
                self.output = boot.text
        line.check(status, boot.text)


class Line:
    """What one @test line says."""

    def __init__(self, text):
        self.name, self.keys, self.expected = '', {}, []
        self.alone = self.checks = False
        for token in TOKEN.finditer(text):
            if token['expect']:
                self.expected.append(token['expect'])
            elif token['key']:
                value = token['value']
                if value.startswith('"'):
                    value = re.sub(r'\\(.)', r'\1', value[1:-1])
                self.keys[token['key']] = value
            elif token['word'] in ('alone', 'checks'):
                setattr(self, token['word'], True)
            else:
                self.name = token['word']
        if self.name:
            self.keys.setdefault('args', self.name)
        elif 'args' in self.keys:
            self.name = '-'.join(re.findall(r'\w+', self.keys['args'])[:2])
        self.status = int(self.keys.get('status', 0))

    def list(self, key):
        return self.keys[key].split('|') if key in self.keys else []

    def check(self, status, text):
        if status != self.status:
            raise Failure(f'exit status {status}, not {self.status}')
        if status == 0 and 'PASS' not in text.splitlines():
            raise Failure('no line PASS')
        for expect in self.expected:
            found, what = True, expect
            if expect.startswith('!'):
                found, what = False, expect[1:]
            pattern = what[1:-1] if what.startswith('/') else re.escape(what[1:-1])
            if bool(re.search(pattern, text)) != found:
                raise Failure(f'the console shows {"no" if found else "a"} {what}')
        if 'lines' in self.keys:
            whole = re.compile(self.keys['each'][1:-1])
            count = sum(bool(whole.fullmatch(line)) for line in text.splitlines())
            if count != int(self.keys['lines']):
                raise Failure(f'{count} lines like {self.keys["each"]}, not {self.keys["lines"]}')


def sources():
    """(path, arch or None) of each program. A target has one of a name, since its image has the name."""
    seen = {}
    for folder, arch in FOLDERS.items():
        for name in sorted(os.listdir(os.path.join(TREE, folder))):
            if name.endswith('.c'):
                path = os.path.join(folder, name)
                for other, for_arch in seen.setdefault(name, []):
                    if arch == for_arch or None in (arch, for_arch):
                        raise SystemExit(f'tests/run: {other} and {path} would have one image: rename one')
                seen[name].append((path, arch))
                yield path, arch


def lines(source, kind='@test'):
    """The Lines of a program's lines of that kind."""
    with open(os.path.join(TREE, source), encoding='utf-8') as file:
        comment = file.read().split('*/\n', 2)[1]  # after the licence's
    return [Line(match[1]) for match in re.finditer(kind + r'\b(.*)', comment)]


def stress():
    """The boots of the stress suite."""
    for source, _ in sources():
        for line in lines(source, '@stress'):
            line.name = ''
            for machine_name in 'virt', 'q35':
                for harts in map(int, line.keys.get('harts', '1,2,4,8').split(',')):
                    yield Boot(source, line, machine_name, harts)


def boots():
    """All Boots that the programs ask for."""
    for source, arch in sources():
        for line in lines(source):
            names = line.keys.get('machines', 'virt,q35,microvm,hosted').split(',')
            if 'hosted' in names:
                names += ['hosted-' + name for name in
                          line.keys.get('sanitize', ','.join(machine.SANITIZERS)).split(',') if name]
            for name in names:
                counts = line.keys.get('harts', '1,2,4').split(',')
                if name not in ('virt', 'q35') and '4' in counts:
                    needless = ('1', '2') if name == 'microvm' else ('2',)
                    counts = [count for count in counts if count not in needless]
                for harts in counts:
                    if arch in (None, name.partition('-')[0], ARCH[name]):
                        with_checks = line.checks and '-' not in name  # a sanitizer's build has them anyway
                        boot = Boot(source, line, name, int(harts), with_checks or None)
                        boot.most = harts == ('4' if '4' in counts else max(counts, key=int))
                        yield boot


@functools.cache
def headers():
    return [file for folder in ('tests', 'include')
            for file in glob.glob(os.path.join(TREE, folder, '**', '*.h'), recursive=True)]


def build(source, arch, with_checks=None):
    """Compiles and links a program unless its image is newer than all that it is made of."""
    image = machine.image_path(os.path.basename(source)[:-2], arch, with_checks)
    source = os.path.join(TREE, source)
    with open(os.path.join(machine.build_dir(arch, with_checks), 'gump.json')) as file:
        built = json.load(file)
    parts = [source, *headers(), os.path.join(TREE, 'qemu/gump-cc'), built['script'], *built['libraries']]
    newest = max(os.path.getmtime(part) for part in parts if os.path.exists(part))
    if os.path.exists(image) and os.path.getmtime(image) > newest:
        return
    os.makedirs(os.path.dirname(image), exist_ok=True)
    target = arch.partition('-')[0]
    command = [os.path.join(TREE, 'qemu/gump-cc'), '--target=' + target,
               '--build=' + machine.build_dir(arch, with_checks), '--inside', *FLAGS, '-Ikernel/arch/' + target,
               f'-DGUMP_CHECKS={int(machine.with_checks(with_checks) or arch != target)}', source, '-o', image]
    done = subprocess.run(command, cwd=TREE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        broken[image] = done.stdout.decode(errors='replace')
