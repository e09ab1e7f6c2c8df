# SPDX-License-Identifier: BSD-2-Clause
"""The web servers that bench/net measures: examples/http.c, and others on a Linux guest.

All machines have the same flags of QEMU, but for the kernel.
"""
import glob
import os
import platform
import re
import shlex
import shutil
import socket
import subprocess
import time

import guests

ADDRESS, HOST = '10.77.0.2', '10.77.0.1'
LENGTH = 16
ARCH = {'virt': 'riscv64', 'q35': 'x86_64', 'microvm': 'x86_64'}
REQUEST = b'GET / HTTP/1.1\r\nHost: gump\r\n\r\n'
PATIENCE = 30  # seconds for a machine to answer at all
MEMORY_PORT = 81  # where each of them tells how much of its memory is in use


class Gump:
    def __init__(self, machine):
        self.machine, self.name = machine, f'gump, {machine}'
        self.image = os.path.join(guests.PLACE, f'http-{ARCH[machine]}.elf')

    def build(self):
        tree = guests.TREE
        guests.run([os.path.join(tree, 'qemu', 'build'), ARCH[self.machine]], 'qemu/build')
        guests.run([os.path.join(tree, 'qemu', 'gump-cc'), f'--target={ARCH[self.machine]}',
                    os.path.join(tree, 'examples', 'http.c'), os.path.join(tree, 'bench', 'c10k', 'memory.c'),
                    '-Wl,--wrap=main', '-o', self.image], 'gump-cc')

    def kernel(self, address):
        # As many requests of a connection as nginx.conf allows, and as long a silence.
        options = 'REQUESTS=1000000000 IDLE=600' + (f' ip={address}/{LENGTH},{HOST}' if address else '')
        return ['-kernel', self.image, '-append', options]


class OnLinux:
    """A server of bench/goweb/, which is /init of Linux; q35 only, as no other has its modules' devices."""
    machine = 'q35'

    def __init__(self, server, go, linux):
        self.server, self.go, self.linux = server, go, linux
        self.name = f'Go {server}'
        self.initrd = os.path.join(guests.PLACE, f'{server}-x86_64.cpio')

    def build(self):
        program = guests.go_program(self.go, 'x86_64', 'goweb')
        with open(self.initrd, 'wb') as archive:
            archive.write(guests.initramfs(program, [*modules(self.linux), *self.files()]))
        self.name = f'{self.version()}, q35'

    def files(self):
        return ()

    def version(self):
        version = guests.run([self.go, 'version'], 'go version').split()[2].removeprefix('go')
        return f'Go {version} {self.server}'

    def kernel(self, address):
        return ['-kernel', self.linux, '-initrd', self.initrd, '-append',
                f'console=ttyS0 quiet panic=-1 -- {self.server} {address or "10.0.2.15"}/{LENGTH}']


NGINX_CONF = b"""daemon off;
pid /nginx.pid;
user root;
worker_processes auto;
worker_rlimit_nofile 200000;
events { worker_connections 100000; multi_accept on; }
http {
	access_log off;
	keepalive_timeout 600s;
	keepalive_requests 1000000000;
	client_body_temp_path /; proxy_temp_path /; fastcgi_temp_path /; uwsgi_temp_path /; scgi_temp_path /;
	server {
		listen 80 backlog=4096;
		location / { default_type text/plain; return 200 "hello from nginx\\n"; }
	}
}
"""


class Nginx(OnLinux):
    """Debian's nginx, as many workers as there are harts."""

    def __init__(self, program, go, linux):
        super().__init__('nginx', go, linux)
        self.program = program

    def files(self):
        paths = [self.program] + re.findall(r'(/\S+) \(0x', guests.run(['ldd', self.program], 'ldd'))
        for path in paths:
            with open(path, 'rb') as file:
                yield path.lstrip('/') if path != self.program else 'usr/sbin/nginx', file.read()
        yield 'nginx.conf', NGINX_CONF
        yield 'etc/passwd', b'root:x:0:0::/:/bin/false\n'
        yield 'etc/group', b'root:x:0:\n'

    def version(self):
        return guests.run([self.program, '-v'], 'nginx -v').strip().split()[-1].replace('/', ' ')


def modules(linux):
    """The files of virtio-net's driver and all that it needs, in the order to load them."""
    folder = os.path.join('/lib/modules', os.path.basename(linux).partition('-')[2])
    with open(os.path.join(folder, 'modules.dep'), encoding='ascii') as file:
        needs = {path: rest.split() for path, rest in (line.split(':') for line in file)}
    order = []

    def add(path):
        if path not in order:
            for need in reversed(needs[path]):
                add(need)
            order.append(path)

    for driver in 'virtio_pci.ko', 'virtio_net.ko':
        for path in [path for path in needs if os.path.basename(path) == driver]:
            add(path)
    yield 'modules/order', '\n'.join(map(os.path.basename, order)).encode()
    for path in order:
        with open(os.path.join(folder, path), 'rb') as file:
            yield 'modules/' + os.path.basename(path), file.read()


class Boot:
    """A machine that is on, with its network by `netdev`."""

    def __init__(self, guest, netdev, address, harts, memory='512M'):
        flags, nic = guests.machine_flags(guest.machine)
        self.command = ['qemu-system-' + ARCH[guest.machine], *flags, '-smp', str(harts), '-m', memory,
                        '-nodefaults', '-display', 'none', '-serial', 'stdio', '-no-reboot',
                        *guest.kernel(address), '-netdev', netdev + ',id=net0',
                        '-device', nic + ',netdev=net0']

    def __enter__(self):
        self.started = time.monotonic()
        self.console = open(os.path.join(guests.PLACE, 'net.log'), 'wb')
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=self.console,
                                        stderr=subprocess.STDOUT, start_new_session=True)
        guests.machines.add(self.process)
        return self

    def __exit__(self, *_):
        guests.stop(self.process)
        self.process.wait()
        self.console.close()
        guests.machines.discard(self.process)

    def failure(self, what):
        with open(self.console.name, encoding='utf-8', errors='replace') as file:
            return guests.Failure(f'{what}\n{file.read()[-2000:]}\nagain: {shlex.join(self.command)}')

    def first_answer(self, address):
        """Seconds from the start to the first 200."""
        while time.monotonic() < self.started + PATIENCE:
            try:
                with socket.create_connection(address, 0.3) as client:
                    client.settimeout(0.05)
                    client.sendall(REQUEST)
                    if b' 200 ' in client.recv(100):
                        return time.monotonic() - self.started
            except OSError:
                pass
            time.sleep(0.002)
        raise self.failure(f'no answer within {PATIENCE} s')

    def cpu(self):
        with open(f'/proc/{self.process.pid}/stat', encoding='ascii') as file:
            fields = file.read().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def memory(self):
        """Bytes of its memory that are in use, and what the machine says more about them."""
        try:
            with socket.create_connection((ADDRESS, MEMORY_PORT), 10) as client:
                text = client.makefile().readline()
        except OSError as error:
            raise self.failure(f'port {MEMORY_PORT}: {error}') from None
        used, *more = text.split()
        return {'used': int(used), **dict(zip(more[::2], map(int, more[1::2])))}


def found(machines, go):
    """The servers that can be had."""
    for machine in machines:
        yield Gump(machine)
    linux = glob.glob('/boot/vmlinuz-*-cloud-*') if platform.machine() == 'x86_64' else []
    if not go or 'q35' not in machines:
        return
    if not linux:
        print('bench/net: no Linux kernel for clouds is installed (qemu/deps --bench): gump alone')
        return
    linux = max(linux, key=os.path.getmtime)
    nginx = shutil.which('nginx') or shutil.which('/usr/sbin/nginx')
    if nginx:
        yield Nginx(nginx, go, linux)
    for server in 'nethttp', 'rawtcp':
        yield OnLinux(server, go, linux)
