# SPDX-License-Identifier: BSD-2-Clause
"""Many who want something at once, and who is there no more."""
import contextlib
import queue
import socket
import struct
import time

from peer import ACK, MASK, RST, SO_RCVBUFFORCE, SYN, TCP, UDP, WAIT, Connection, Wrong, check, checksum, mss, ports
from scenarios import common
from scenarios.common import MACHINE, ECHO, TELLS, opened, echoes, figures
from scenarios.fragments import connect6


def syn_flood():
    """Sources that are not there; a client that is there gets in all the same."""
    sources = [socket.inet_aton(f'10.77.0.{n}') for n in range(100, 160)]

    def send(number, flags, seq, **more):
        own = sources[number % len(sources)]
        common.peer.send_ip(TCP, common.peer.tcp(1024 + number % 60000, ECHO, flags, seq & MASK, 0, own=own, **more), own=own)
    for number in range(6000):
        send(number, SYN, number * 77777, options=mss(1460))
        if number % 1000 == 999:
            start = time.monotonic()
            with socket.create_connection((MACHINE, ECHO), timeout=WAIT) as s:
                s.sendall(b'?')
                check('an echo in a flood', s.recv(1), b'?')
            if time.monotonic() - start > 4:
                raise Wrong(f'a client waited {time.monotonic() - start:.1f} s in a flood')
    for number in range(6000):  # what comes next is not to be told beside thousands of answers sent once more
        send(number, RST, number * 77777 + 1)


def connection_flood():
    """Whoever opens connections and says nothing: others are served."""
    crowd = [socket.create_connection((MACHINE, ECHO), timeout=WAIT) for _ in range(500)]
    c = opened(ECHO)
    echoes(c)
    c.finish()
    check('connections', figures()['connections'] >= 500, True)
    for number, s in enumerate(crowd):
        if number % 2:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        s.close()


def small_backlog():
    """With backlog=4,100: who is half open for longest makes room, and others get in."""
    half = [Connection(common.peer, ECHO) for _ in range(6)]
    for c in half:
        c.send(SYN, options=mss(1460))
        c.ack = c.expect(SYN | ACK, 'an answer to a SYN', ack=c.seq).seq + 1 & MASK
    for number, c in enumerate(half):
        c.send(ACK)
        if number < 2:
            c.expect_reset(f'an ACK of the {number}. of six half open, of which four have room', seq=c.ack)
        else:
            echoes(c)
            c.finish()


def vanished():
    """Peers that are gone without a word, with nothing said and with something to say: keep-alive finds the first."""
    crowd = [opened(ECHO) for _ in range(20)]
    for c in crowd:
        echoes(c)
        del common.peer.queues[TCP, c.own_port]
    start = time.monotonic()
    c = opened(ECHO)
    while time.monotonic() < start + 7:     # who answers stays
        got = c.next(timeout=1)
        if got and got.seq == c.ack - 1 & MASK:
            c.send(ACK)
    echoes(c)
    c.finish()


def dies():
    """A peer that is silent for ever, of whom the console tells (tests/test_hostile.py)."""
    c = opened(TELLS)
    c.send(ACK, b'hello')
    c.expect(ACK, 'an acknowledgement', ack=c.seq)


def from_nobody6():
    """A datagram of :: is let through to the group that asks for the machine's address, as questions whose it is are."""
    nobody, group = b'\0' * 16, socket.inet_pton(socket.AF_INET6, 'ff02::1:ff00:0')[:13] + common.peer.machine_mac[3:]
    text = struct.pack('!HHHH', ECHO, ECHO, 15, 0) + b'for you'
    total = checksum(nobody + group + struct.pack('!II', len(text), UDP) + text)
    common.peer.send_ip6(UDP, text[:6] + struct.pack('!H', total) + text[8:], nobody, group)


def forged():
    """What claims to come from the machine itself, or from nobody, is not heard: an echo would answer itself for ever."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        def honest():
            s.send(b'for me')
            check('an echo by IPv6', s.recv(100), b'for me')
        connect6(s)
        honest()                        # the machine has its address
        before = figures()['datagrams']
        for own in '127.0.0.1', '127.9.9.9', MACHINE, '0.0.0.0':
            source = socket.inet_aton(own)
            common.peer.send_ip(UDP, common.peer.udp(ECHO, ECHO, b'for you', no_checksum=True), own=source)
        from_nobody6()
        honest()                        # behind them
    check('datagrams that were heard', figures()['datagrams'] - before, 1)


def flood_out():
    """The machine sends faster than its device: who sends waits, and nothing fails."""
    port = next(ports)
    answers, unsent = common.peer.listen(UDP, port), figures()['unsent']
    common.peer.send_ip(UDP, common.peer.udp(port, ECHO, b'flood'))
    check('the length of a datagram', len(answers.get(timeout=WAIT)), 1400)
    with contextlib.suppress(queue.Empty):
        while answers.get(timeout=1):
            pass
    check('datagrams that could not be sent', figures()['unsent'] - unsent, 0)


def reassembled():
    """What this host's kernel has put together, by IPv4 and by IPv6, and of how many fragments."""
    with open('/proc/net/snmp', encoding='ascii') as v4, open('/proc/net/snmp6', encoding='ascii') as v6:
        lines = [line.split() for line in v4]
        counts = dict(line.split() for line in v6)
    for names, values in zip(lines[::2], lines[1::2]):
        counts.update((names[0][:-1] + name, value) for name, value in zip(names[1:], values[1:]))
    return [int(counts[ip + name]) for ip in ('Ip', 'Ip6') for name in ('ReasmOKs', 'ReasmReqds')]


def large_out():
    """Datagrams of 41 and 42 fragments, of which the device has room for three: each comes, and no part of it before."""
    before, unsent = reassembled(), figures()['unsent']
    for family in socket.AF_INET, socket.AF_INET6:
        with socket.socket(family, socket.SOCK_DGRAM) as s:
            s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
            connect6(s) if family == socket.AF_INET6 else s.connect((MACHINE, ECHO))
            s.settimeout(WAIT)
            s.send(b'large')
            for number in range(50):
                check(f'the length of large datagram {number}', len(s.recv(65536)), 60000)
    check('what was put together', [now - then for now, then in zip(reassembled(), before)], [50, 50 * 41, 50, 50 * 42])
    check('datagrams that could not be sent', figures()['unsent'] - unsent, 0)


FLOODS = [syn_flood, connection_flood, forged, flood_out, large_out]
SCENARIOS = [vanished]
# Not without their names, on machines of their own.
ASKED_FOR = [small_backlog, dies]
