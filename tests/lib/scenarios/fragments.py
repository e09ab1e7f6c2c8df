# SPDX-License-Identifier: BSD-2-Clause
"""Datagrams and segments in pieces, and pieces of what never comes."""
import contextlib
import queue
import random
import socket
import struct
import time

from peer import ACK, MASK, SYN, TCP, UDP, WAIT, Connection, Wrong, check, checksum, mss, ports
from scenarios import common
from scenarios.common import ECHO, BYTES, PATTERN, turn, opened, echoes, figures, machine6


def cut(body, size):
    return [(at, body[at:at + size]) for at in range(0, len(body), size)]


def send_fragments(protocol, body, pieces):
    number = random.randrange(1 << 16)
    for at, piece in pieces:
        common.peer.send_ip(protocol, piece, offset=at, more=at + len(piece) < len(body), number=number)
    return number


def fragments():
    with turn:
        whole_fragments()


def whole_fragments():
    port, data = next(ports), random.Random(2).randbytes(5000)
    answers = common.peer.listen(UDP, port)
    body = common.peer.udp(port, ECHO, data)
    pieces = cut(body, 1000)
    for what, some in (('in order', pieces), ('backwards', pieces[::-1]), ('twice', pieces[:2] + pieces)):
        send_fragments(UDP, body, some)
        check(f'the echo of fragments {what}', answers.get(timeout=WAIT) == data, True)
    # One that overlaps what is there is dropped; never is its text taken.
    for wrong in (pieces[:1] + [(496, b'x' * 1000)] + pieces[1:], pieces[1:2] + [(1000, b'x' * 1000)] + pieces[:1] + pieces[2:]):
        send_fragments(UDP, body, wrong)
        with contextlib.suppress(queue.Empty):
            check('an echo of fragments that overlap', answers.get(timeout=0.4) == data, True)
    c = opened(ECHO)
    text = common.peer.tcp(c.own_port, c.port, ACK, c.seq, c.ack, data=b'in pieces ' * 100)
    send_fragments(TCP, text, cut(text, 400))
    c.seq = c.seq + 1000 & MASK
    check('a segment in fragments', c.read(1000)[0], b'in pieces ' * 100)
    c.finish()


def empty_fragment():
    """The last fragment of a segment holds nothing: that is not the end of the connection."""
    with turn:
        c = opened(ECHO)
        data = BYTES[:3000]         # which are read at once
        text = common.peer.tcp(c.own_port, c.port, ACK, c.seq, c.ack, options=b'\1' * 4, data=data)
        number = send_fragments(TCP, text + b' ', cut(text, 504))   # and more to come
        common.peer.send_ip(TCP, b'', offset=len(text), number=number)
        c.seq = c.seq + 3000 & MASK
        check('a segment whose last fragment is empty', c.read(3000)[0] == data, True)
        echoes(c)
        c.finish()


def divided_options():
    """A TCP header that is not in one piece is nobody's honest one (RFC 1858)."""
    with turn:
        c = Connection(common.peer, ECHO)
        text = common.peer.tcp(c.own_port, c.port, SYN, c.seq, 0, options=mss(1460) + b'\1' * 36)
        for first in 24, 40:            # in three lwIP would not look for them
            send_fragments(TCP, text, [(0, text[:first]), (first, text[first:])])
            c.silence('a SYN whose options are in two fragments')
        send_fragments(TCP, text, [(0, text)])
        c.open(mss(1460))
        echoes(c)
        c.finish()


def connect6(s, port=ECHO):
    """This host's own socket, to the machine's address of the link."""
    address = socket.inet_ntop(socket.AF_INET6, machine6())
    to = socket.getaddrinfo(f'{address}%{common.peer.interface}', port, type=s.type)
    s.settimeout(WAIT)
    end = time.monotonic() + WAIT
    while time.monotonic() < end:   # this host makes sure that nobody else has its address
        with contextlib.suppress(OSError):
            s.connect(to[0][4])
            break
        time.sleep(0.1)


def large_datagrams():
    """Of IPv6, by this host's own: up to where a length does not fit into 16 bits with the headers, and beyond."""
    with turn, socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        connect6(s)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        for size, comes in (10, True), (65000, True), (65500, False), (65527, False), (65000, True):
            s.send(BYTES[:size])
            if comes:
                check(f'{size} bytes by IPv6', s.recv(65536) == BYTES[:size], True)


def too_big(s, mtu):
    """Says so of what comes to a socket of this host's own."""
    own, machine = (socket.inet_pton(socket.AF_INET6, address[0].partition('%')[0])
                    for address in (s.getsockname(), s.getpeername()))
    sent = struct.pack('!IHBB', 6 << 28, 1000, 17, 64) + machine + own + b'-' * 100
    text = struct.pack('!BBHI', 2, 0, 0, mtu) + sent
    text = text[:2] + struct.pack('!H', checksum(own + machine + struct.pack('!II', len(text), 58) + text)) + text[4:]
    common.peer.send_ip6(58, text, own, machine)
    time.sleep(0.05)


def tcp_too_big():
    """A connection's segments are longer than the path lets through: they come in pieces, and with a checksum."""
    with turn, socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as s:
        connect6(s, PATTERN)
        s.sendall(b'2000\n')
        check('a beginning', receive(s, 2000) == BYTES[:2000], True)
    with turn, socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as s:
        connect6(s, PATTERN)
        too_big(s, 1280)
        s.sendall(b'200000\n')
        check('the pattern by IPv6', receive(s, 200000) == BYTES[:200000], True)


def receive(s, size):
    data = b''
    while len(data) < size and (piece := s.recv(size - len(data))):
        data += piece
    return data


def path_mtu():
    """Who says that a packet was too big may neither have the next cut into nothing nor sent as one that is too long."""
    with turn, socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        connect6(s)
        for mtu in 48, 55, 56, 0, 47, 1279, 65535, 1280, 1500:
            s.send(BYTES[:3000])        # so that it knows of a path to here
            check('an echo by IPv6', s.recv(65536) == BYTES[:3000], True)
            too_big(s, mtu)
            s.send(BYTES[:3000])
            check(f'an echo by IPv6 after a Packet Too Big of {mtu}', s.recv(65536) == BYTES[:3000], True)


def unfinished_fragments():
    """What is never completed is bounded, and forgotten in the end; others go on meanwhile."""
    def memory():
        return figures()['memory']
    with turn:
        before = memory()
        for number in range(1000):
            common.peer.send_ip(UDP, b'x' * 1400, offset=1400 * (number % 3), more=True, number=number)
        taken = memory() - before  # it has seen them all
    if taken > 400000:
        raise Wrong(f'{taken} bytes for fragments that are never complete')
    end = time.monotonic() + 25
    while memory() > before + 65536:
        if time.monotonic() > end:
            raise Wrong(f'{memory() - before} bytes for fragments after 25 s')
        time.sleep(0.5)


SCENARIOS = [fragments, empty_fragment, divided_options, large_datagrams, path_mtu, tcp_too_big, unfinished_fragments]
