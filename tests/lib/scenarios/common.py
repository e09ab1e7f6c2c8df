# SPDX-License-Identifier: BSD-2-Clause
"""What the scenarios share: the peer that plays them, the services of tests/ports.c, and the usual first steps."""
import socket
import threading
import time

from peer import ACK, FIN, MASK, WAIT, Connection, Wrong, check, mss

MACHINE, OWN = '10.77.0.2', '10.77.0.9'
ECHO, COUNT, FIGURES, TELLS, DEAF, HALF, SILENT, PATTERN = 7, 9, 13, 14, 15, 16, 17, 19
ICMP = 1
BYTES = bytes(range(251)) * 1000
# A datagram that comes in pieces loses its place to a thousand newer ones, and what memory those take is measured: who
# does the one, the other, or takes much memory waits for this.
turn = threading.Lock()
peer = None     # a Peer, once it is there


def opened(port, options=mss(1460), window=None):
    c = Connection(peer, port)
    if window is not None:
        c.window = window
    c.open(options)
    return c


def echoes(c, data=b'still alive?'):
    """It lives, and its numbers are as they should be."""
    c.send(ACK, data)
    check('an echo', c.read(len(data))[0], data)


def answered_rarely(c, what, *sends):
    """Each of them has the machine send an ACK, but of many it answers one in 500 ms."""
    start = time.monotonic()
    sends[0]()
    c.expect(ACK, what, seq=c.ack, ack=c.seq)
    for _ in range(20):
        for send in sends:
            send()
    before, more = c.seq, 0
    c.send(ACK, b'!')
    while not (got := c.expect(ACK, f'an echo behind {what}', seq=c.ack)).data:
        more += got.ack == before
    most = int((time.monotonic() - start + 0.001) / 0.5)    # it counts milliseconds
    if more > most:
        raise Wrong(f'{what}: {more} more answers in the time of {most}')
    c.ack = c.ack + 1 & MASK
    c.send(ACK)


def figures():
    """What tests/ports.c tells of itself."""
    end = time.monotonic() + WAIT
    while True:
        try:
            with socket.create_connection((MACHINE, FIGURES), timeout=WAIT) as s:
                text = b''
                while piece := s.recv(1000):
                    text += piece
            return {name: int(value) for name, value in (word.split('=') for word in text.decode().split())}
        except OSError:
            if time.monotonic() > end:
                raise


def machine6():
    """The machine's address of the link, which it makes of its hardware's."""
    mac = peer.machine_mac
    return b'\xfe\x80' + b'\0' * 6 + bytes([mac[0] ^ 2]) + mac[1:3] + b'\xff\xfe' + mac[3:]


def finish_acknowledged(c):
    c.send(FIN | ACK)
    c.expect(ACK, 'the last ACK', ack=c.seq)
