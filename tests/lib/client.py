#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Drives tests/ports.c: client.py SCENARIO MOST ECHO COUNT GOROUTINES PATTERN

MOST is how many connections there may be at once, the others are HOST:PORT of the services. It
runs in a process of its own, because its network may be a namespace of its own. Ends with a
message and status 1 when a byte is wrong or missing.
"""
import os
import random
import select
import socket
import struct
import sys
import threading
import time

WAIT = 20  # seconds for any single answer


def connect(address):
    host, port = address.rsplit(':', 1)
    s = socket.create_connection((host, int(port)), timeout=WAIT)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def read_all(s):
    pieces = []
    while piece := s.recv(65536):
        pieces.append(piece)
    return b''.join(pieces)


def echo(s, data, piece=65536):
    """Sends data, reads it back meanwhile, and compares."""
    sent, back = 0, b''
    while len(back) < len(data):
        writable = [s] if sent < len(data) else []
        ready = select.select([s], writable, [], WAIT)
        if not any(ready):
            sys.exit(f'no answer: {sent} of {len(data)} bytes sent, {len(back)} came back')
        if ready[0]:
            got = s.recv(65536)
            if not got:
                sys.exit(f'the connection ended after {len(back)} of {len(data)} bytes')
            back += got
        if ready[1]:
            sent += s.send(data[sent:sent + piece])
    if back != data:
        at = next(i for i, (a, b) in enumerate(zip(back, data)) if a != b)
        sys.exit(f'byte {at} of {len(data)} came back wrong')


def in_threads(count, function):
    """Runs function(number) in so many threads; a thread that fails ends the process."""
    failures = []

    def guarded(number):
        try:
            function(number)
        except (Exception, SystemExit) as error:
            failures.append(f'connection {number}: {error!r}')
    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        sys.exit('\n'.join(failures[:5]))


class Client:
    def __init__(self, most, addresses):
        self.most = most
        self.echo, self.count, self.goroutines, self.pattern = addresses

    def accepted(self):
        """
        A connection of many at once. QEMU's user network, whose backlog is one, resets some of
        them; it gets a few attempts, a real network one.
        """
        for attempt in range(1 if self.most > 8 else 5):
            s = connect(self.echo)
            try:
                echo(s, b'?')
                return s
            except OSError as error:
                s.close()
                reset = error
        raise reset

    def goroutine_count(self):
        with connect(self.goroutines) as s:
            return int(read_all(s))

    def many(self):
        """200 connections, some at once, of random sizes in random pieces."""
        def one(number):
            rng = random.Random(number)
            for _ in range(200 // self.most):
                size = rng.choice([1, 100, 1460, 1461, 5000, 70000]) + rng.randrange(100)
                data, piece = rng.randbytes(size), rng.choice([1000, 65536])
                with self.accepted() as s:
                    echo(s, data, piece)
        in_threads(self.most, one)

    def one_by_one(self):
        with connect(self.echo) as s:
            for i in range(300):
                echo(s, bytes([i % 256]) * (i % 7 + 1))

    def few(self):
        """A few, in a time that says whether somebody looks at the network often enough."""
        start = time.monotonic()
        with connect(self.echo) as s:
            for i in range(20):
                echo(s, b'%d' % i)
        if (took := time.monotonic() - start) > 4:
            sys.exit(f'{took:.1f} s for 20 answers')

    def half_closed(self):
        for size in 0, 1, 5000, 300000:
            with connect(self.count) as s:
                s.sendall(b'x' * size)
                s.shutdown(socket.SHUT_WR)
                if (answer := read_all(s)) != b'%d\n' % size:
                    sys.exit(f'{answer} after the end of {size} bytes')
        with connect(self.echo) as s:
            s.sendall(b'last words')
            s.shutdown(socket.SHUT_WR)
            if (answer := read_all(s)) != b'last words':
                sys.exit(f'{answer!r} came back after the end')

    def resets(self):
        """Connections that are reset in the middle do not disturb others, or leave anything."""
        before = self.goroutine_count()

        def one(number):
            for i in range(60 // self.most + 1):
                s = connect(self.pattern if i % 2 else self.echo)
                s.sendall(b'10000000\n' if i % 2 else b'y' * 20000)
                if number % 2:
                    s.recv(100)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                s.close()
        in_threads(self.most, one)
        end = time.monotonic() + WAIT
        while (after := self.goroutine_count()) > before:
            if time.monotonic() > end:
                sys.exit(f'{before} goroutines before the resets, {after} after')
            time.sleep(0.1)
        self.one_by_one()

    def idle(self):
        """Connections that say nothing for a while cost nothing and stay good."""
        sockets = [connect(self.echo) for _ in range(self.most - 1)]
        self.one_by_one()
        time.sleep(1)
        for number, s in enumerate(sockets):
            echo(s, b'still here %d' % number)
            s.close()

    def slow_reader(self):
        """Somebody who does not read keeps only himself waiting, and gets all in the end."""
        size = 1000000
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, port = self.pattern.rsplit(':', 1)
        s.settimeout(WAIT)
        s.connect((host, int(port)))
        s.sendall(b'%d\n' % size)
        data = b''
        while len(data) < 100000:
            data += s.recv(4000)
            time.sleep(0.01)
        self.one_by_one()
        data += read_all(s)
        if data != (bytes(range(251)) * (size // 251 + 1))[:size]:
            sys.exit(f'the pattern is wrong; {len(data)} bytes came')

    def never_reads(self):
        """
        Sends without reading until both sides are full; the service must survive it, and the reset at the end. QEMU's
        user network would not: a client that is gone while libslirp has no room for its bytes ends QEMU with an
        assertion (4.7.0, "soread: Assertion `buf_len != 0' failed"). There it reads everything in the end.
        """
        s = connect(self.echo)
        s.settimeout(1)
        try:
            for _ in range(1000):
                s.sendall(os.urandom(65536))
        except TimeoutError:
            pass
        self.one_by_one()
        if self.most <= 8:
            s.settimeout(WAIT)
            s.shutdown(socket.SHUT_WR)
            read_all(s)
        s.close()

    def bulk(self):
        size = 20000000
        start = time.monotonic()
        with connect(self.pattern) as s:
            s.sendall(b'%d\n' % size)
            data = read_all(s)
        if data != (bytes(range(251)) * (size // 251 + 1))[:size]:
            sys.exit(f'the pattern is wrong; {len(data)} bytes came')
        print(f'{size / (time.monotonic() - start) / 1e6:.1f} MB/s')

    def first(self):
        """Waits until the machine answers at all."""
        end = time.monotonic() + WAIT
        while True:
            try:
                with connect(self.echo) as s:
                    s.settimeout(2)
                    s.sendall(b'?')
                    if s.recv(1) == b'?':
                        return
            except OSError as error:
                if time.monotonic() > end:
                    sys.exit(f'no answer from {self.echo}: {error}')
            time.sleep(0.05)


getattr(Client(int(sys.argv[2]), sys.argv[3:7]), sys.argv[1])()
