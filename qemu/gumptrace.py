# SPDX-License-Identifier: BSD-2-Clause
"""Reads the scheduler's event trace out of a machine's RAM, as qemu/run --trace leaves it in a file.

The rings lie where the image's symbol gump_trace says (sched/trace.h has their form). Addresses are physical, so
only the place of RAM in the file has to be known.
"""
import bisect
import struct

CREATE, START, BLOCK, YIELD, PREEMPT, END, UNBLOCK, STEAL, HANDOFF, IDLE, WAKE, TIMER, NETPOLL, BLOCKING, \
    UNBLOCKING, STOP_WORLD, START_WORLD = range(1, 18)
STOPS = {BLOCK: 'block', YIELD: 'yield', PREEMPT: 'preempt', END: 'end'}

WAIT_REASONS = ['waiting', 'chan send', 'chan receive', 'chan (nil channel)', 'select', 'select (no cases)', 'sleep',
                'IO wait', 'mutex lock', 'rwmutex rlock', 'rwmutex lock', 'cond wait', 'waitgroup wait',
                'semaphore acquire']

HEADER = struct.Struct('<16sQIIQ')
RING = struct.Struct('<QQ48x')
RECORD = struct.Struct('<qIHHQQ')
RINGS_AT = 64


class Broken(Exception):
    """The image or the RAM holds no trace; the text says why."""


class Image:
    """The symbols of an ELF image, by name and by address."""

    def __init__(self, path):
        with open(path, 'rb') as file:
            data = file.read()
        if data[:5] != b'\x7fELF\x02':
            raise Broken(f'{path} is not an image')
        self.machine = struct.unpack_from('<H', data, 18)[0]
        at, = struct.unpack_from('<Q', data, 40)
        size, count = struct.unpack_from('<HH', data, 58)
        sections = [struct.unpack_from('<IIQQQQIIQQ', data, at + i * size) for i in range(count)]
        self.address, functions = {}, []
        for section in sections:
            if section[1] != 2: # SHT_SYMTAB
                continue
            names = sections[section[6]][4]
            for i in range(section[4], section[4] + section[5], 24):
                name, info, _, _, value, _ = struct.unpack_from('<IBBHQQ', data, i)
                text = data[names + name:data.index(b'\0', names + name)].decode()
                self.address[text] = value
                if info & 15 == 2: # STT_FUNC
                    functions.append((value, text))
        self.functions = sorted(functions)

    def function(self, pc):
        i = bisect.bisect_right(self.functions, (pc, '\x7f')) - 1
        return self.functions[i][1] if i >= 0 else hex(pc)


class Ram:
    """Physical memory in a file: riscv64's begins at 2 GiB; a PC's has a hole below 4 GiB."""

    def __init__(self, file, machine, size):
        self.file, self.riscv, self.size = file, machine == 243, size

    def read(self, address, length):
        if self.riscv:
            offset = address - (2 << 30)
        elif address >= 4 << 30:
            offset = address - (4 << 30) + (2 << 30)
        else:
            offset = address
        if offset < 0 or offset + length > self.size:
            raise Broken(f'address {address:#x} is not in RAM')
        self.file.seek(offset)
        return self.file.read(length)

    def text(self, address):
        try:
            return self.read(address, 64).split(b'\0')[0].decode(errors='replace') if address else ''
        except Broken:
            return ''


class Event:
    __slots__ = 'ns', 'hart', 'kind', 'g', 'a', 'b'

    def __init__(self, ns, hart, kind, g, a, b):
        self.ns, self.hart, self.kind, self.g, self.a, self.b = ns, hart, kind, g, a, b

    def __repr__(self):
        return f'{self.ns} ns, hart {self.hart}: event {self.kind} of goroutine {self.g} ({self.a}, {self.b})'


class Trace:
    """All events in the order of their times; `lost` tells how many gave way to newer ones."""

    def __init__(self, image_path, ram_path):
        self.image = Image(image_path)
        at = self.image.address.get('gump_trace')
        if at is None:
            raise Broken(f'{image_path} has no gump_trace: was it stripped?')
        with open(ram_path, 'rb') as file:
            ram = Ram(file, self.image.machine, file.seek(0, 2))
            magic, self.frequency, self.harts, self.on, capacity = HEADER.unpack(ram.read(at, HEADER.size))
            if magic.split(b'\0')[0] != b'gump trace 1':
                raise Broken('no trace was started')
            self.lost, self.events, self.names = 0, [], {}
            self.whole_from = 0  # no ring has lost an event since this time
            for hart in range(self.harts):
                self.read_ring(ram, at + RINGS_AT + hart * RING.size, capacity)
            for event in self.events:
                if event.kind == CREATE:
                    name = ram.text(event.b) or self.image.function(event.a)
                    self.names[event.g] = f'{name} #{event.g}'
        # Of two events at one time, what lets a goroutine run comes before its start.
        self.events.sort(key=lambda e: (e.ns, e.kind == START))

    def read_ring(self, ram, at, capacity):
        records, count = RING.unpack(ram.read(at, RING.size))
        data = ram.read(records, min(count, capacity) * RECORD.size)
        if count > capacity:  # the oldest lies where the next one would go
            oldest = count % capacity * RECORD.size
            data = data[oldest:] + data[:oldest]
            self.lost += count - capacity
            self.whole_from = max(self.whole_from, self.ns(RECORD.unpack_from(data)[0]))
        for ticks, g, kind, hart, a, b in RECORD.iter_unpack(data):
            self.events.append(Event(self.ns(ticks), hart, kind, g, a, b))

    def ns(self, ticks):
        return ticks * 1000000000 // self.frequency

    def name(self, g):
        return self.names.get(g, f'#{g}')
