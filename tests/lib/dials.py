#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Tells tests/dials.c what to dial, and is what it dials, and who tells it the addresses: dials.py SCENARIO

In the network namespace of a Tap: this host has 10.77.0.1, the machine 10.77.0.2. As a name server it plays honest ones
and others: the first label of a name says how. Ends with a message and status 1 when a dial did not end as it has to.
"""
import random
import socket
import struct
import subprocess
import sys
import threading
import time

import dhcp
from together import together

OWN, OTHER, MACHINE = '10.77.0.1', '10.77.0.3', '10.77.0.2'
BEYOND = '10.99.0.1'    # of TwoTaps, behind both
OWN6, PREFIX = 'fd77::1', 'fd77::'
MACHINE6 = 'fd77::5054:ff:fe12:3456'       # from QEMU's usual hardware address
PORT = 8080
A, CNAME, AAAA = 1, 5, 28
NO_ANSWER = 'Host is unreachable'
WAIT = 30


class Wrong(Exception):
    """A dial did not end as it has to."""


reached = MACHINE


def ask(line):
    """What the machine answers to a line: [(what, milliseconds)]."""
    with socket.create_connection((reached, 9), timeout=WAIT) as s:
        s.sendall(line.encode() + b'\n')
        text = b''
        while piece := s.recv(65536):
            text += piece
    return [(what, int(took)) for what, took in (one.rsplit(' ', 1) for one in text.decode().splitlines())]


def dial(address, want, deadline=0, times=1, between=(0, 4000)):
    got = ask(f'{address} {deadline} {times}')
    if len(got) != times or any(what != want or not between[0] <= took <= between[1] for what, took in got):
        raise Wrong(f'{address}: {got[:4]}, not {times} times {want!r} within {between} ms')


def group_is_reached(group):
    """A datagram to all who hear there, which is this host."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.bind(('::', PORT))
        s.settimeout(WAIT)
        got = ask(f'[{group}]:{PORT} 0 0')
        if [what for what, _ in got] != ['sent'] or s.recv(100) != b'hello':
            raise Wrong(f'a datagram to {group}: {got}')


came = []   # from where somebody dialled an echo


def echo_server(host):
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    listener = socket.create_server((host, PORT), family=family, backlog=256)

    def serve(s):
        with s:
            while data := s.recv(1000):
                s.sendall(data)

    def accept():
        while True:
            s, who = listener.accept()
            came.append(who[0])
            threading.Thread(target=serve, args=(s,), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()


# ---- The name server ----

def name_bytes(name):
    return b''.join(bytes([len(label)]) + label.encode() for label in name.split('.')) + b'\0'


def record(kind, data, owner=b'\xc0\x0c', ttl=60):
    return owner + struct.pack('!HHIH', kind, 1, ttl, len(data)) + data


def address(host, **more):
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    return record(AAAA if ':' in host else A, socket.inet_pton(family, host), **more)


class Query:
    def __init__(self, data, server):
        self.server = server    # the address that it was sent to
        self.id, at, labels = data[:2], 12, []
        while data[at]:
            labels.append(data[at + 1:at + 1 + data[at]].decode())
            at += 1 + data[at]
        self.how, self.name, self.question = labels[0], '.'.join(labels), data[12:at + 5]
        self.kind = struct.unpack('!H', data[at + 1:at + 3])[0]

    def answer(self, *records, flags=0x8180, question=None, id=None, count=None):
        return ((id or self.id) + struct.pack('!HHHHH', flags, 1, len(records) if count is None else count, 0, 0)
                + (question or self.question) + b''.join(records))

    def good(self, **more):
        """The address, for who asks for one of version 4."""
        return self.answer(*[address(OWN)] * (self.kind == A), **more)

    def lie(self, **more):
        return self.answer(address('10.77.0.66' if self.kind == A else 'fd77::66'), **more)


def wrong_ids(q):
    return [q.lie(id=struct.pack('!H', struct.unpack('!H', q.id)[0] ^ 1 << bit)) for bit in range(16)] + [q.good()]


def wrong_questions(q):
    other = name_bytes('other.test')
    return [q.lie(question=question) for question in
            (other + q.question[-4:], q.question[:-4] + struct.pack('!HH', 16, 1), q.question[:-2] + b'\0\3',
             b'\xc0\x0c' + q.question[-4:], b'\xc0\xff' + q.question[-4:], b'\x3f' + q.question, q.question[1:])] + [q.good()]


def chain(q):
    """Five CNAMEs, then the address, each by its name in full."""
    names = [name_bytes(f'c{n}.test') for n in range(6)]
    owners = [b'\xc0\x0c', *names[1:]]
    links = [record(CNAME, names[n + 1], owner=owners[n]) for n in range(5)]
    return [q.answer(*links, *[address(OWN, owner=owners[5])] * (q.kind == A))]


def cut(q):
    """Answers that end too soon, before the address. From the first whole record on that is one without an address."""
    whole = q.answer(record(CNAME, name_bytes('there.test')), address(OWN))
    return [whole[:length] for length in range(len(whole))]


def garbage(q):
    rng = random.Random(1)
    return [q.id + rng.randbytes(rng.randrange(600)) for _ in range(200)] + [q.good()]


def lengths(q):
    """Records that are longer than the answer, names that lead out of it: answers without an address."""
    bad = [b'\xc0\x0c' + struct.pack('!HHIH', 16, 1, 60, length) for length in (1, 1000, 65000, 65535)]
    return [q.answer(*[b'\xc0\x0c' + struct.pack('!HHIH', 16, 1, 60, 0xfff0)] * 2, count=65535),
            *[q.answer(one + b'x', address('10.77.0.66')[:9], count=9) for one in bad],
            q.answer(b'\x3f' * 30), q.answer(b'\x01a' * 250), q.answer(address('10.77.0.66')[:-1])]


def circle(q):
    """The name that the address is of leads to itself."""
    return [q.answer(*[address(OWN, owner=struct.pack('!H', 0xc000 | 12 + len(q.question)))] * (q.kind == A))]


HOW = {
    'a': lambda q: [q.answer(*[address(OWN)] * (q.kind == A))],
    'aaaa': lambda q: [q.answer(*[address(OWN6)] * (q.kind == AAAA))],
    'both': lambda q: [q.answer(address(OWN if q.kind == A else OWN6))],
    'link': lambda q: [q.answer(*[address(link_local('tap0'))] * (q.kind == AAAA))],
    'fresh': lambda q: [q.answer(*[address(OWN, ttl=0)] * (q.kind == A))],
    'nobody': lambda q: [q.answer(flags=0x8183)],
    'nothing': lambda q: [q.answer()],
    'failure': lambda q: [q.answer(flags=0x8182)],
    'silent': lambda q: [],
    'chain': chain,
    'endless': lambda q: [q.answer(record(CNAME, b'\xc0\x0c'))],
    'ids': wrong_ids,
    'questions': wrong_questions,
    'query': lambda q: [q.lie(flags=0x0100), q.good()],
    'other': lambda q: [q.good()],
    'port': lambda q: [q.good()],
    'cut': cut,
    'garbage': garbage,
    'lengths': lengths,
    'circle': circle,
    'second': lambda q: [q.good()] if q.server == OWN else [],
    'second6': lambda q: [q.answer(*[address(OWN6)] * (q.kind == AAAA))] if q.server == OWN else [],
}
asked = []


def name_server(*hosts):
    """At each of them; without any, at OWN, while OTHER has only lies of the name `other` to tell."""
    sockets, twins = {}, {}
    for host in hosts or (OWN, OTHER):
        sockets[host] = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET, socket.SOCK_DGRAM)
        sockets[host].bind(socket.getaddrinfo(host, 53)[0][4])

    def answer(host, data, client):
        q = Query(data, host)
        asked.append(q)
        if q.how == 'other':
            sockets[OTHER].sendto(q.lie(), client)
        if q.how == 'port':
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
                elsewhere.bind((host, 0))
                elsewhere.sendto(q.lie(), client)
        if q.how == 'twin':     # two that are asked for at once: a lie of each comes to the port of the other
            twins[q.name] = q, client
            if len(twins) == 2:
                (one, here), (two, there) = twins.values()
                for text, to in (two.lie(), here), (one.lie(), there), (one.good(), here), (two.good(), there):
                    sockets[host].sendto(text, to)
        if q.how.startswith('late'):
            time.sleep(1)
            sockets[host].sendto(q.good(), client)
        for text in HOW.get(q.how, lambda _: [])(q):
            sockets[host].sendto(text, client)

    def serve(host):
        while True:
            threading.Thread(target=answer, args=(host, *sockets[host].recvfrom(2000)), daemon=True).start()
    for host in hosts or (OWN,):
        threading.Thread(target=serve, args=(host,), daemon=True).start()


# ---- Scenarios ----

def names():
    name_server()
    router('tap0')()
    found, found6 = f'ok {OWN}:{PORT}', f'ok [{OWN6}]:{PORT}'
    for how in 'a', 'both', 'chain', 'ids', 'questions', 'query', 'other', 'port', 'garbage', 'circle':
        dial(f'{how}.test:{PORT}', found)
    if failures := together(*[(dial, f'twin.{n}.test:{PORT}', found) for n in range(2)]):
        raise Wrong('; '.join(failures))
    serves6(MACHINE6)
    dial(f'aaaa.test:{PORT}', found6)
    for how in 'nobody', 'nothing', 'failure', 'endless', 'cut', 'lengths':
        dial(f'{how}.test:{PORT}', NO_ANSWER)
    dial(f'a.test:{PORT + 1}', 'Connection refused')
    kept = len(asked)
    for case in 'a.test', 'A.TEST', 'a.test.', 'aaaa.test':
        dial(f'{case}:{PORT}', found6 if case == 'aaaa.test' else found)
    if len(asked) != kept:
        raise Wrong(f'{asked[-1].name} was asked for once more')
    for _ in range(2):
        dial(f'fresh.test:{PORT}', found)
    questions = {q.id for q in asked[kept:] if q.how == 'fresh'}    # one whose answer is late is sent again
    if len(questions) != 2:
        raise Wrong(f'{len(questions)} questions for a name of which nothing may be kept')
    for address in (f'{"x" * 64}.test:{PORT}', f'a..test:{PORT}', f'.test:{PORT}', '.:80',
                    f'{".".join(["y" * 60] * 4)}.test123456:{PORT}'):
        dial(address, 'Invalid argument')
    dial(f'{"x" * 63}.test:{PORT}', 'Connection timed out', deadline=300, between=(300, 2000))


def silence():
    """A server that says nothing is asked four times in six seconds; who does not want to wait so long need not. A
    host that is not there is asked for its address, and given up as if it were and said nothing."""
    name_server()
    dial(f'10.77.0.99:{PORT}', 'Connection timed out', between=(4000, 9000))
    dial(f'silent.test:{PORT}', NO_ANSWER, between=(5000, 9000))
    if [q.name for q in asked] != ['silent.test'] * 4:
        raise Wrong(f'asked {len(asked)} times')
    dial(f'late1.test:{PORT}', 'Connection timed out', deadline=500, between=(500, 1500))
    dial(f'late1.test:{PORT}', f'ok {OWN}:{PORT}')


def crowd():
    """More at once than lwIP has room for, for one name and for many, also behind some that get no answer."""
    name_server()
    dial(f'late1.test:{PORT}', f'ok {OWN}:{PORT}', times=200, between=(0, 8000))
    silent = [(dial, f'silent.{n}.test:{PORT}', 'Connection timed out', 400, 1, (400, 3000)) for n in range(20)]
    late = [(dial, f'late{n}.crowd.test:{PORT}', f'ok {OWN}:{PORT}', 0, 1, (0, 20000)) for n in range(40)]
    if failures := together(*silent, *late):
        raise Wrong('; '.join(failures[:3]))


def name_servers(seconds, *hosts, length=None):
    """The option of an advertisement that tells of them (RFC 8106)."""
    text = struct.pack('!BBHI', 25, 1 + 2 * len(hosts) if length is None else length, 0, seconds)
    return text + b''.join(socket.inet_pton(socket.AF_INET6, host) for host in hosts)


def router(interface):
    """Answers router solicitations, as RFC 4861 has it; what it returns advertises at once, with more options."""
    index = socket.if_nametoindex(interface)
    s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, 'ff02::2') + struct.pack('@I', index))
    prefix = struct.pack('!BBBBIII', 3, 4, 64, 0xc0, 3600, 3600, 0) + socket.inet_pton(socket.AF_INET6, PREFIX)
    advertisement = struct.pack('!BBHBBHII', 134, 0, 0, 64, 0, 1800, 0, 0) + prefix

    def serve():
        while True:
            if s.recv(2000)[0] == 133:
                s.sendto(advertisement, ('ff02::1', 0, 0, index))
    threading.Thread(target=serve, daemon=True).start()
    return lambda more=b'': s.sendto(advertisement + more, ('ff02::1', 0, 0, index))


def ip(*words):
    subprocess.run(['ip', *' '.join(words).split()], check=True)


def link_local(interface):
    """This host's address there, once nobody else has turned out to have it."""
    while True:
        text = subprocess.run(['ip', '-6', '-o', 'addr', 'show', 'dev', interface, 'scope', 'link', '-tentative'], check=True,
                              stdout=subprocess.PIPE, text=True).stdout
        if text:
            return text.split()[3].split('/')[0]
        time.sleep(0.1)


def serves6(host):
    """The machine's echo is reached at that address, once it has asked whether anybody else has it."""
    end = time.monotonic() + WAIT
    while True:
        try:
            with socket.create_connection((host, 7), timeout=2) as s:
                s.sendall(b'hello')
                if s.recv(5) != b'hello':
                    raise Wrong(f'no echo from {host}')
                return
        except OSError as error:
            if time.monotonic() > end:
                raise Wrong(f'{host}: {error}') from None
        time.sleep(0.1)


def ipv6():
    mine = link_local('tap0')
    name_server()
    serves6('fe80::5054:ff:fe12:3456%tap0')
    for address in mine, mine + '%net0':
        dial(f'[{address}]:{PORT}', f'ok [{mine}%net0]:{PORT}')
    for _ in range(2):      # asked for, and kept
        dial(f'link.test:{PORT}', f'ok [{mine}%net0]:{PORT}')
    dial(f'[{mine}]:{PORT + 1}', 'Connection refused')
    for group in 'ff02::1', 'ff02::1%net0':     # which needs no router either
        group_is_reached(group)
    # No router has answered: there is no way to anything beyond the link, and that is said, not waited for.
    dial(f'[{OWN6}]:{PORT}', 'Connection timed out', deadline=200, between=(200, 1500))
    dial(f'[{OWN6}]:{PORT}', NO_ANSWER, between=(0, 20000))
    dial(f'aaaa.test:{PORT}', NO_ANSWER, between=(0, 3000))
    advertise = router('tap0')
    advertise()
    serves6(MACHINE6)
    dial(f'[{OWN6}]:{PORT}', f'ok [{OWN6}]:{PORT}')
    dial(f'[FD77:0:0::0001]:{PORT}', f'ok [{OWN6}]:{PORT}')
    dial(f'aaaa.test:{PORT}', f'ok [{OWN6}]:{PORT}')
    dial(f'[{OWN6}]:{PORT}', f'ok [{OWN6}]:{PORT}', times=30)
    for bad in (f'{OWN6}:{PORT}', f'[{OWN6}:{PORT}', f'[{OWN6}]', f'[{OWN6}]{PORT}', f'[{OWN}]:{PORT}', f'[]:{PORT}',
                f'[fd77::1::2]:{PORT}', f'[fd77:::1]:{PORT}', f'[1:2:3:4:5:6:7:8:9]:{PORT}', f'[12345::1]:{PORT}', '[fd77::1]:0',
                f'[{mine}%net1]:{PORT}', f'[{mine}%]:{PORT}', f'[{mine}%0]:{PORT}', f'[{OWN6}%net0]:{PORT}'):
        dial(bad, 'Invalid argument')


def taken():
    """Somebody has the machine's address of the link: it does without, and so does who would need it."""
    ip('addr add fe80::9/64 dev tap0 nodad')
    for address in '[fe80::9]', '[fe80::9%net0]':
        dial(f'{address}:{PORT}', NO_ANSWER, between=(0, 8000))


def without_ipv4(told=True):
    """Nobody leases an address: the machine is reached over IPv6, and so are all that it asks. `told`: by a router."""
    global reached
    mine, found = link_local('tap0'), f'ok [{OWN6}]:{PORT}'
    name_server(OWN6, mine + '%tap0')
    advertise = router('tap0')
    advertise()
    serves6(MACHINE6)
    reached = MACHINE6
    if not told:
        return dial(f'both.test:{PORT}', found)

    def nobody_is_asked(name):
        before = len(asked)
        dial(f'{name}.test:{PORT}', 'Connection timed out', deadline=500, between=(500, 1500))
        if len(asked) != before:
            raise Wrong(f'{asked[-1].server} was asked for {asked[-1].name}')
    nobody_is_asked('both.before')
    for bad in (b'\x19\1\0\0\0\0\xff\xff', name_servers(60, length=3), name_servers(60, OWN6, length=2), name_servers(60, OWN6)[:20],
                name_servers(60, '::'), name_servers(60, OWN6, length=0), name_servers(60, OWN6, length=255), name_servers(0, OWN6)):
        advertise(bad)
    nobody_is_asked('both.bad')
    advertise(name_servers(0xffffffff, OWN6))
    dial(f'both.test:{PORT}', found)                    # of version 6, as there is no other address here
    dial(f'aaaa.test:{PORT}', found)
    dial(f'nobody.test:{PORT}', NO_ANSWER)
    dial(f'both.two.test:{PORT}', found, times=20)
    advertise(name_servers(0, OWN6))
    nobody_is_asked('both.gone')
    advertise(name_servers(2, OWN6))
    dial(f'both.short.test:{PORT}', found)
    time.sleep(2.1)
    nobody_is_asked('both.expired')
    advertise(name_servers(60, *[f'fd77::dead:{n}' for n in range(40)]))    # three count
    advertise(name_servers(0, *[f'fd77::dead:{n}' for n in range(40)]))
    advertise(name_servers(60, mine))
    dial(f'both.link.test:{PORT}', found)
    if asked[-1].server != mine + '%tap0':
        raise Wrong(f'{asked[-1].server} was asked, not {mine}')


def nobody_to_ask():
    """No name server by hand, no lease, and no router that answers: that is said once three questions found none."""
    dial(f'a.test:{PORT}', 'Connection timed out', deadline=300, between=(300, 1500))
    dial(f'a.test:{PORT}', NO_ANSWER, between=(0, 20000))
    dial(f'b.test:{PORT}', NO_ANSWER, between=(0, 3000))
    advertise = router('tap0')
    name_server(OWN6)
    advertise(name_servers(60, OWN6))
    serves6(MACHINE6)
    dial(f'a.test:{PORT}', f'ok {OWN}:{PORT}')


def without_ipv4_by_hand():
    """Of the four set by hand, the last is the one that can be reached."""
    without_ipv4(told=False)


def by_hand():
    """dns=OTHER, and a lease tells of OWN: the one set by hand is asked first, the other one when it is silent."""
    global reached
    servers = dhcp.Servers('tap0')
    since = servers.lease('10.77.0.50')
    name_server(OTHER, OWN)
    reached = '10.77.0.50'

    def by(name, *who, found=OWN):
        before = len(asked)
        dial(f'{name}.test:{PORT}', f'ok {found}:{PORT}', between=(0, 10000))
        servers = [q.server for q in asked[before:]]    # one whose answer is late is asked again
        if [server for server, last in zip(servers, ['', *servers]) if server != last] != list(who):
            raise Wrong(f'{name}: asked {servers}, not {who}')
    by('a.one', OTHER)
    servers.answer(dhcp.renewed(servers, since), dhcp.ACK, reached)
    by('a.two', OTHER)
    threading.Thread(target=lambda: [servers.answer(servers.next(dhcp.REQUEST, 'T1'), dhcp.ACK, reached) for _ in range(9)],
                     daemon=True).start()
    by('second', OTHER, OWN)
    router('tap0')()
    serves6(MACHINE6)
    by('second6', OTHER, OWN, found=f'[{OWN6}]')    # OWN is asked for both versions' addresses, OTHER not again


def leased():
    """A renewed lease without name servers has none, and one with another has that one."""
    global reached
    servers = dhcp.Servers('tap0')
    since = servers.lease('10.77.0.50')
    name_server(OWN, OTHER)
    reached = '10.77.0.50'
    dial(f'a.one.test:{PORT}', f'ok {OWN}:{PORT}')
    servers.answer(dhcp.renewed(servers, since), dhcp.ACK, reached, NAMES=None)
    since = servers.answered
    before = len(asked)
    dial(f'a.two.test:{PORT}', 'Connection timed out', deadline=500, between=(500, 1500))
    servers.answer(dhcp.renewed(servers, since), dhcp.ACK, reached, NAMES=OTHER)
    dial(f'a.three.test:{PORT}', f'ok {OWN}:{PORT}')
    if {q.server for q in asked[before:]} != {OTHER}:
        raise Wrong(f'asked were {[(q.server, q.name) for q in asked[before:]]}, not {OTHER}')


def routers():
    """net1 leads to BEYOND, and net0 does for as long as its lease says so, though its address is the same."""
    global reached
    servers = dhcp.Servers('tap0')
    since = servers.lease('10.77.0.50')
    reached = '10.77.0.50'
    echo_server(BEYOND)

    def by(source):
        came.clear()
        dial(f'{BEYOND}:{PORT}', f'ok {BEYOND}:{PORT}')
        if came != [source]:
            raise Wrong(f'{BEYOND} was dialled from {came}, not from {source}')
    by(reached)
    for gateway, source in (None, '10.78.0.200'), (OWN, reached):
        servers.answer(dhcp.renewed(servers, since), dhcp.ACK, reached, ROUTER=gateway)
        since = servers.answered
        by(source)


def main(scenario):
    ip('addr add', OTHER + '/24 dev tap0')
    ip('addr add', OWN6 + '/64 dev tap0 nodad')
    for host in OWN, '::':
        echo_server(host)
    globals()[scenario]()


try:
    main(sys.argv[1])
except (Wrong, dhcp.Wrong) as wrong:
    sys.exit(str(wrong))
