# SPDX-License-Identifier: BSD-2-Clause
"""What comes is not as it was sent, or contradicts itself."""
import random
import socket
import struct

from peer import ACK, FIN, MASK, RST, SACK_PERMITTED, SYN, TCP, UDP, WAIT, check, checksum, mss, ports
from scenarios import common
from scenarios.common import ECHO, COUNT, opened, echoes
from scenarios.fragments import connect6

UDP_NO_CHECK6_TX = 101  # which Python has no name for


def out_of_order():
    rng = random.Random(1)
    for sack in SACK_PERMITTED, b'':
        c = opened(ECHO, mss(1460) + sack)
        start, data = c.seq, rng.randbytes(12000)
        c.send(ACK, data[1000:2000], seq=start + 1000)
        answer = c.expect(ACK, 'a segment beyond a gap', ack=start)
        want = struct.pack('!II', start + 1000 & MASK, start + 2000 & MASK) if sack else None
        check('what is told of it', answer.options.get(5), want)
        pieces = [(at, rng.randrange(1, 1460)) for at in range(0, 12000, 400)]  # which overlap
        rng.shuffle(pieces)
        for at, length in pieces + pieces[:10] + [(at, 400) for at in range(0, 12000, 400)]:
            c.send(ACK, data[at:at + length], seq=start + at)
        c.seq = start + 12000 & MASK
        check('the echo of pieces that overlap', c.read(12000)[0] == data, True)
        c.finish()


def fin_out_of_order():
    c = opened(COUNT)
    start = c.seq
    c.send(FIN | ACK, b'b' * 500, seq=start + 1000)
    c.expect(ACK, 'a FIN beyond a gap', ack=start)
    c.send(ACK, b'a' * 1000, seq=start)
    c.seq = start + 1501 & MASK
    check('the bytes counted', c.read_end(), b'1500\n')


def urgent_and_empty():
    """Flags that mean nothing here are as if they were not set; a segment without ACK is dropped."""
    c = opened(ECHO)
    c.send(32 | ACK, b'urgent')
    check('an urgent echo', c.read(6)[0], b'urgent')
    c.send(0, b'no flags', seq=c.seq)
    c.silence('data without ACK')
    c.send(SYN | FIN | RST | 8 | ACK | 32, seq=c.seq + 100000)
    c.silence('all flags outside of the window')
    echoes(c)
    c.finish()


def bad_checksums():
    c = opened(ECHO)
    c.send(ACK, b'bad', seq=c.seq, bad_checksum=True)
    c.silence('a wrong TCP checksum')
    common.peer.send_ip(TCP, common.peer.tcp(c.own_port, c.port, ACK, c.seq, c.ack, data=b'bad'), bad_checksum=True)
    c.silence('a wrong IP checksum')
    c.send(RST, seq=c.seq, bad_checksum=True)
    echoes(c)
    c.finish()
    port = next(ports)
    answers = common.peer.listen(UDP, port)
    common.peer.send_ip(UDP, common.peer.udp(port, ECHO, b'bad', bad_checksum=True))
    common.peer.send_ip(UDP, common.peer.udp(port, ECHO, b'none', no_checksum=True))
    common.peer.send_ip(UDP, common.peer.udp(port, ECHO, b'good'))
    check('datagrams', [answers.get(timeout=WAIT) for _ in range(2)], [b'none', b'good'])


def bad_lengths():
    """Headers that lie about lengths are dropped."""
    c = opened(ECHO)
    body = common.peer.tcp(c.own_port, c.port, ACK, c.seq, c.ack, data=b'data')
    for offset in 0, 4, 15:     # in words: less than a header, and more than there is
        wrong = bytearray(body)
        wrong[12] = offset << 4
        common.peer.send_ip(TCP, common.peer.transport(TCP, bytes(wrong[:16] + b'\0\0' + wrong[18:]), 16))
    for size in 0, 1, 13, 19:
        common.peer.send_ip(TCP, body[:size])
    for options in b'\2\4\1', b'\2\0', b'\2\1\1\1', b'\3\x28', b'\xff\xff\xff\xff', b'\2':
        common.peer.send_ip(TCP, common.peer.tcp(next(ports), ECHO, SYN, 1, 0, options=options))
    c.silence('headers that lie')
    echoes(c)
    c.finish()


def impossible_acknowledgements():
    """Data and an end with an ACK of what was never sent, or of what is further back than a window, are not taken."""
    c = opened(ECHO)
    echoes(c)
    for offset in 1, 1 << 30, -c.window - 1, -(1 << 30):
        for flags, text in (ACK, b'forged'), (FIN | ACK, b'forged'), (FIN | ACK, b''):
            c.send(flags, text, seq=c.seq, ack=c.ack + offset)
    c.expect(ACK, 'an answer to what is not taken', seq=c.ack, ack=c.seq)
    echoes(c)
    c.send(ACK, b'as far back', ack=c.ack - c.window)
    check('an echo', c.read(11)[0], b'as far back')
    c.finish()


def datagram_lengths():
    """A datagram ends where its header says, and is dropped if that is before the header's end or behind the packet's."""
    port = next(ports)
    answers = common.peer.listen(UDP, port)
    bare, summed = (common.peer.udp(port, ECHO, b'text', no_checksum=which) for which in (True, False))
    for length in 0, 7, 13, 65535, 8:
        common.peer.send_ip(UDP, bare[:4] + struct.pack('!H', length) + bare[6:])
    for body in bare, summed:
        common.peer.send_ip(UDP, body + b' and more')
    check('datagrams', [answers.get(timeout=WAIT) for _ in range(3)], [b'', b'text', b'text'])


def no_checksum6():
    """By IPv6 a datagram without a checksum is dropped: nothing else says whom it is for."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        connect6(s)
        for without, text in (1, b'none'), (0, b'good'):
            s.setsockopt(socket.IPPROTO_UDP, UDP_NO_CHECK6_TX, without)
            s.send(text)
        check('a datagram', s.recv(100), b'good')


SCENARIOS = [out_of_order, fin_out_of_order, urgent_and_empty, bad_checksums, bad_lengths, impossible_acknowledgements,
             datagram_lengths, no_checksum6]
