# SPDX-License-Identifier: BSD-2-Clause
"""What neighbours say of themselves and of each other by IPv6 (RFC 4861)."""
import queue
import socket
import struct
import time

from peer import ICMP6, UDP, WAIT, Wrong, check, checksum, ports
from scenarios import common
from scenarios.common import ECHO, machine6
from scenarios.fragments import connect6

ADVERTISEMENT, REDIRECT = 136, 137
SOLICITED, OVERRIDE = 0x40, 0x20
PLACES = 16     # for neighbours: LWIP_ND6_NUM_NEIGHBORS


def neighbour(number):
    """An address of the link; this peer does not say that it is there unless a scenario has it do so."""
    return socket.inet_pton(socket.AF_INET6, f'fe80::77:{number:x}')


def with_checksum(protocol, text, at, own, to):
    total = checksum(own + to + struct.pack('!II', len(text), protocol) + text)
    return text[:at] + struct.pack('!H', total) + text[at + 2:]


def say(kind, own, text, to=None):
    to = to or machine6()
    common.peer.send_ip6(ICMP6, with_checksum(ICMP6, struct.pack('!BBH', kind, 0, 0) + text, 2, own, to), own, to)


def advertise(target, flags=SOLICITED | OVERRIDE, own=None, to=None):
    """The target is at this peer's hardware address."""
    say(ADVERTISEMENT, own or target, struct.pack('!B3x', flags) + target + b'\2\1' + common.peer.mac, to)


def redirect(own, destination, target):
    say(REDIRECT, own, b'\0' * 4 + target + destination)


def ask(port, *own):
    """A datagram from each to the echo, up to where the machine looks for the last one."""
    for address in own:
        text = struct.pack('!HHHH', port, ECHO, 14, 0) + b'for me'
        common.peer.send_ip6(UDP, with_checksum(UDP, text, 6, address, machine6()), address, machine6())
    end = time.monotonic() + WAIT
    while own[-1] not in common.peer.solicited:
        if time.monotonic() > end:
            raise Wrong(f'{own[-1].hex()} is not asked for')
        time.sleep(0.01)


def heard(answers, what):
    try:
        check(what, answers.get(timeout=WAIT), b'for me')
    except queue.Empty:
        raise Wrong(f'{what}: nothing came') from None


def honest():
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        connect6(s)
        s.send(b'for me')
        check('an echo by IPv6', s.recv(100), b'for me')


def redirected():
    """
    Who is asked for has what is for him sent elsewhere, and there is one place: that ends. A stranger is not heard, nor
    one who names somebody who is not of the link.
    """
    honest()                            # the machine has its address
    port = next(ports)
    answers = common.peer.listen(UDP, port)
    crowd = [neighbour(number) for number in range(1, PLACES + 1)]
    last, other = crowd[-1], neighbour(PLACES + 1)
    ask(port, *crowd)
    redirect(last, last, other)
    advertise(last)
    advertise(other)
    heard(answers, 'an answer by way of who was named')
    one, stranger, other = (neighbour(number) for number in range(100, 103))
    ask(port, one)
    redirect(stranger, one, other)
    advertise(one)
    heard(answers, 'an answer, whatever a stranger says')
    two = neighbour(103)
    ask(port, two)
    redirect(two, two, socket.inet_pton(socket.AF_INET6, '2001:db8::1'))
    advertise(two)
    heard(answers, 'an answer by the link')
    honest()


def contradicted():
    """Others may say that they have the machine's address: it is sure of having it, and keeps it (RFC 4862, 5.4.4)."""
    honest()
    for flags in 0, OVERRIDE:           # from its own address it would not be heard at all
        advertise(machine6(), flags, neighbour(1), socket.inet_pton(socket.AF_INET6, 'ff02::1'))
    honest()


SCENARIOS = [redirected, contradicted]
