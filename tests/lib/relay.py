#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A bad network between a machine's tap device and a new one: relay.py MACHINE_TAP NEW_TAP [KEY=VALUE]...

Hands frames on, both ways, but for those that it loses, doubles, delays or lets others pass: what `tc netem` would do,
which not every kernel has. The kernel of this host uses NEW_TAP, whose address the caller sets; it must not have
one at MACHINE_TAP. Keys, all 0 by default: loss, double, reorder (parts of 1), delay, jitter (ms), seed. ARP is not lost.
Frames go through with the header of virtio, which tells of checksums that are still to be made.
"""
import fcntl
import heapq
import os
import random
import select
import signal
import socket
import struct
import sys
import time

TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x400454ca, 2, 0x1000, 0x4000
SOL_PACKET, PACKET_VNET_HDR = 263, 15
HEADER = 10


def machine_side(name):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    s.bind((name, 0))
    return s


def host_side(name):
    fd = os.open('/dev/net/tun', os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack('16sH22x', name.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
    return fd


class Relay:
    def __init__(self, machine, new, **options):
        self.machine, self.host = machine_side(machine), host_side(new)
        self.options = dict.fromkeys(('loss', 'double', 'reorder', 'delay', 'jitter', 'seed'), 0.0)
        self.options.update(options)
        self.random = random.Random(self.options['seed'])
        self.waiting = []   # heap of (when, number, send, frame)
        self.number = self.passed = self.lost = 0

    def take(self, frame, send):
        is_arp = frame[HEADER + 12:HEADER + 14] == b'\x08\x06'
        if not is_arp and self.random.random() < self.options['loss']:
            self.lost += 1
            return
        for _ in range(1 + (self.random.random() < self.options['double'])):
            delay = self.options['delay'] + self.random.random() * self.options['jitter']
            if self.random.random() < self.options['reorder']:
                delay = 0   # before those that were sent earlier
            self.number += 1
            self.passed += 1
            heapq.heappush(self.waiting, (time.monotonic() + delay / 1000, self.number, send, frame))

    def send_due(self):
        """Those whose time has come; answers how long until the next."""
        while self.waiting:
            left = self.waiting[0][0] - time.monotonic()
            if left > 0:
                return left
            _, _, send, frame = heapq.heappop(self.waiting)
            try:
                send(frame)
            except OSError: # a full queue is one more loss
                self.lost += 1
        return None

    def run(self):
        poll = select.poll()
        poll.register(self.machine, select.POLLIN)
        poll.register(self.host, select.POLLIN)
        while True:
            left = self.send_due()
            for fd, _ in poll.poll(None if left is None else left * 1000):
                if fd == self.host:
                    self.take(os.read(self.host, 65600), self.machine.send)
                else:
                    frame, address = self.machine.recvfrom(65600)
                    if address[2] != socket.PACKET_OUTGOING:
                        self.take(frame, lambda frame: os.write(self.host, frame))


def main(machine, new, *pairs):
    relay = Relay(machine, new, **{key: float(value) for key, value in (pair.split('=') for pair in pairs)})

    def end(*_):
        print(f'{relay.passed} frames passed, {relay.lost} were lost', flush=True)
        os._exit(0)
    signal.signal(signal.SIGTERM, end)
    print('relaying', flush=True)
    relay.run()


main(*sys.argv[1:])
