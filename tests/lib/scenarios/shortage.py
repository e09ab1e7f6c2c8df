# SPDX-License-Identifier: BSD-2-Clause
"""What takes memory, on a machine with little."""
import socket
import struct
import time

from peer import ACK, MASK, Wrong, checksum
from scenarios import common
from scenarios.common import ECHO, ICMP, opened, echoes, figures


def gaps():
    """In 24 MiB: a crowd leaves a gap of a byte each, and what is kept behind it takes all memory but what others need."""
    honest = opened(ECHO)
    echoes(honest)
    crowd = [opened(ECHO) for _ in range(550)]
    for c in crowd:
        for at in range(1, 64 * 200, 200):
            c.send(ACK, b'-' * 200, seq=c.seq + at)
        for _ in range(64):     # until it has seen them all
            if not c.next(timeout=0.02):
                break
    end, got = time.monotonic() + 3, None   # later they are silent for so long that it is forgotten
    while not (got and got.data == b'still alive?'):
        if time.monotonic() > end:
            raise Wrong('what has a gap leaves no memory for others')
        if not got:
            honest.send(ACK, b'still alive?', seq=honest.seq)
        got = honest.next(timeout=0.3)
    honest.seq = honest.seq + 12 & MASK
    for c in [honest, *crowd]:
        c.reset()


def made_up_neighbours():
    """In 24 MiB: pings of those who are not there, whose addresses the answers wait for, leave memory to others."""
    honest = opened(ECHO)
    echo = struct.pack('!BBHHH', 8, 0, 0, 1, 1) + b'-' * 1464
    echo = echo[:2] + struct.pack('!H', checksum(echo)) + echo[4:]
    for number in range(9000):
        common.peer.send_ip(ICMP, echo, own=socket.inet_aton(f'10.77.0.{130 + number % 100}'))
        if number % 100 == 99:
            echoes(honest)
    c = opened(ECHO)
    for c in c, honest:
        echoes(c)
        c.finish()
    memory = figures()['memory']
    if memory > 3 << 20:
        raise Wrong(f'{memory} bytes')


# Not without their names, on machines of their own.
ASKED_FOR = [gaps, made_up_neighbours]
