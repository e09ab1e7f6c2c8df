#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""DHCP servers for a machine with tests/dials.c, honest and other: dhcp.py INTERFACE

In the network namespace of a Tap. Leases are so short that they end while somebody looks on. Ends with a message and
status 1 when the machine did not do what RFC 2131 has.
"""
import contextlib
import socket
import struct
import subprocess
import sys
import time

OWN, OTHER = '10.77.0.1', '10.77.0.3'
DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE = range(1, 8)
MASK, ROUTER, NAMES, ASKED, LEASE, OVERLOAD, TYPE, SERVER, T1, T2, END = 1, 3, 6, 50, 51, 52, 53, 54, 58, 59, 255
TIMES = {T1: 3, T2: 7, LEASE: 10}
SLACK = 1.5     # the machine counts seconds, and begins anywhere in one
PKTINFO = 8     # IP_PKTINFO
STAMP = 35      # SO_TIMESTAMPNS


class Wrong(Exception):
    """The machine did not do what it has to."""


def number(value):
    return struct.pack('!I', value)


def options(pairs):
    text = b''
    for kind, value in pairs.items():
        value = number(value) if isinstance(value, int) else socket.inet_aton(value) if isinstance(value, str) else value
        text += bytes([kind, len(value)]) + value
    return text


def parse(text):
    found, at = {}, 0
    while at < len(text) and text[at] != END:
        if text[at] == 0:
            at += 1
            continue
        found[text[at]] = text[at + 2:at + 2 + text[at + 1]]
        at += 2 + text[at + 1]
    return found


class Message:
    """What the machine said: to whom, and when the host's kernel had it."""

    def __init__(self, data, ancillary):
        parts = {kind: text for _, kind, text in ancillary}
        seconds, ns = struct.unpack('@qq', parts[STAMP])
        self.data, self.to = data, socket.inet_ntoa(parts[PKTINFO][8:12])
        self.time = seconds + ns / 1e9 + time.monotonic() - time.time()
        self.xid, self.client, self.hardware = data[4:8], socket.inet_ntoa(data[12:16]), data[28:44]
        self.options = parse(data[240:])
        self.type = self.options[TYPE][0]


class Servers:
    def __init__(self, interface):
        self.index = socket.if_nametoindex(interface)
        self.socket = s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        s.setsockopt(socket.IPPROTO_IP, PKTINFO, 1)
        s.setsockopt(socket.SOL_SOCKET, STAMP, 1)
        s.bind(('', 67))

    def next(self, kind, what, timeout=10.0):
        """The next message, which is of that kind. Releases are not waited for."""
        self.socket.settimeout(timeout)
        try:
            while True:
                message = self.last = Message(*self.socket.recvmsg(2000, 200)[:2])
                if message.type != RELEASE or kind == RELEASE:
                    break
        except TimeoutError:
            raise Wrong(f'{what}: nothing came within {timeout} s') from None
        if message.type != kind:
            raise Wrong(f'{what}: a message of type {message.type} came, not {kind}')
        return message

    def silence(self, what, timeout=0.4):
        """But for the same DISCOVER once more, if this side was away."""
        end = time.monotonic() + timeout
        with contextlib.suppress(TimeoutError):
            while (left := end - time.monotonic()) > 0:
                self.socket.settimeout(left)
                message = Message(*self.socket.recvmsg(2000, 200)[:2])
                if (message.type, message.xid) != (DISCOVER, self.last.xid):
                    raise Wrong(f'{what}: not silence but {vars(message)}')

    def send(self, text, source=OWN):
        info = struct.pack('@i4s4s', self.index, socket.inet_aton(source), b'\0' * 4)
        self.socket.sendmsg([text], [(socket.IPPROTO_IP, PKTINFO, info)], 0, ('255.255.255.255', 68))

    def answer(self, to, kind, address, source=OWN, op=2, xid=None, hardware=None, end=b'\xff', name=b'', **more):
        """`more` are options by name, which None leaves out."""
        given = {TYPE: bytes([kind]), SERVER: source, MASK: '255.255.255.0', ROUTER: OWN, NAMES: OWN, **TIMES}
        given.update({globals()[key]: value for key, value in more.items()})
        given = {key: value for key, value in given.items() if value is not None}
        if kind == NAK:
            given = {TYPE: bytes([NAK]), SERVER: source}
        head = struct.pack('!BBBB4sHHI4sI4s', op, 1, 6, 0, xid or to.xid, 0, 0, 0, socket.inet_aton(address), 0, b'\0' * 4)
        text = head + (hardware or to.hardware) + name.ljust(64, b'\0') + b'\0' * 128 + b'\x63\x82\x53\x63'
        begun = time.monotonic()
        self.send(text + options(given) + end, source)
        self.answered = begun, time.monotonic()

    def lease(self, address, source=OWN):
        """From the question to the lease."""
        self.answer(self.next(DISCOVER, 'the beginning'), OFFER, address, source)
        self.answer(self.next(REQUEST, 'after an offer'), ACK, address, source)
        since = self.answered
        works(address)
        return since


def works(address, port=7):
    end = time.monotonic() + 5
    while True:
        try:
            with socket.create_connection((address, port), timeout=1) as s:
                return echoes(s)
        except OSError as error:
            if time.monotonic() > end:
                raise Wrong(f'{address}: {error}') from None
        time.sleep(0.05)


def echoes(s):
    s.sendall(b'there?')
    if s.recv(6) != b'there?':
        raise Wrong('no echo')


def listens(address, port):
    """Has the machine a listener and a UDP port there?"""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.5)
        s.connect((address, port))
        try:
            s.send(b'there?')
            udp = s.recv(10) == b'there?'
        except OSError:
            udp = False
    try:
        socket.create_connection((address, port), timeout=1).close()
    except ConnectionRefusedError:
        return udp, False
    return udp, True


def moved(servers, since):
    """Renewals bring another address, and the first again: who listens on that one does not move."""
    with socket.create_connection(('10.77.0.52', 9), timeout=5) as s:
        s.sendall(b'listen 10.77.0.52:8\n')
        s.recv(1)
    for address, before in ('10.77.0.53', '10.77.0.52'), ('10.77.0.52', '10.77.0.53'):
        servers.answer(renewed(servers, since, before), ACK, address)
        since = servers.answered
        works(address)
        if (found := listens(address, 8)) != (address == '10.77.0.52',) * 2:
            raise Wrong(f'listens at {address}, by UDP and TCP: {found}')
    return since


def within(what, message, since, want):
    """`since` is when the answer before that was begun, and when it was sent: the host may be away in between."""
    begun, sent = (message.time - one for one in since)
    if begun < want - SLACK or sent > want + SLACK:
        raise Wrong(f'{what} after {sent:.1f} to {begun:.1f} s, not {want}')


def bad_offers(servers):
    """Each is as if nothing had come."""
    question = servers.next(DISCOVER, 'the beginning')
    for address in '0.0.0.0', '0.1.2.3', '127.0.0.1', '224.0.0.1', '255.255.255.255', '10.77.0.0', '10.77.0.255':
        servers.answer(question, OFFER, address)
    for wrong in ({'op': 1}, {'xid': b'\x11\x22\x33\x44'}, {'hardware': b'\x02' * 16}, {'end': b''}, {'TYPE': None},
                  {'SERVER': None}, {'MASK': '255.0.255.0'}, {'MASK': '0.0.0.0'}, {'MASK': b'\xff\xff\xff'}, {'LEASE': b'\1'},
                  {'TYPE': b''}, {'TYPE': b'\2\2'}, {'end': b'\x0f\xff'}, {'end': b'\x0f'}, {'NAMES': b'\1\2\3\4\5'},
                  {'SERVER': b'', 'OVERLOAD': b'\2', 'name': b'\x33' * 64}, {'OVERLOAD': b'\7', 'TYPE': None}):
        servers.answer(question, OFFER, '10.77.0.66', **wrong)
    for size in 0, 1, 43, 44, 239, 240, 241:
        servers.send(b'\2\1\6\0' + question.data[4:size] if size > 4 else b'\2' * size)
    servers.answer(question, ACK, '10.77.0.66')     # of what nobody has asked for
    servers.answer(question, NAK, '0.0.0.0')
    servers.silence('offers that are none')


def two_servers(servers):
    """The first offer is taken, and what the other server says of it does not matter."""
    question = servers.next(DISCOVER, 'the question again')
    servers.answer(question, OFFER, '10.77.0.50')
    servers.answer(question, OFFER, '10.77.0.60', OTHER)
    request = servers.next(REQUEST, 'after two offers')
    if (request.options[SERVER], request.options[ASKED]) != (socket.inet_aton(OWN), socket.inet_aton('10.77.0.50')):
        raise Wrong('the request is not for the first offer')
    servers.answer(request, NAK, '0.0.0.0', OTHER)
    servers.answer(request, ACK, '10.77.0.60', OTHER)
    servers.answer(request, ACK, '10.77.0.50', LEASE=None)
    servers.answer(request, ACK, '10.77.0.255')
    servers.silence('acknowledgements that are none')
    servers.answer(request, ACK, '10.77.0.50')
    since = servers.answered
    works('10.77.0.50')
    return since


def renewed(servers, since, address='10.77.0.50', source=OWN):
    """An idle machine asks its server at T1."""
    request = servers.next(REQUEST, 'T1')
    within('T1', request, since, TIMES[T1])
    if (request.to, request.client, SERVER in request.options, ASKED in request.options) != (source, address, False, False):
        raise Wrong(f'renewal: {vars(request)}')
    return request


def main(interface):
    subprocess.run(['ip', 'addr', 'add', OTHER + '/24', 'dev', interface], check=True)
    servers = Servers(interface)
    bad_offers(servers)
    since = two_servers(servers)
    request = renewed(servers, since)
    servers.answer(request, NAK, '0.0.0.0', OTHER)
    servers.answer(request, ACK, '10.77.0.60', OTHER)
    servers.silence('what another server says of a lease')
    servers.answer(request, ACK, '10.77.0.50')
    since = servers.answered
    with socket.create_connection(('10.77.0.50', 7), timeout=5) as s:
        renewed(servers, since)                     # and its server is silent
        request = servers.next(REQUEST, 'T2')
        within('T2', request, since, TIMES[T2])
        if (request.to, request.client) != ('255.255.255.255', '10.77.0.50'):
            raise Wrong(f'rebinding: {vars(request)}')
        servers.answer(request, ACK, '10.77.0.50', OTHER)
        since = servers.answered
        echoes(s)
        renewed(servers, since, source=OTHER)       # who extended the lease is asked; and is silent
        servers.next(REQUEST, 'T2')
        question = servers.next(DISCOVER, 'the end of the lease')
        within('the end', question, since, TIMES[LEASE])
        with contextlib.suppress(ConnectionResetError):
            raise Wrong(f'a connection of an address that is lost: {s.recv(1)!r}, not a reset')
    servers.answer(question, OFFER, '10.77.0.51')
    servers.answer(servers.next(REQUEST, 'another lease'), ACK, '10.77.0.51')
    since = servers.answered
    works('10.77.0.51')
    servers.answer(renewed(servers, since, '10.77.0.51'), NAK, '0.0.0.0')
    since = moved(servers, servers.lease('10.77.0.52'))
    # Times to ask at that are not before the end, and one of them: as if they were not told.
    servers.answer(renewed(servers, since, '10.77.0.52'), ACK, '10.77.0.52', T1=TIMES[LEASE], T2=TIMES[LEASE])
    since = servers.answered
    servers.answer(renewed(servers, since, '10.77.0.52'), ACK, '10.77.0.52', T2=0xffffffff)
    since = servers.answered
    renewed(servers, since, '10.77.0.52')
    request = servers.next(REQUEST, 'T2')
    within('T2', request, since, TIMES[T2])
    servers.answer(request, ACK, '10.77.0.52', LEASE=0xffffffff, T1=0xffffffff, T2=0xffffffff)
    servers.silence('a lease without an end', TIMES[LEASE] + SLACK)
    works('10.77.0.52')


if __name__ == '__main__':
    try:
        main(*sys.argv[1:])
    except Wrong as wrong:
        sys.exit(str(wrong))
