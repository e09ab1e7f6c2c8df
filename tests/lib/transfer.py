#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Transfers through a network that is bad: transfer.py HOST BYTES CONNECTIONS, with tests/ports.c at HOST.

Up, down and both ways at once, on so many connections each; ends with a message and status 1 when a byte is wrong or
missing, or when nothing moves for a minute.
"""
import random
import socket
import sys
import threading

from together import together

HOST, SIZE, CONNECTIONS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
WAIT = 60
ECHO, COUNT, PATTERN = 7, 9, 19


def connect(port):
    return socket.create_connection((HOST, port), timeout=WAIT)


def read_all(s):
    pieces = []
    while piece := s.recv(65536):
        pieces.append(piece)
    return b''.join(pieces)


def up(number):
    with connect(COUNT) as s:
        s.sendall(b'u' * SIZE)
        s.shutdown(socket.SHUT_WR)
        if (answer := read_all(s)) != b'%d\n' % SIZE:
            raise ValueError(f'{answer} for {SIZE} bytes')


def down(number):
    with connect(PATTERN) as s:
        s.sendall(b'%d\n' % SIZE)
        data = read_all(s)
    if data != (bytes(range(251)) * (SIZE // 251 + 1))[:SIZE]:
        raise ValueError(f'the pattern is wrong; {len(data)} of {SIZE} bytes came')


def both(number):
    data = random.Random(number).randbytes(SIZE)
    with connect(ECHO) as s:
        def send():
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
        thread = threading.Thread(target=send)
        thread.start()
        back = read_all(s)
        thread.join()
    if back != data:
        raise ValueError(f'{len(back)} of {SIZE} bytes came back, or others')


def main():
    if failures := together(*[(function, number) for function in (up, down, both) for number in range(CONNECTIONS)]):
        sys.exit('\n'.join(failures))


main()
