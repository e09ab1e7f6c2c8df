# SPDX-License-Identifier: BSD-2-Clause
"""Makes a network device of a running machine lie: its rings lie in the machine's memory, which is a file of this host, and
QEMU tells where. What is written there, the driver takes for the device's word."""
import json
import mmap
import os
import shutil
import socket
import struct
import tempfile

from lib.machine import Failure

RAM = {'virt': 0x80000000, 'q35': 0, 'microvm': 0}  # where memory begins
RX, TX = 0, 1
SIZE = 128 << 20


class Liar:
    def __init__(self, machine_name):
        self.folder = tempfile.mkdtemp(prefix='liar-', dir='/dev/shm' if os.path.isdir('/dev/shm') else None)
        self.ram, self.socket = os.path.join(self.folder, 'ram'), os.path.join(self.folder, 'qmp')
        self.base = RAM[machine_name]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder)

    def options(self):
        """For qemu/run."""
        words = ['-object', f'memory-backend-file,id=ram,mem-path={self.ram},share=on,size={SIZE}', '-machine', 'memory-backend=ram',
                 '-qmp', f'unix:{self.socket},server=on,wait=off']
        return [part for word in words for part in ('--qemu-arg', word)]

    def ask(self, *questions):
        """QEMU's answers to questions, each (command, arguments)."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(self.socket)
            with s.makefile('r') as lines:
                lines.readline()
                answers = []
                for command, arguments in ('qmp_capabilities', {}), *questions:
                    s.sendall(json.dumps({'execute': command, 'arguments': arguments}).encode() + b'\n')
                    while 'event' in (answer := json.loads(lines.readline())):
                        pass
                    if 'error' in answer:
                        raise Failure(f'QEMU: {command} {arguments}: {answer["error"]["desc"]}')
                    answers.append(answer['return'])
                return answers[1:]

    def ring(self, number, queue):
        """(where the used ring of a device's queue is in the file, its length); devices are numbered as by --net."""
        path = f'/machine/peripheral-anon/device[{number}]/virtio-backend'
        try:
            status, = self.ask(('x-query-virtio-queue-status', {'path': path, 'queue': queue}))
        except Failure:     # behind mmio the device is its own
            status, = self.ask(('x-query-virtio-queue-status', {'path': path.rpartition('/')[0], 'queue': queue}))
        return status['vring-used'] - self.base, status['vring-num']

    def says(self, number, true):
        """Whether QEMU has frames for a device too; what it writes then would be the truth again."""
        self.ask(('set_link', {'name': f'net{number}', 'up': true}))

    def used(self, number, queue, more, element=None):
        """`more` elements are said to be used; the next one is as given, (id, length)."""
        self.says(number, False)
        at, size = self.ring(number, queue)
        with open(self.ram, 'r+b') as file, mmap.mmap(file.fileno(), 0) as memory:
            index, = struct.unpack_from('<H', memory, at + 2)
            if element:
                struct.pack_into('<II', memory, at + 4 + 8 * (index % size), *element)
            struct.pack_into('<H', memory, at + 2, index + more & 0xffff)


# What the driver calls it, and how it is told.
LIES = {
    'index': ('used index beyond what was posted', (RX, 0x4000)),
    'sent': ('used index beyond what was posted', (TX, 0x4000)),
    'id': ('used id outside the ring', (RX, 1, (0x10001, 100))),
    'length': ('used length beyond the buffer', (RX, 1, (0, 1 << 20))),
    'short': ('frame shorter than its header', (RX, 1, (0, 4))),
}
