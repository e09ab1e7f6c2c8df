#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""More clients than tests/crowded.c has memory for: crowded.py CLIENTS LEAST

All come at once. Some are served, LEAST of them at least; others are turned away, by a reset or by silence. Those that are
served go on being served, all at once and again and again; when they leave, others get in, and in the end all is as before.
Ends with a message and status 1 when that is not so.
"""
import contextlib
import resource
import selectors
import socket
import sys
import time

MACHINE, ECHO, FIGURES = '10.77.0.2', 7, 13
WAIT = 10   # seconds for an answer


class Wrong(Exception):
    """The machine did not do what it has to."""


def figures():
    """What the machine tells of itself, by a connection that was there before the others."""
    teller.sendall(b'?')
    line = teller.recv(1000)
    return {name: int(value) for name, value in (word.split('=') for word in line.decode().split())}


def come(count):
    """So many at once, each says something; those that get it back."""
    selector, served = selectors.DefaultSelector(), []
    for _ in range(count):
        s = socket.socket()
        s.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            s.connect((MACHINE, ECHO))
        selector.register(s, selectors.EVENT_WRITE)
    end = time.monotonic() + WAIT
    while selector.get_map() and time.monotonic() < end:
        for key, events in selector.select(0.5):
            s = key.fileobj
            try:
                if events & selectors.EVENT_WRITE:
                    s.send(b'hello')
                    selector.modify(s, selectors.EVENT_READ)
                elif s.recv(100) == b'hello':
                    selector.unregister(s)
                    served.append(s)
                else:
                    raise ConnectionResetError
            except OSError:
                selector.unregister(s)
                s.close()
    for key in list(selector.get_map().values()):
        key.fileobj.close()
    return served


def still_served(clients, what):
    for s in clients:
        s.settimeout(WAIT)
        s.sendall(b'still there?')
    for number, s in enumerate(clients):
        try:
            got = s.recv(100)
        except OSError as error:
            got = error
        if got != b'still there?':
            raise Wrong(f'{what}: client {number} of {len(clients)} got {got!r}')


def leave(clients):
    for s in clients:
        s.close()
    end = time.monotonic() + WAIT
    while figures()['connections'] > 1 and time.monotonic() < end:
        time.sleep(0.1)


def main(count, least):
    global teller
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, count + 100))
    teller = socket.create_connection((MACHINE, FIGURES), timeout=WAIT)
    before = figures()
    first = come(count)
    if not least <= len(first) < count:
        raise Wrong(f'{len(first)} of {count} were served, not {least} or more: {figures()}')
    for again in range(3):
        still_served(first, f'when all ask at once, {again}')
    more = come(100)        # while all those are there
    still_served(first, 'after more have come')
    print(f'{len(first)} of {count} served, then {len(more)} of 100; before {before}, now {figures()}')
    half = len(first) // 2
    for s in first[:half] + more:
        s.close()
    rest, end = first[half:], time.monotonic() + 30
    while len(others := come(half // 2)) < half // 4:
        still_served(rest, 'after half have left')
        for s in others:
            s.close()
        if time.monotonic() > end:
            raise Wrong(f'{len(others)} of {half // 2} got in after {half} have left: {figures()}')
    still_served(rest + others, 'with those that came later')
    leave(rest + others)
    end = time.monotonic() + 60
    # Dead goroutines and their stacks are kept for the next: their pools are as good as free.
    least = before['free'] + before['pools'] - (2 << 20)
    while (now := figures())['free'] + now['pools'] < least or now['goroutines'] > before['goroutines']:
        if time.monotonic() > end:
            raise Wrong(f'before {before}, now {now}')
        time.sleep(0.5)
    print(f'in the end {now}')


try:
    main(*map(int, sys.argv[1:]))
except Wrong as wrong:
    sys.exit(str(wrong))
