#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Who waits while tests/shortage.c has used up the memory: shortage.py INTERFACE

One is there before; another comes when that one has waited for four of the five seconds that each has. Ends with a message
and status 1 when the machine did what it must not.
"""
import socket
import sys
import time

from peer import ACK, MASK, RST, SYN, WAIT, Connection, Peer, Wrong, check

MACHINE, OWN = '10.77.0.2', '10.77.0.9'
PATIENCE = 5


def order(what):
    orders.sendall(what)
    check('the answer to an order', orders.recv(1), what)


def reset_after(c, what):
    """How long it took from the beginning until the machine resets it."""
    end = time.monotonic() + PATIENCE + WAIT
    while time.monotonic() < end:
        if (got := c.next(timeout=1)) and got.flags & RST:
            return time.monotonic() - start
    raise Wrong(f'{what} is not reset')


def main(interface):
    global orders, start
    peer = Peer(interface, MACHINE, OWN)
    peer.resolve()
    orders = socket.create_connection((MACHINE, 13), timeout=WAIT)
    first, late = Connection(peer, 7), Connection(peer, 7)
    first.open()
    late.send(SYN)
    late.ack = late.expect(SYN | ACK, 'an answer to a SYN', ack=late.seq).seq + 1 & MASK
    start = time.monotonic()
    order(b'e')
    time.sleep(PATIENCE - 1)
    late.send(ACK)
    came = time.monotonic() - start
    one, two = reset_after(first, 'the first'), reset_after(late, 'the one that came late')
    if not (PATIENCE - 0.5 < one < two and two - came > PATIENCE - 0.5):
        raise Wrong(f'reset after {one:.1f} s, and who came {came:.1f} s later after {two:.1f} s')
    order(b'f')
    c = Connection(peer, 7)
    c.open()
    c.send(ACK, b'hello')
    check('an echo', c.read(5)[0], b'hello')
    c.finish()


try:
    main(*sys.argv[1:])
except Wrong as wrong:
    sys.exit(str(wrong))
