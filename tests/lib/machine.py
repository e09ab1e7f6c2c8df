# SPDX-License-Identifier: BSD-2-Clause
"""Boots images: every machine of every test is a child of qemu/run.

A Machine is one boot. It is started in a session of its own, so that stop() ends whatever
qemu/run has started, and nothing else.
"""
import codecs
import collections
import contextlib
import os
import random
import shlex
import signal
import socket
import subprocess
import threading
import time

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
MACHINES = ['virt', 'q35', 'microvm']
# Each machine's target. The hosted ones are processes of this host, natively and with a sanitizer.
SANITIZERS = ['thread', 'address', 'undefined']
ARCH = {'virt': 'riscv64', 'q35': 'x86_64', 'microvm': 'x86_64', 'hosted': 'hosted',
        **{f'hosted-{name}': f'hosted-{name}' for name in SANITIZERS}}
# What the libraries were built with: '' is gcc, '-clang' is the other (tests/run --clang).
compiler = ''
# The build with checks is meant (tests/run --checks), unless a test says which it wants.
checks = False


running = set()  # machines that are on now, so that whoever ends early can stop them
undo = set()     # functions that remove what else would stay behind then


def stop_all():
    for one in list(running):
        one.stop()
    for remove in list(undo):
        remove()


class Failure(Exception):
    """A test has failed; the text says why."""


def with_checks(asked=None):
    return checks if asked is None else asked


def target(arch, asked=None):
    """What qemu/build calls it."""
    name, dash, sanitizer = arch.partition('-')
    return name + compiler + dash + sanitizer + ('-checks' if with_checks(asked) else '')


def build_dir(arch, asked=None):
    return os.path.join(TREE, 'build', target(arch, asked))


def image_path(program, arch, asked=None):
    return os.path.join(TREE, 'build', 'tests', target(arch, asked), program + '.elf')


def with_seed(env, seed):
    """The environment with GUMPDEBUG=seed=N in it, beside what else GUMPDEBUG holds; unless it has one."""
    env = list(env)
    for i, pair in enumerate(env):
        if pair.startswith('GUMPDEBUG=') and 'seed=' in pair:
            return env
        if pair.startswith('GUMPDEBUG='):
            env[i] += f',seed={seed}'
            return env
    return env + [f'GUMPDEBUG=seed={seed}']


ports = collections.deque(random.sample(range(10000, 32768), 22768))  # not those that the kernel gives to clients


def free_port():
    """A TCP port of this host that nobody listens on now, nor is about to: each when all others have been."""
    while True:
        port = ports.popleft()
        ports.append(port)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(('127.0.0.1', port))
            return port


class Machine:
    def __init__(self, program, machine='virt', harts=2, mem=None, net='none', publish=(),
                 env=(), args=(), timeout=30, prefix=(), options=(), urgent=False):
        self.prefix = list(prefix)  # such as ip netns exec NAME
        self.timeout, self.urgent = timeout, urgent
        self.command = ['qemu/run', '--machine', machine.partition('-')[0], '--harts', str(harts)]
        for one in [net] if isinstance(net, str) else net:
            self.command += ['--net', one]
        if mem and not machine.startswith('hosted'):
            self.command += ['--mem', mem]
        for pair in publish:
            self.command += ['--publish', pair]
        for pair in env:
            self.command += ['-e', pair]
        self.command += options
        self.command += [os.path.relpath(program, TREE), *args]
        self.name = os.path.basename(program)[:15]
        self.process = None
        self.text = ''
        self.changed = threading.Condition()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def shown(self):
        """The command as one would type it to repeat this boot."""
        return ' '.join(map(shlex.quote, self.prefix + self.command))

    def start(self):
        self.end = time.monotonic() + self.timeout
        self.process = subprocess.Popen(self.prefix + self.command, cwd=TREE,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, start_new_session=True)
        if self.urgent:
            self.go_first()
        running.add(self)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def go_first(self):
        """It measures time: where the host allows it, it goes before what else runs there."""
        try:
            with open(f'/proc/{self.process.pid}/autogroup', 'w', encoding='ascii') as file:
                file.write('-15')
        except OSError:
            pass

    def read(self):
        decoder = codecs.getincrementaldecoder('utf-8')(errors='replace')  # a piece may end within a character
        while piece := os.read(self.process.stdout.fileno(), 65536):
            with self.changed:
                self.text += decoder.decode(piece).replace('\r', '')
                self.changed.notify_all()
        with self.changed:
            self.process.stdout.close()
            self.changed.notify_all()

    def wait_for(self, text):
        """Waits until the console shows the text."""
        with self.changed:
            while text not in self.text:
                left = self.end - time.monotonic()
                if left <= 0:
                    raise Failure(f'no "{text}" within {self.timeout} s')
                if not self.reader.is_alive() or self.process.poll() is not None:
                    break
                self.changed.wait(min(left, 0.2))
            else:
                return
        self.reader.join(5)  # what it wrote last may be on its way still
        if text not in self.text:
            raise Failure(f'the machine ended before "{text}"')

    def wait(self):
        """The machine's exit status; fails if it does not end in time."""
        try:
            status = self.process.wait(max(0, self.end - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.stop()
            raise Failure(f'no end within {self.timeout} s') from None
        self.reader.join(5)
        return status

    def stop(self):
        for sign in signal.SIGTERM, signal.SIGKILL:
            if self.process.poll() is None:
                try:
                    os.killpg(self.process.pid, sign)
                    self.process.wait(3)
                except (ProcessLookupError, subprocess.TimeoutExpired):
                    pass
        self.reader.join(5)
        running.discard(self)

    def qemu_pid(self):
        """The process id of this machine's QEMU, or of the hosted program, below qemu/run."""
        todo = [self.process.pid]
        while todo:
            pid = todo.pop()
            try:
                with open(f'/proc/{pid}/comm', encoding='ascii') as file:
                    if file.read().startswith(('qemu-system', self.name)):
                        return pid
                with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as file:
                    todo += map(int, file.read().split())
            except OSError:
                continue
        raise Failure('QEMU is not running')
