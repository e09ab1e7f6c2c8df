#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A peer that lets the machine's device fall behind, against tests/ports.c: behind.py OWN-SOCKET QEMU'S

Both are of QEMU's -netdev dgram, a frame a datagram. While nobody takes them here QEMU waits, and so does its device: the
ring fills with data. The machine is to take in all the same what comes meanwhile, since the other side may do as this one
does: send, and take nothing until that is through. Of what nobody would send again so much is to be kept as
net/transmit.c has places, and neither that nor the data keep the other out afterwards: a machine of one hart sends
data between any two times at which it finds room, and each time it finds room the others have the half of that.
"""
import socket
import sys
import threading
import time

from peer import RST, SYN, TCP, UDP, WAIT, Connection, Peer, Wrong, check, ports

MACHINE, OWN, OTHER = '10.77.0.2', '10.77.0.9', '10.77.0.10'
ECHO, CLOSED = 7, 99
DATAGRAMS = 3000                 # of tests/ports.c
RING_PCI, RING_MMIO = 256, 1024  # of QEMU's device
ASKED, KEPT = 2000, 1000         # SYNs, and how many of them are answered at least


class Line(Peer):
    def attach(self, interface):
        own, qemu = interface
        self.taken, self.order = threading.Event(), []
        self.taken.set()
        line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        line.bind(own)
        end = time.monotonic() + WAIT
        while True:
            try:
                line.connect(qemu)
                return line
            except OSError as error:
                if time.monotonic() > end:
                    raise Wrong(f'{qemu}: {error}') from None
                time.sleep(0.1)

    def receive(self):
        """In `order` is what each frame since the last clearing was, by its length: data or not."""
        frame = self.socket.recv(65536)
        self.taken.wait()
        self.order.append(len(frame) > 1000)
        return frame


def main(*paths):
    peer = Line(paths, MACHINE, OWN)
    peer.resolve()
    port = next(ports)
    data = peer.listen(UDP, port)
    peer.taken.clear()
    peer.order.clear()
    peer.send_ip(UDP, peer.udp(port, ECHO, b'flood'))
    time.sleep(2)                   # the ring is full, or the order of what has come tells below that it was not
    peer.addresses.add(socket.inet_aton(OTHER))
    peer.send_arp(1, b'\xff' * 6, b'\0' * 6, socket.inet_aton(OTHER), peer.machine)
    asked = [Connection(peer, CLOSED) for _ in range(ASKED)]
    for c in asked:
        c.send(SYN)
    time.sleep(1)
    peer.taken.set()
    for number in range(DATAGRAMS):
        check(f'the length of datagram {number}', len(data.get(timeout=WAIT)), 1400)
    for number, c in enumerate(asked[:KEPT]):
        got = c.next(timeout=0)
        if not got or not got.flags & RST:
            raise Wrong(f'of {ASKED} SYNs to a closed port while the ring was full the {number}. got {got}, not a reset')
    behind = [sum(peer.order[:at]) for at, is_data in enumerate(peer.order) if not is_data]
    if len(behind) <= KEPT:
        raise Wrong(f'{len(behind)} resets and answers to ARP came, {KEPT + 1} were expected')
    first, kept = behind[0], behind[KEPT]
    share = (RING_MMIO if first >= RING_MMIO else RING_PCI) // 2
    if first < RING_PCI or not first < kept <= first + KEPT + share:
        raise Wrong(f'the first reset came behind {first} datagrams, the {KEPT}. behind {kept}')


try:
    main(*sys.argv[1:])
except Wrong as wrong:
    sys.exit(str(wrong))
