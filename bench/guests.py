# SPDX-License-Identifier: BSD-2-Clause
"""Boots the benchmarks: gump's image by qemu/run, the Go twin as /init of a Linux guest.

Both machines get the same flags of QEMU, but for the kernel. Go's initramfs is made here; it
holds the static program and nothing else.
"""
import glob
import os
import platform
import re
import shlex
import signal
import subprocess

TREE = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
PLACE = os.path.join(TREE, 'build', 'bench')
MACHINE = {'riscv64': 'virt', 'x86_64': 'q35'}
MEMORY = '2G'
ICOUNT = ['-icount', 'shift=0,sleep=off']
GO_ARCH = {'riscv64': 'riscv64', 'x86_64': 'amd64'}
RESULT = re.compile(r'^result (\S+) (-?[0-9.]+)\r?$', re.M)


class Failure(Exception):
    """Something did not work; the text says what."""


def run(command, what, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, encoding='utf-8', errors='replace',
                          check=False, **options)
    if done.returncode != 0:
        raise Failure(f'{what} failed:\n{done.stdout[-3000:]}')
    return done.stdout


machines = set()  # that are on now


def stop(machine):
    """Ends it and, as it leads a session of its own, whatever it has started."""
    try:
        os.killpg(machine.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def stop_all():
    for machine in list(machines):
        stop(machine)


def boot(command, timeout):
    """What the machine says until it ends, as {figure: value} and as text."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=TREE,
                          stderr=subprocess.STDOUT, start_new_session=True) as machine:
        machines.add(machine)
        try:
            output, _ = machine.communicate(timeout=timeout)
            end, good = f'status {machine.returncode}', machine.returncode == 0
        except subprocess.TimeoutExpired:
            stop(machine)
            output, _ = machine.communicate()
            end, good = f'no end within {timeout} s', False
        finally:
            machines.discard(machine)
    text = output.decode(errors='replace').replace('\r', '')
    figures = {name: float(value) for name, value in RESULT.findall(text)}
    if not good or not figures:
        tail = '\n'.join(text.splitlines()[-12:])
        raise Failure(f'{end}\n{tail}\nagain: {shlex.join(command)}')
    return figures, text


class Gump:
    name = 'gump'

    def __init__(self, arch):
        self.arch = arch
        self.image = os.path.join(PLACE, f'gump-{arch}.elf')

    def build(self):
        os.makedirs(PLACE, exist_ok=True)
        run([os.path.join(TREE, 'qemu', 'build'), self.arch], 'qemu/build')
        sources = sorted(glob.glob(os.path.join(TREE, 'bench', '*.c')))
        run([os.path.join(TREE, 'qemu', 'gump-cc'), f'--target={self.arch}', '--inside', '-Wall',
             '-Wextra', '-Werror', '-Wl,--wrap=hart_idle', *sources, '-o', self.image], 'gump-cc')

    def boot(self, benchmark, mode, timeout):
        # qemu/run ends the machine, and so is given the time first.
        command = ['qemu/run', '--quiet', '--machine', MACHINE[self.arch], '--harts',
                   str(mode.harts), '--mem', MEMORY, '--net', 'none', '--timeout', str(timeout)]
        for pair in benchmark.env:
            command += ['-e', pair]
        if mode.icount:
            command += [f'--qemu-arg={arg}' for arg in ICOUNT]
        command += [os.path.relpath(self.image, TREE), benchmark.program or benchmark.name]
        figures, _ = boot(command, timeout + 10)
        if benchmark.program:
            figures = {benchmark.name + name[len(benchmark.program):]: value
                       for name, value in figures.items()}
        return figures


def find_kernel(arch):
    """An installed Linux of this architecture, Debian's for clouds if it is there, or None."""
    if platform.machine() != arch:
        return None
    for pattern in ('vmlinuz-*-cloud-*', 'vmlinuz-*'):
        found = [path for path in glob.glob('/boot/' + pattern) if os.access(path, os.R_OK)]
        if found:
            return max(found, key=os.path.getmtime)
    return None


def machine_flags(name):
    """(its own flags of QEMU, its network card), as qemu/run has them."""
    file = os.path.join(TREE, 'qemu', 'machines', name + '.sh')
    text = run(['bash', '-c', f'. {shlex.quote(file)}; printf "%s\\n" "$nic" "${{machine_args[@]}}"'], file)
    nic, *flags = text.split('\n')[:-1]
    return flags, nic


class Go:
    def __init__(self, arch, go, kernel):
        self.arch, self.go, self.kernel = arch, go, kernel
        self.name = 'Go'
        self.linux = None  # its release, when a guest has told
        self.initrd = os.path.join(PLACE, f'go-{arch}.cpio')

    def build(self):
        os.makedirs(PLACE, exist_ok=True)
        try:
            version = run([self.go, 'version'], f'{self.go} version').split()[2]
        except OSError as error:
            raise Failure(f'{self.go}: {error.strerror}') from None
        self.name = 'Go ' + version.removeprefix('go')
        with open(self.initrd, 'wb') as archive:
            archive.write(initramfs(go_program(self.go, self.arch, 'go')))

    def boot(self, benchmark, mode, timeout):
        # what qemu/run gives, see make_command there
        flags, _ = machine_flags(MACHINE[self.arch])
        command = ['qemu-system-' + self.arch, *flags, '-smp', str(mode.harts), '-m', MEMORY,
                   '-nodefaults', '-display', 'none', '-serial', 'stdio', '-no-reboot',
                   '-kernel', self.kernel, '-initrd', self.initrd,
                   '-append', f'console=ttyS0 quiet panic=-1 -- {benchmark.name}']
        if mode.icount:
            command += ICOUNT
        figures, text = boot(command, timeout)
        release = re.search(r'^guest Linux (\S+)', text, re.M)
        self.linux = release.group(1) if release else self.linux
        return figures


def go_program(go, arch, folder):
    """The program of a folder of bench/, static, for Linux."""
    program = os.path.join(PLACE, f'{folder}-{arch}')
    env = dict(os.environ, CGO_ENABLED='0', GOOS='linux', GOARCH=GO_ARCH[arch],
               GOTOOLCHAIN='local', GO111MODULE='off', GOFLAGS='')
    run([go, 'build', '-o', program, '.'], 'go build', env=env,
        cwd=os.path.join(TREE, 'bench', folder))
    with open(program, 'rb') as file:
        return file.read()


def parents(path):
    """The folders that a file lies in, the outermost first."""
    parts = path.split('/')[:-1]
    return ['/'.join(parts[:n + 1]) for n in range(len(parts))]


def initramfs(program, files=()):
    """A cpio archive (the "newc" format) of a /init, its console, a folder for /proc, and more files."""
    archive = bytearray()

    def entry(name, mode, data=b'', device=(0, 0)):
        nonlocal archive
        name = name.encode() + b'\0'
        fields = (len(archive) + 1, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name), 0)
        archive += b'070701' + b''.join(b'%08X' % field for field in fields) + name
        archive += bytes(-len(archive) % 4)
        archive += data
        archive += bytes(-len(archive) % 4)

    entry('dev', 0o040755)
    entry('dev/console', 0o020600, device=(5, 1))
    entry('proc', 0o040755)
    entry('init', 0o100755, program)
    for folder in sorted({folder for name, _ in files for folder in parents(name)} - {'dev', 'proc'}):
        entry(folder, 0o040755)
    for name, data in files:
        entry(name, 0o100755, data)
    entry('TRAILER!!!', 0)
    return bytes(archive)


def qemu_version():
    found = re.search(r'version ([0-9.]+)', run(['qemu-system-x86_64', '--version'], 'QEMU'))
    return found.group(1) if found else '?'
