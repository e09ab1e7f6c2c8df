#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Many who come at once to tests/arrivals.c, over a tap device: arrivals.py INTERFACE

Ends with a message and status 1 when one of them is turned away.
"""
import queue
import socket
import sys
import time

from peer import ACK, SYN, TCP, WAIT, Connection, Peer, Wrong, mss

MACHINE, OWN, STRANGER = '10.77.0.2', '10.77.0.9', '10.77.0.10'
SLOW, DOOR = 7, 8
AT_ONCE = 200
CROWD = 1500


class Answers:
    """What comes for one port, in the order in which it comes for all."""

    def __init__(self, port, order):
        self.port, self.order = port, order

    def put(self, segment):
        self.order.put((self.port, segment))


def from_a_new_address(peer):
    """The machine has to ask where the answers go, and then none is missing: one that was dropped comes at last, when
    all are sent once more."""
    own, order, answered = socket.inet_aton(STRANGER), queue.Queue(), set()
    for port in range(1000, 1000 + AT_ONCE):
        peer.queues[TCP, port] = Answers(port, order)
        peer.send_ip(TCP, peer.tcp(port, SLOW, SYN, 1, 0, options=mss(1460), own=own), own=own)
    time.sleep(0.1)     # so that as many as can be wait already
    peer.addresses.add(own)
    peer.send_arp(2, peer.machine_mac, peer.machine_mac, own, peer.machine)
    while len(answered) < AT_ONCE:
        try:
            port, segment = order.get(timeout=WAIT)
        except queue.Empty:
            raise Wrong(f'{len(answered)} of {AT_ONCE} who came at once from one address have an answer') from None
        if segment.flags != SYN | ACK:
            raise Wrong(f'{segment}, no answer to a SYN')
        if port in answered:
            raise Wrong(f'{len(answered)} of {AT_ONCE} who came at once from one address had an answer, then one had two')
        answered.add(port)


def while_nobody_is_let_in(peer):
    """They wait, one whose handshake takes long too, and are let in when the program comes round to it."""
    slow = Connection(peer, SLOW)
    slow.send(SYN, options=mss(1460))
    slow.ack = slow.expect(SYN | ACK, 'an answer to a SYN', ack=slow.seq).seq + 1
    crowd = [socket.create_connection((MACHINE, SLOW), timeout=WAIT) for _ in range(CROWD)]
    for number, client in enumerate(crowd):
        client.sendall(b'%d\n' % number)
    with socket.create_connection((MACHINE, DOOR), timeout=WAIT):
        for number, client in enumerate(crowd):
            client.settimeout(WAIT)
            if (got := client.makefile().readline()) != f'{number}\n':
                raise Wrong(f'{got!r} came back to the client {number}')
        slow.send(ACK)  # not earlier, beside so many others: a frame that is lost is not sent again
        slow.send(ACK, b'slow\n')
        if (got := slow.read(5)[0]) != b'slow\n':
            raise Wrong(f'{got} came back to the slow one')


def main(interface):
    peer = Peer(interface, MACHINE, OWN)
    peer.resolve()
    for scenario in from_a_new_address, while_nobody_is_let_in:
        start = time.monotonic()
        try:
            scenario(peer)
        except (Wrong, OSError) as error:
            return f'{scenario.__name__}: {error if isinstance(error, Wrong) else repr(error)}'
        print(f'{time.monotonic() - start:6.2f} s  {scenario.__name__}', flush=True)
    return 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
