#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Drives examples/echo.c, chat.c and proxy.c: services.py WHAT HOST:PORT [TARGET_PORT]

Ends with a message and status 1 when an answer is not as it should be. For the proxy it is the target as well, at
TARGET_PORT of this side.
"""
import contextlib
import os
import select
import socket
import struct
import sys
import threading
import time

WAIT = 20
RESET = struct.pack('ii', 1, 0)


def connect(address, buffer=None):
    """Waits for the machine's address, and survives the backlog of QEMU's user network."""
    host, port = address.rsplit(':', 1)
    end = time.monotonic() + WAIT
    while True:
        s = socket.socket()
        if buffer:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        s.settimeout(WAIT)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            s.connect((host, int(port)))
            return s
        except OSError:
            s.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def read_all(s):
    pieces = []
    while piece := s.recv(65536):
        pieces.append(piece)
    return b''.join(pieces)


def read_until(s, end):
    data = b''
    while not data.endswith(end):
        piece = s.recv(1)
        if not piece:
            sys.exit(f'the connection ended after {data!r}, before {end!r}')
        data += piece
    return data


def expect(what, got, want):
    if got != want:
        sys.exit(f'{what}: {got!r:.200}, not {want!r:.200}')


def exchange(s, data):
    """Sends it and ends, reads meanwhile until the peer ends, and answers what came."""
    sent, pieces, ended = 0, [], False
    while sent < len(data) or not ended:
        ready = select.select([] if ended else [s], [s] if sent < len(data) else [], [], WAIT)
        if not any(ready):
            sys.exit(f'no answer: {sent} of {len(data)} bytes sent, {sum(map(len, pieces))} came back')
        if ready[0]:
            pieces.append(s.recv(65536))
            ended = not pieces[-1]
        if ready[1]:
            sent += s.send(data[sent:sent + 65536])
            if sent == len(data):
                s.shutdown(socket.SHUT_WR)
    return b''.join(pieces)


def echo(address):
    with connect(address) as s:  # the first one, which waits until the machine answers at all
        expect('echo', exchange(s, b'hello\n'), b'hello\n')
    data = os.urandom(300000)
    with connect(address) as s:
        expect('echo of 300,000 bytes', exchange(s, data), data)
    sockets = [connect(address) for _ in range(8)]
    for number, s in enumerate(sockets):
        s.sendall(b'%d\n' % number)
    for number, s in enumerate(sockets):
        expect('echo of one of many', read_until(s, b'\n'), b'%d\n' % number)
        s.close()


# ---- chat ----

class Guest:
    def __init__(self, address, name, shown, buffer=None):
        self.socket = connect(address, buffer)
        self.file = self.socket.makefile('rb')
        expect('the first question', self.file.read(11), b'Your name? ')
        self.say(name)
        self.hears(f'* {shown} has joined')

    def say(self, text):
        self.socket.sendall(text.encode() + b'\n')

    def line(self):
        return self.file.readline().decode(errors='replace').removesuffix('\n')

    def hears(self, line):
        expect('a line of the chat', self.line(), line)


def chat(address):
    ann = Guest(address, 'ann', 'ann')
    bob = Guest(address, 'bob\x1b[2J\r', 'bob [2J')
    ann.hears('* bob [2J has joined')
    slow = Guest(address, 'a name that is much too long', 'a name that is much', buffer=4096)
    for guest in ann, bob:
        guest.hears('* a name that is much has joined')
    bob.say('hello')
    ann.hears('bob [2J: hello')
    ann.socket.sendall(b'in ')
    ann.socket.sendall(b'pieces\ntwo at once\n' + b'x' * 500 + b'\n')
    ann.socket.sendall('\xc9 \u2019 \U0001f600 \x9b1m'.encode() + b' \x9b\x9b1m\x9b\n')
    # Bytes of letters pass, of U+009B the first alone, and that byte by itself not.
    said = ['in pieces', 'two at once', 'x' * 400, 'x' * 100, '\xc9 \u2019 \U0001f600 \ufffd 1m   1m']
    for line in said:
        bob.hears('ann: ' + line)
    # Who does not read keeps nobody waiting: 6 MB are more than his connection takes, on whatever network.
    rounds, at_once = 300, 50
    for number in range(rounds):
        text = f'{number} ' + 'y' * 390
        bob.say('\n'.join([text] * at_once))
        for _ in range(at_once):
            ann.hears(f'bob [2J: {text}')
    bob.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    bob.file.close()
    bob.socket.close()
    ann.hears('* bob [2J has left')
    # He hears the others' lines in their order, and how many are missing where they are.
    lines = ['bob [2J: hello', *('ann: ' + line for line in said),
             *(f'bob [2J: {number} ' + 'y' * 390 for number in range(rounds) for _ in range(at_once)), '* bob [2J has left']
    at, missed, end, over = 0, 0, len(lines), threading.Event()

    def go_on():
        while not over.wait(0.1):
            lines.append('ann: still here')
            ann.say('still here')
    threading.Thread(target=go_on, daemon=True).start()  # a gap is told of when there is a line behind it
    while at < end:
        line = slow.line()
        if line.startswith('* you have missed '):
            at += int(line.split()[4])
            missed += 1
        else:
            expect(f'line {at}, after {missed} gaps', line, lines[at])
            at += 1
    if not missed:
        sys.exit('the slow reader has missed nothing')
    over.set()


# ---- proxy ----

class Target:
    """What the proxy's connections come to."""

    def __init__(self, port):
        self.listener = socket.create_server(('', port))
        self.listener.settimeout(WAIT)

    def accept(self):
        s = self.listener.accept()[0]
        s.settimeout(WAIT)
        return s


def ends(what, s):
    """No more comes, whether by an end or by a reset."""
    with contextlib.suppress(ConnectionResetError):
        expect(what, read_all(s), b'')


def silent(what, s):
    """Nothing comes, and no end, for a while."""
    if select.select([s], [], [], 0.1)[0]:
        sys.exit(f'{what}: {s.recv(100)!r}')


def pair(address, target):
    client = connect(address)
    return client, target.accept()


class Busy:
    """Two ends that are not silent for IDLE=1, unless this side is away for so long."""

    def __init__(self, ends):
        self.ends, self.since, self.was_away = ends, time.monotonic(), False

    def pass_on(self, end, byte):
        if self.was_away:
            return
        before = time.monotonic()
        try:
            self.ends[end].sendall(byte)
            got = self.ends[1 - end].recv(1)
        except ConnectionError:
            got = b''
        if got != byte:
            self.was_away = time.monotonic() - self.since > 1
            if not self.was_away:
                sys.exit(f'one-sided traffic: {got}, not {byte}')
        self.since = before


def proxy(address, port):
    target = Target(int(port))
    # Both ways at once; each side ends after its last byte, and the other hears of it.
    client, server = pair(address, target)
    up, down, got = os.urandom(700000), os.urandom(500000), []
    thread = threading.Thread(target=lambda: got.append(exchange(server, down)))
    thread.start()
    expect('from the target', exchange(client, up) == down, True)
    thread.join()
    expect('to the target', got == [up], True)
    # One side has ended, the other goes on.
    for here, there in (0, 1), (1, 0):
        sides = pair(address, target)
        sides[here].shutdown(socket.SHUT_WR)
        expect('the half that ended', read_all(sides[there]), b'')
        for _ in range(3):
            silent('after half an end', sides[here])
            sides[there].sendall(b'goes on')
            expect('the half that goes on', sides[here].recv(100), b'goes on')
        sides[there].close()
        expect('the second half', read_all(sides[here]), b'')
    # A reset on one side ends the other.
    for here, there in (0, 1), (1, 0):
        sides = pair(address, target)
        sides[here].sendall(b'?')
        expect('before a reset', sides[there].recv(10), b'?')
        sides[here].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        sides[here].close()
        ends('after a reset', sides[there])
    # Silent for longer than IDLE=1: both ends. With traffic in one direction only: neither.
    quiet, busy = pair(address, target), Busy(pair(address, target))
    start = time.monotonic()
    for _ in range(10):
        busy.pass_on(0, b'.')
        time.sleep(0.2)
    for s in quiet:     # by now; a host with much to do may be late
        ends('a silent connection', s)
    if time.monotonic() - start < 2:
        sys.exit('that was no test of IDLE')
    busy.pass_on(1, b'!')


def unreachable(address):
    """A proxy whose target does not listen: the client sees an end."""
    with connect(address) as s:
        ends('a target that is not there', s)


globals()[sys.argv[1]](*sys.argv[2:])
