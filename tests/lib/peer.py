# SPDX-License-Identifier: BSD-2-Clause
"""A host that speaks TCP/IP by hand, over a raw socket at a tap device: for segments that no kernel would send.

It has addresses of its own, for which it answers ARP, so that the kernel of this host takes no part. A thread reads
all frames and gives each to whoever waits for its port. Checksums of what comes are not looked at: where the device
is to fill them in, a raw socket sees them empty.
"""
import collections
import contextlib
import itertools
import queue
import random
import socket
import struct
import threading
import time

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
UDP, TCP, ICMP6 = 17, 6, 58
SOLICITATION = 135
SO_RCVBUFFORCE, SOL_PACKET, PACKET_STATISTICS = 33, 263, 6     # which Python has no names for
WAIT = 8  # seconds for any answer
MASK = 0xffffffff
ports = itertools.count(random.randrange(20000, 30000))


class Wrong(Exception):
    """The machine did not do what it has to."""


def check(what, got, want):
    if got != want:
        raise Wrong(f'{what}: {got!r:.300}, not {want!r:.300}')


def checksum(data):
    if len(data) % 2:
        data += b'\0'
    total = sum(struct.unpack(f'!{len(data) // 2}H', data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def mss(size):
    return struct.pack('!BBH', 2, 4, size)


def window_scale(shift):
    return struct.pack('!BBBB', 1, 3, 3, shift)


SACK_PERMITTED = b'\1\1\4\2'


def parse_options(data):
    """{kind: contents}."""
    found, at = {}, 0
    while at < len(data) and data[at] != 0:
        if data[at] == 1:
            at += 1
            continue
        found[data[at]] = data[at + 2:at + data[at + 1]]
        at += data[at + 1]
    return found


Segment = collections.namedtuple('Segment', 'flags seq ack window options data')


def parse_tcp(text):
    source, to, seq, ack, offset, flags, window = struct.unpack('!HHIIBBH', text[:16])
    header = (offset >> 4) * 4
    return source, to, Segment(flags & 31, seq, ack, window, parse_options(text[20:header]), text[header:])


class Peer:
    def __init__(self, interface, machine, own, more=()):
        """`own` and `more` are this host's addresses; nobody else may have them."""
        self.interface = interface
        self.machine = socket.inet_aton(machine)
        self.own = socket.inet_aton(own)
        self.addresses = {self.own, *map(socket.inet_aton, more)}
        self.mac = b'\x02\0\0\0\0\x09'
        self.socket = self.attach(interface)
        self.machine_mac = None
        self.resolved = threading.Event()
        self.queues = {}      # (protocol, own port) -> queue.Queue of Segments or datagrams
        self.fragments = {}
        self.solicited = set()    # addresses of IPv6 that the machine has asked for
        self.sources = {}     # own port -> the machine's port that the last segment came from
        self.numbers = itertools.count(1)
        threading.Thread(target=self.read, daemon=True).start()

    def attach(self, interface):
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        raw.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)  # whatever the host allows others
        raw.bind((interface, 0))
        return raw

    def lost(self):
        """The frames that came and found no room here, since this was asked last."""
        return struct.unpack('II', self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]

    def resolve(self):
        """Asks for the machine until it answers."""
        end = time.monotonic() + WAIT
        while not self.resolved.wait(0.1):
            self.send_arp(1, b'\xff' * 6, b'\0' * 6, self.own, self.machine)
            if time.monotonic() > end:
                raise Wrong('no answer to ARP')

    # ---- In ----

    def receive(self):
        """The next frame that comes."""
        while True:
            frame, address = self.socket.recvfrom(65536)
            if address[2] != socket.PACKET_OUTGOING:
                return frame

    def read(self):
        while True:
            frame = self.receive()
            with contextlib.suppress(struct.error, IndexError):
                kind = frame[12:14]
                if kind == b'\x08\x06':
                    self.arp(frame[14:42])
                elif kind == b'\x08\0' and frame[:6] == self.mac:
                    self.ip(frame[14:])
                elif kind == b'\x86\xdd':
                    self.ip6(frame[14:], frame[:6] == self.mac)

    def arp(self, text):
        op, from_mac, from_ip, to_ip = struct.unpack('!6xH6s4s6x4s', text)
        if from_ip == self.machine and op == 2:
            self.machine_mac = from_mac
            self.resolved.set()
        if op == 1 and to_ip in self.addresses and from_ip == self.machine:
            self.send_arp(2, from_mac, from_mac, to_ip, from_ip)

    def send_arp(self, op, to, target_mac, own, target):
        self.socket.send(to + self.mac + b'\x08\x06' + struct.pack('!HHBBH', 1, 0x800, 6, 4, op)
                         + self.mac + own + target_mac + target)

    def ip(self, text):
        length, number, offset, protocol = struct.unpack('!2xHHHxB', text[:10])
        if (header := (text[0] & 15) * 4) < 20 or text[16:20] not in self.addresses:
            return
        body = text[header:length]
        if offset & 0x3fff:
            pieces = self.fragments.setdefault(number, {})
            pieces[(offset & 0x1fff) * 8] = body
            if not offset & 0x2000:
                pieces['end'] = (offset & 0x1fff) * 8 + len(body)
            body = b''.join(pieces[at] for at in sorted(key for key in pieces if key != 'end'))
            if len(body) != pieces.get('end'):
                return
            del self.fragments[number]
        if protocol == TCP:
            source, to, what = parse_tcp(body)
            self.sources[to] = source
        elif protocol == UDP:
            to, what = struct.unpack('!H', body[2:4])[0], body[8:]
        else:
            return
        if waits := self.queues.get((protocol, to)):
            waits.put(what)

    def ip6(self, text, to_us):
        """Only what is not in fragments, and has no other headers."""
        protocol, body = text[6], text[40:]
        if protocol == ICMP6 and body[0] == SOLICITATION:
            self.solicited.add(body[8:24])
        elif protocol == UDP and to_us and (waits := self.queues.get((UDP, struct.unpack('!H', body[2:4])[0]))):
            waits.put(body[8:])

    def listen(self, protocol, port):
        return self.queues.setdefault((protocol, port), queue.Queue())

    # ---- Out ----

    def send_ip(self, protocol, body, own=None, offset=0, more=False, number=None, bad_checksum=False):
        """One packet or, with an offset or more to come, one fragment."""
        own = own or self.own
        number = next(self.numbers) & 0xffff if number is None else number
        header = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(body), number, (0x2000 if more else 0) | offset // 8, 64,
                             protocol, 0, own, self.machine)
        total = checksum(header) ^ (0x0101 if bad_checksum else 0)
        self.socket.send(self.machine_mac + self.mac + b'\x08\0' + header[:10] + struct.pack('!H', total) + header[12:] + body)

    def send_ip6(self, protocol, body, own, machine):
        header = struct.pack('!IHBB', 6 << 28, len(body), protocol, 255) + own + machine
        self.socket.send(self.machine_mac + self.mac + b'\x86\xdd' + header + body)

    def transport(self, protocol, body, at, own=None, bad_checksum=False):
        """The body with its checksum, of a pseudo header and itself, at `at`."""
        pseudo = (own or self.own) + self.machine + struct.pack('!BBH', 0, protocol, len(body))
        total = checksum(pseudo + body) ^ (0x0101 if bad_checksum else 0)
        return body[:at] + struct.pack('!H', total) + body[at + 2:]

    def tcp(self, source, to, flags, seq, ack, window=65535, options=b'', data=b'', own=None, bad_checksum=False):
        options += b'\0' * (-len(options) % 4)
        body = struct.pack('!HHIIBBHHH', source, to, seq & MASK, ack & MASK, (20 + len(options)) // 4 << 4, flags, window, 0, 0)
        return self.transport(TCP, body + options + data, 16, own, bad_checksum)

    def udp(self, source, to, data, bad_checksum=False, no_checksum=False):
        body = struct.pack('!HHHH', source, to, 8 + len(data), 0) + data
        return body if no_checksum else self.transport(UDP, body, 6, None, bad_checksum)


class Connection:
    """One of the peer's, as its script plays it: seq is what it sends next, ack what it expects."""

    def __init__(self, peer, port, own_port=None):
        self.peer, self.port = peer, port
        self.own_port = own_port or next(ports)
        self.seq = random.randrange(1 << 32)
        self.ack = 0
        self.window = 65535
        self.finished = False    # the machine's FIN has come with what was read
        self.told = None         # once it is open: up to where the machine has been told that all has come
        self.crossed = set()     # the numbers of segments that have come again after that
        self.queue = peer.listen(TCP, self.own_port)

    def send(self, flags, data=b'', seq=None, ack=None, options=b'', window=None, **more):
        """By the numbers that are due, which move if seq is not given."""
        self.peer.send_ip(TCP, self.peer.tcp(self.own_port, self.port, flags, self.seq if seq is None else seq,
                                             self.ack if ack is None else ack, self.window if window is None else window,
                                             options, data, **more))
        if seq is None:
            self.seq = (self.seq + len(data) + bool(flags & SYN) + bool(flags & FIN)) & MASK
            if flags & ACK and ack is None and self.told is not None:
                self.told = self.ack

    def next(self, timeout=WAIT):
        """The next segment, or None."""
        try:
            return self.queue.get(timeout=timeout)
        except queue.Empty:
            return None

    def has_crossed(self, got):
        """A segment that the machine's timer has repeated while it was told already that all of it had come; each may once."""
        length = len(got.data) + bool(got.flags & SYN) + bool(got.flags & FIN)
        if not length or self.told is None or self.told - got.seq - length & MASK >= 1 << 31 or got.seq in self.crossed:
            return False
        self.crossed.add(got.seq)
        return True

    def next_answer(self, timeout=WAIT):
        """The next segment that is no such repeat, or None."""
        end = time.monotonic() + timeout
        while (got := self.next(max(0, end - time.monotonic()))) and self.has_crossed(got):
            pass
        return got

    def expect(self, flags, what, seq=None, ack=None, timeout=WAIT):
        """The next answer has these flags (PSH does not matter) and numbers."""
        got = self.next_answer(timeout)
        if (not got or got.flags & ~PSH != flags or (seq is not None and got.seq != seq & MASK)
                or (ack is not None and got.ack != ack & MASK)):
            raise Wrong(f'{what}: {got}, not flags {flags}' + (f' seq {seq & MASK}' if seq is not None else '')
                        + (f' ack {ack & MASK}' if ack is not None else ''))
        return got

    def expect_reset(self, what, seq, first=True):
        """With ACK or without: lwIP always acknowledges what it resets for. If not first, behind what was on its way."""
        end = time.monotonic() + WAIT
        while (got := self.next_answer(max(0, end - time.monotonic()))) and not first and not got.flags & RST:
            pass
        if not got or not got.flags & RST or got.seq != seq & MASK:
            raise Wrong(f'{what}: {got}, not a reset with seq {seq & MASK}')

    def challenged(self, what):
        """By a bare ACK; what the machine repeats meanwhile does not matter."""
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            got = self.next(timeout=1)
            if got and got.flags == ACK and not got.data and got.ack == self.seq:
                return
        raise Wrong(f'{what}: no challenge')

    def silence(self, what, timeout=0.4):
        if got := self.next_answer(timeout):
            raise Wrong(f'{what}: {got}, not silence')

    def open(self, options=mss(1460)):
        """The handshake; answers the SYN-ACK."""
        self.send(SYN, options=options)
        answer = self.expect(SYN | ACK, 'an answer to a SYN', ack=self.seq)
        self.ack = self.told = answer.seq + 1 & MASK
        self.send(ACK)
        return answer

    def read(self, size, acknowledge=True):
        """So many bytes in order, and what went on: [(segment, bytes before it)]."""
        data, segments = b'', []
        while len(data) < size:
            got = self.next()
            if not got:
                raise Wrong(f'{len(data)} of {size} bytes came')
            if got.seq != self.ack or not got.data:
                if got.data:  # sent again: say once more what has come
                    self.send(ACK)
                continue
            segments.append((got, len(data)))
            data += got.data
            self.finished |= bool(got.flags & FIN)
            self.ack = self.ack + len(got.data) + bool(got.flags & FIN) & MASK
            if acknowledge:
                self.send(ACK)
        return data, segments

    def read_end(self, acknowledge=True):
        """What the machine says until its FIN, of which it hears only if asked for."""
        data = b''
        while True:
            got = self.next()
            if not got:
                raise Wrong(f'no FIN after {data!r}')
            if got.seq != self.ack:
                continue
            data += got.data
            self.ack = self.ack + len(got.data) + bool(got.flags & FIN) & MASK
            self.send(ACK, ack=self.ack if acknowledge or not got.flags & FIN else self.ack - 1)
            if got.flags & FIN:
                return data

    def finish(self):
        """Ends it in order, after the machine's end or before."""
        self.send(FIN | ACK)
        end = time.monotonic() + WAIT
        while not self.finished and time.monotonic() < end:
            got = self.next()
            if got and got.flags & FIN:
                self.ack = got.seq + len(got.data) + 1 & MASK
                self.send(ACK)
                self.finished = True
        if not self.finished:
            raise Wrong('no FIN after ours')

    def reset(self):
        self.send(RST, seq=self.seq)
