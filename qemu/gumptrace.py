# SPDX-License-Identifier: BSD-2-Clause
"""Reads the scheduler's event trace out of a machine's RAM, as qemu/run --trace leaves it in a file.

The rings lie where the image's symbol gump_trace says (sched/trace.h has their form). Addresses are physical,
so only the place of RAM in the file has to be known.
"""
import bisect
import collections
import operator
import struct

CREATE, START, BLOCK, YIELD, PREEMPT, END, UNBLOCK, STEAL, HANDOFF, IDLE, WAKE, TIMER, NETPOLL, BLOCKING, \
    UNBLOCKING, STOP_WORLD, START_WORLD, WAIT, TAKE, LOCK_HART, RECLAIM, RECLAIM_FLUSH, RECLAIM_END = range(1, 24)
KINDS = ['', 'CREATE', 'START', 'BLOCK', 'YIELD', 'PREEMPT', 'END', 'UNBLOCK', 'STEAL', 'HANDOFF', 'IDLE',
         'WAKE', 'TIMER', 'NETPOLL', 'BLOCKING', 'UNBLOCKING', 'STOP_WORLD', 'START_WORLD', 'WAIT', 'TAKE',
         'LOCK_HART', 'RECLAIM', 'RECLAIM_FLUSH', 'RECLAIM_END']
NO_P = P_MASK = 0xffffffff
STOPS = {BLOCK: 'block', YIELD: 'yield', PREEMPT: 'preempt', END: 'end'}

WAIT_REASONS = ['waiting', 'chan send', 'chan receive', 'chan (nil channel)', 'select', 'select (no cases)',
                'sleep', 'IO wait', 'mutex lock', 'rwmutex rlock', 'rwmutex lock', 'cond wait', 'waitgroup wait',
                'semaphore acquire']

HEADER = struct.Struct('<16sQIIQQqII')
RING = struct.Struct('<QQQ40x')
RECORD = struct.Struct('<QqIHHQQ')
RINGS_AT = 128

# One record; `sequence` orders those of all harts, `kind` is one of the above, the rest depends on it.
Event = collections.namedtuple('Event', 'sequence ticks g kind hart a b')


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


class Memory:
    """A process's memory, as kernel/arch/hosted/memory.c has left it in a file: stretches with their addresses."""

    def __init__(self, file, size):
        self.file, self.places, at = file, [], 8
        while at + 16 <= size:
            file.seek(at)
            start, length = struct.unpack('<QQ', file.read(16))
            self.places.append((start, length, at + 16))
            at += 16 + length

    def read(self, address, length):
        for start, size, at in self.places:
            if start <= address and address + length <= start + size:
                self.file.seek(at + address - start)
                return self.file.read(length)
        raise Broken(f'address {address:#x} is not in memory')

    text = Ram.text


class Trace:
    """All events in their order; `lost` tells how many gave way to newer ones: `events` has what came later."""

    def __init__(self, image_path, ram_path):
        self.image = Image(image_path)
        at = self.image.address.get('gump_trace')
        if at is None:
            raise Broken(f'{image_path} has no gump_trace: was it stripped?')
        with open(ram_path, 'rb') as file:
            size = file.seek(0, 2)
            file.seek(0)
            ram = Memory(file, size) if file.read(8) == b'gumpmem\0' else Ram(file, self.image.machine, size)
            (magic, self.frequency, self.harts, self.on, capacity, self.first, self.quantum, self.procs,
             idle) = HEADER.unpack(ram.read(at, HEADER.size))
            if magic.split(b'\0')[0] != b'gump trace 2':
                raise Broken('no trace was started')
            self.lost, events, whole_from, lossy = 0, [], 0, set()
            for hart in range(self.harts):
                ring, lost = self.read_ring(ram, at + RINGS_AT + hart * RING.size, capacity)
                events += ring
                self.lost += lost
                if lost: # of what is older, this hart's part is missing
                    whole_from = max(whole_from, ring[0][0])
                    lossy.add(hart)
            events.sort(key=operator.itemgetter(0))
            first = bisect.bisect_left(events, whole_from, key=operator.itemgetter(0))
            self.lost += first
            self.events = list(map(Event._make, events[first:]))
            self.whole = not self.lost and self.begins_with_main()
            self.procs = self.procs_before()
            self.idle = self.idle_before(events[:first], idle, lossy)
            self.names = {}  # by number: of the goroutine that had it last; dead ones' numbers are used again
            self.programs = {}  # what CREATE holds -> name
            for event in self.events:
                if event.kind == CREATE:
                    self.names[event.g] = self.created(ram, event)

    def begins_with_main(self):
        """Was it started before the first goroutine? Then no other is unknown."""
        return next((event.kind == CREATE for event in self.events if event.g == 1), False)

    def procs_before(self):
        """How many Ps there are when the events begin; None if that is lost."""
        for event in self.events:
            if event.kind in (STOP_WORLD, START_WORLD):
                return event.a if event.kind == STOP_WORLD else None
        return self.procs

    def idle_before(self, older, idle, lossy):
        """
        The harts that sleep when the events begin, by those that are not whole any more but one's own. Of the hart
        whose first event that is, all before is lost; it was awake unless it wakes up with that.
        """
        last = {record[4]: record[3] for record in older}
        first = {event.hart: event.kind for event in reversed(self.events)}
        return {hart for hart in range(self.harts)
                if (last[hart] == IDLE if hart in last
                    else first.get(hart) == WAKE if hart in lossy else idle >> hart & 1)}

    def created(self, ram, event):
        """The name of a goroutine by its CREATE."""
        key = event.a, event.b
        if key not in self.programs:
            self.programs[key] = ram.text(event.b) or self.image.function(event.a)
        return f'{self.programs[key]} #{event.g}'

    def read_ring(self, ram, at, capacity):
        """Its records, oldest first, as tuples; and how many it has lost."""
        records, count, start = RING.unpack(ram.read(at, RING.size))
        data = ram.read(records, min(count, capacity) * RECORD.size)
        lost = max(0, count - start - capacity)
        if count >= capacity:  # the oldest lies where the next one goes, whose writing the end may have cut short
            oldest = count % capacity * RECORD.size
            data = data[oldest + RECORD.size:] + data[:oldest]
            lost += count - start >= capacity
        # A record of an earlier trace may lie between.
        ring = [record for record in RECORD.iter_unpack(data) if record[0] >= self.first]
        return ring, lost

    def ns(self, ticks):
        return ticks * 1000000000 // self.frequency

    def name(self, g):
        return self.names.get(g, f'#{g}')

    def text(self, event):
        """An event for a reader."""
        return (f'{self.ns(event.ticks)} ns, hart {event.hart}: {KINDS[event.kind]} of {self.name(event.g)} '
                f'({event.a:#x}, {event.b:#x})')
