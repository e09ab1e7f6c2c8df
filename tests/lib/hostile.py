#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Plays peers that do as they like against tests/ports.c, over a tap device: hostile.py INTERFACE [SCENARIO]...
and against examples/proxy.c, whose target is port 99 of this peer: hostile.py INTERFACE dial

Floods come first, one after the other, then the scenarios, all at once, each with connections of its own. In the end
everything that they took must have come back. The machine's keepalive is 4,1,2. Ends with a message and status 1 when
the machine did what it must not.
"""
import contextlib
import queue
import random
import socket
import struct
import sys
import threading
import time

from peer import (ACK, FIN, MASK, RST, SACK_PERMITTED, SYN, TCP, UDP, WAIT, Connection, Peer, Wrong, mss, ports,
                  window_scale)

MACHINE, OWN = '10.77.0.2', '10.77.0.9'
ECHO, COUNT, FIGURES, PATTERN = 7, 9, 13, 19
BYTES = bytes(range(251)) * 1000


def check(what, got, want):
    if got != want:
        raise Wrong(f'{what}: {got!r:.300}, not {want!r:.300}')


def opened(port, options=mss(1460)):
    c = Connection(peer, port)
    c.open(options)
    return c


def echoes(c, data=b'still alive?'):
    """It lives, and its numbers are as they should be."""
    c.send(ACK, data)
    check('an echo', c.read(len(data))[0], data)


def finish(c):
    """Ends it in order, after the machine's end or before."""
    c.send(FIN | ACK)
    end = time.monotonic() + WAIT
    while not c.finished and time.monotonic() < end:
        got = c.next()
        if got and got.flags & FIN:
            c.ack = got.seq + len(got.data) + 1 & MASK
            c.send(ACK)
            c.finished = True
    if not c.finished:
        raise Wrong('no FIN after ours')


# ---- Handshake ----

def handshake_options():
    c = Connection(peer, ECHO)
    answer = c.open(mss(1000) + window_scale(7) + SACK_PERMITTED)
    check('options of a SYN-ACK', sorted(answer.options), [2, 3, 4])
    check("the machine's MSS", answer.options[2], struct.pack('!H', 1460))
    if answer.options[3][0] > 14 or answer.window == 0:
        raise Wrong(f'a strange window: {answer}')
    echoes(c)
    finish(c)
    c = Connection(peer, ECHO)
    answer = c.open(b'')
    check('options of a SYN-ACK to a SYN that has none', [kind for kind in answer.options if kind != 2], [])
    echoes(c)
    finish(c)


def segment_sizes():
    for options, most in (mss(1000), 1000), (mss(400) + SACK_PERMITTED, 400), (b'', 536):
        c = opened(PATTERN, options)
        c.send(ACK, b'5000\n')
        data, segments = c.read(5000)
        check('the pattern', data == BYTES[:5000], True)
        check('the largest segment', max(len(segment.data) for segment, _ in segments), most)
        finish(c)


def closed_port():
    c = Connection(peer, 4)
    c.send(SYN)
    c.expect(RST | ACK, 'a SYN to a closed port', seq=0, ack=c.seq)
    c.send(ACK, seq=100, ack=777)
    c.expect_reset('an ACK to a closed port', seq=777)
    c.send(RST, seq=100)
    c.silence('a RST to a closed port')


def half_open():
    c = Connection(peer, ECHO)
    c.send(SYN, options=mss(1460))
    first = c.expect(SYN | ACK, 'an answer to a SYN', ack=c.seq)
    for _ in range(20):
        c.send(SYN, seq=c.seq - 1, options=mss(1460))
        c.expect(SYN | ACK, 'an answer at once to the same SYN', seq=first.seq, ack=c.seq, timeout=0.4)
    c.send(SYN, seq=c.seq + 5, options=mss(1460))
    c.silence('another SYN in SYN-RECEIVED', timeout=0.3)
    c.send(ACK, seq=c.seq, ack=first.seq + 77)
    c.expect_reset('a wrong ACK in SYN-RECEIVED', seq=first.seq + 77)
    again = c.expect(SYN | ACK, 'the SYN-ACK again', seq=first.seq, ack=c.seq)
    c.ack = again.seq + 1 & MASK
    c.send(ACK)
    echoes(c)
    finish(c)


# ---- Resets: each state, exact and not ----

def reset_rules():
    c = opened(ECHO)
    c.send(RST, seq=c.seq + 1000)
    c.expect(ACK, 'a RST in the window that is not exact: a challenge', seq=c.ack, ack=c.seq)
    for seq in c.seq - 1, c.seq + (1 << 30), c.seq - (1 << 30):
        c.send(RST, seq=seq)
        c.silence('a RST outside of the window')
    c.send(SYN, seq=c.seq + 1)
    c.expect(ACK, 'a SYN in a connection: a challenge', seq=c.ack, ack=c.seq)
    for _ in range(20):
        c.send(SYN, seq=c.seq + 1)
        c.send(RST, seq=c.seq + 1000)
    c.silence('more of what is challenged, at once', timeout=0.3)
    time.sleep(0.3)
    c.send(RST, seq=c.seq + 1000)
    c.expect(ACK, 'the same later', seq=c.ack, ack=c.seq)
    c.send(ACK, ack=c.ack + 5000, seq=c.seq)
    c.expect(ACK, 'an ACK of what was never sent', seq=c.ack, ack=c.seq)
    c.send(ACK, b'x', seq=c.seq - 1)
    c.expect(ACK, 'data before the window', seq=c.ack, ack=c.seq)
    c.send(ACK, b'x', seq=c.seq + (1 << 20))
    c.expect(ACK, 'data behind the window', seq=c.ack, ack=c.seq)
    echoes(c)
    c.reset()
    c.send(ACK, b'x')
    c.expect_reset('data after a reset', seq=c.ack)


def reset_states():
    def gone(c, what):
        c.reset()
        while c.next(timeout=0.05):     # what was on its way
            pass
        c.send(ACK, seq=c.seq)
        c.expect_reset(f'an ACK after a reset in {what}', seq=c.ack)
    c = Connection(peer, ECHO)
    c.send(SYN)
    c.ack = c.expect(SYN | ACK, 'SYN-RECEIVED').seq + 1 & MASK
    gone(c, 'SYN-RECEIVED')
    c = opened(ECHO)
    echoes(c)
    gone(c, 'ESTABLISHED')
    c = opened(COUNT)             # FIN before the answer; the window is closed, so it waits in CLOSE-WAIT
    c.window = 0
    c.send(FIN | ACK, b'12345')
    c.expect(ACK, 'CLOSE-WAIT', ack=c.seq)
    gone(c, 'CLOSE-WAIT')
    for what in 'FIN-WAIT-1', 'FIN-WAIT-2', 'CLOSING':
        c = opened(FIGURES)
        c.read_end(acknowledge=what == 'FIN-WAIT-2')
        if what == 'CLOSING':
            c.send(FIN | ACK, ack=c.ack - 1)
            c.expect(ACK, 'CLOSING', ack=c.seq)
        gone(c, what)
    c = opened(ECHO)
    c.send(FIN | ACK)
    c.read_end(acknowledge=False)
    gone(c, 'LAST-ACK')


# ---- The end ----

def simultaneous_close():
    c = opened(FIGURES)
    c.read_end(acknowledge=False)
    fin = c.ack - 1
    c.send(FIN | ACK, ack=fin)      # it does not know of the other's FIN yet
    c.expect(ACK, 'the answer to a FIN that crossed', ack=c.seq)
    c.send(ACK)
    time.sleep(0.2)
    c.send(FIN | ACK, seq=c.seq - 1)
    c.expect(ACK, 'TIME-WAIT, the last FIN again', seq=c.ack, ack=c.seq)


def time_wait():
    c = opened(FIGURES)
    c.read_end()
    c.send(FIN | ACK)
    c.expect(ACK, 'the end', ack=c.seq)
    time.sleep(0.2)
    c.send(RST, seq=c.seq)          # which must not end TIME-WAIT (RFC 1337)
    c.silence('a RST in TIME-WAIT')
    c.send(FIN | ACK, seq=c.seq - 1)
    c.expect(ACK, 'TIME-WAIT, the last FIN again', seq=c.ack, ack=c.seq)
    old = Connection(peer, FIGURES, c.own_port)
    old.seq = c.seq - 1000 & MASK
    old.send(SYN)
    old.expect(ACK, 'TIME-WAIT, an old SYN', ack=c.seq)
    new = Connection(peer, FIGURES, c.own_port)
    new.seq = c.seq + 1000 & MASK
    new.open()
    new.read_end()
    finish_acknowledged(new)


def finish_acknowledged(c):
    c.send(FIN | ACK)
    c.expect(ACK, 'the last ACK', ack=c.seq)


def read_end(c, acknowledge=True):
    """What the machine says until its FIN, of which it hears only if asked for."""
    data = b''
    while True:
        got = c.next()
        if not got:
            raise Wrong(f'no FIN after {data!r}')
        if got.seq != c.ack:
            continue
        data += got.data
        c.ack = c.ack + len(got.data) + bool(got.flags & FIN) & MASK
        c.send(ACK, ack=c.ack if acknowledge or not got.flags & FIN else c.ack - 1)
        if got.flags & FIN:
            return data


Connection.read_end = read_end


# ---- Windows ----

def windows():
    c = Connection(peer, PATTERN)
    c.window = 3000
    c.open()
    c.send(ACK, b'100000\n')
    data, unacknowledged = b'', 0
    while len(data) < 100000:
        got = c.next()
        if not got or got.seq != c.ack:
            raise Wrong(f'{got} after {len(data)} bytes')
        if not got.data:
            continue
        data += got.data
        c.ack = c.ack + len(got.data) & MASK
        unacknowledged += len(got.data)
        if unacknowledged > 3000:
            raise Wrong(f'{unacknowledged} bytes into a window of 3000')
        if unacknowledged > 3000 - 1460 or len(data) == 100000:
            c.send(ACK)
            unacknowledged = 0
    check('the pattern', data == BYTES[:100000], True)
    finish(c)


def zero_window():
    c = Connection(peer, PATTERN)
    c.window = 1460
    c.open()
    c.send(ACK, b'50000\n')
    data, _ = c.read(1460, acknowledge=False)
    c.window = 0
    c.send(ACK)
    for _ in range(2):
        probe = c.expect(ACK, 'a probe of the closed window', seq=c.ack)
        if len(probe.data) > 1:
            raise Wrong(f'a probe of {len(probe.data)} bytes')
        c.send(ACK)
    c.window = 65535
    c.send(ACK)
    check('the pattern after the window opened', data + c.read(50000 - len(data))[0] == BYTES[:50000], True)
    finish(c)


# ---- What comes is not as it was sent ----

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
        finish(c)


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
    finish(c)


def bad_checksums():
    c = opened(ECHO)
    c.send(ACK, b'bad', seq=c.seq, bad_checksum=True)
    c.silence('a wrong TCP checksum')
    peer.send_ip(TCP, peer.tcp(c.own_port, c.port, ACK, c.seq, c.ack, data=b'bad'), bad_checksum=True)
    c.silence('a wrong IP checksum')
    c.send(RST, seq=c.seq, bad_checksum=True)
    echoes(c)
    finish(c)
    port = next(ports)
    answers = peer.listen(UDP, port)
    peer.send_ip(UDP, peer.udp(port, ECHO, b'bad', bad_checksum=True))
    peer.send_ip(UDP, peer.udp(port, ECHO, b'none', no_checksum=True))
    peer.send_ip(UDP, peer.udp(port, ECHO, b'good'))
    check('datagrams', [answers.get(timeout=WAIT) for _ in range(2)], [b'none', b'good'])


def bad_lengths():
    """Headers that lie about lengths are dropped."""
    c = opened(ECHO)
    body = peer.tcp(c.own_port, c.port, ACK, c.seq, c.ack, data=b'data')
    for offset in 0, 4, 15:     # in words: less than a header, and more than there is
        wrong = bytearray(body)
        wrong[12] = offset << 4
        peer.send_ip(TCP, peer.transport(TCP, bytes(wrong[:16] + b'\0\0' + wrong[18:]), 16))
    for size in 0, 1, 13, 19:
        peer.send_ip(TCP, body[:size])
    for options in b'\2\4\1', b'\2\0', b'\2\1\1\1', b'\3\x28', b'\xff\xff\xff\xff', b'\2':
        peer.send_ip(TCP, peer.tcp(next(ports), ECHO, SYN, 1, 0, options=options))
    c.silence('headers that lie')
    echoes(c)
    finish(c)


# ---- Fragments ----

def cut(body, size):
    return [(at, body[at:at + size]) for at in range(0, len(body), size)]


def send_fragments(protocol, body, pieces):
    number = random.randrange(1 << 16)
    for at, piece in pieces:
        peer.send_ip(protocol, piece, offset=at, more=at + len(piece) < len(body), number=number)


# A datagram that comes in pieces loses its place to a thousand newer ones: the two scenarios take turns.
fragmenting = threading.Lock()


def fragments():
    with fragmenting:
        whole_fragments()


def whole_fragments():
    port, data = next(ports), random.Random(2).randbytes(5000)
    answers = peer.listen(UDP, port)
    body = peer.udp(port, ECHO, data)
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
    text = peer.tcp(c.own_port, c.port, ACK, c.seq, c.ack, data=b'in pieces ' * 100)
    send_fragments(TCP, text, cut(text, 400))
    c.seq = c.seq + 1000 & MASK
    check('a segment in fragments', c.read(1000)[0], b'in pieces ' * 100)
    finish(c)


def unfinished_fragments():
    """What is never completed is bounded, and forgotten in the end; others go on meanwhile."""
    def memory():
        return figures()['memory']
    before = memory()
    with fragmenting:
        for number in range(1000):
            peer.send_ip(UDP, b'x' * 1400, offset=1400 * (number % 3), more=True, number=number)
        taken = memory() - before  # it has seen them all
    if taken > 400000:
        raise Wrong(f'{taken} bytes for fragments that are never complete')
    end = time.monotonic() + 25
    while memory() > before + 65536:
        if time.monotonic() > end:
            raise Wrong(f'{memory() - before} bytes for fragments after 25 s')
        time.sleep(0.5)


# ---- Floods ----

def syn_flood():
    """Sources that are not there; a client that is there gets in all the same."""
    sources = [socket.inet_aton(f'10.77.0.{n}') for n in range(100, 160)]
    for number in range(2500):
        own = sources[number % len(sources)]
        peer.send_ip(TCP, peer.tcp(1024 + number % 60000, ECHO, SYN, number * 77777, 0, options=mss(1460), own=own), own=own)
        if number % 500 == 499:
            start = time.monotonic()
            with socket.create_connection((MACHINE, ECHO), timeout=WAIT) as s:
                s.sendall(b'?')
                check('an echo in a flood', s.recv(1), b'?')
            if time.monotonic() - start > 4:
                raise Wrong(f'a client waited {time.monotonic() - start:.1f} s in a flood')


def connection_flood():
    """Whoever opens connections and says nothing: others are served."""
    crowd = [socket.create_connection((MACHINE, ECHO), timeout=WAIT) for _ in range(500)]
    c = opened(ECHO)
    echoes(c)
    finish(c)
    check('connections', figures()['connections'] >= 500, True)
    for number, s in enumerate(crowd):
        if number % 2:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        s.close()


# ---- examples/proxy.c dials this peer: states of whoever opens a connection ----

def dialled(port):
    """(a client of the proxy, the connection that the proxy then opens, its SYN)."""
    c = Connection(peer, None, port)
    client = socket.create_connection((MACHINE, 80), timeout=WAIT)
    client.settimeout(WAIT)
    syn = c.expect(SYN, 'a SYN')
    c.port = peer.sources[port]
    check("options of the machine's SYN", sorted(syn.options), [2, 3, 4])
    c.ack = syn.seq + 1 & MASK
    return client, c, syn


def dial(port):
    """The machine opens the connection: a SYN that crosses, wrong answers, a refusal, and none."""
    def opens(c, client):
        c.send(SYN | ACK, options=mss(1460))
        c.expect(ACK, 'the third step', seq=c.ack, ack=c.seq)
        client.sendall(b'through the proxy')
        check('what comes through', c.read(17)[0], b'through the proxy')
        c.reset()
        check('after a reset, an end', client.recv(10), b'')
    client, c, syn = dialled(port)
    c.send(SYN, seq=c.seq, options=mss(1460))           # crosses: it goes on as if nothing had come
    c.send(RST, seq=77)
    c.silence('a reset without ACK')
    c.send(SYN | ACK, seq=c.seq, ack=syn.seq + 100)
    c.expect_reset('a SYN-ACK of something else', seq=syn.seq + 100)
    c.expect(SYN, 'the SYN again', seq=syn.seq)
    opens(c, client)
    client, c, syn = dialled(port)
    c.send(RST | ACK, seq=0)
    check('refused', client.recv(10), b'')


# ---- Everything comes back ----

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


def vanished():
    """Peers that are gone without a word, with nothing said and with something to say: keep-alive finds the first."""
    crowd = [opened(ECHO) for _ in range(20)]
    for c in crowd:
        echoes(c)
        del peer.queues[TCP, c.own_port]
    start = time.monotonic()
    c = opened(ECHO)
    while time.monotonic() < start + 7:     # who answers stays
        got = c.next(timeout=1)
        if got and got.seq == c.ack - 1 & MASK:
            c.send(ACK)
    echoes(c)
    finish(c)


def returned(before):
    end, now = time.monotonic() + 30, None
    while time.monotonic() < end:
        now = figures()
        if (now['connections'], now['goroutines']) == (before['connections'], before['goroutines']) and \
                now['memory'] < before['memory'] + 512 * 1024:
            return
        time.sleep(0.3)
    raise Wrong(f'before {before}, now {now}')


SCENARIOS = [handshake_options, segment_sizes, closed_port, half_open, reset_rules, reset_states, simultaneous_close,
             time_wait, windows, zero_window, out_of_order, fin_out_of_order, urgent_and_empty, bad_checksums,
             bad_lengths, fragments, unfinished_fragments, vanished]
FLOODS = [syn_flood, connection_flood]


def main(interface, *chosen):
    global peer
    peer = Peer(interface, MACHINE, OWN, [f'10.77.0.{n}' for n in range(100, 130)])
    peer.resolve()
    if chosen == ('dial',):
        return dial(99)
    before, failures = figures(), []

    def run(scenario, *args):
        start = time.monotonic()
        try:
            scenario(*args)
        except Exception as error:
            failures.append(f'{scenario.__name__}: {error if isinstance(error, Wrong) else repr(error)}')
        print(f'{time.monotonic() - start:6.2f} s  {scenario.__name__}')

    def wanted(all_of_them):
        return [scenario for scenario in all_of_them if not chosen or scenario.__name__ in chosen]
    for scenario in wanted(FLOODS):
        run(scenario)
    threads = [threading.Thread(target=run, args=(scenario,)) for scenario in wanted(SCENARIOS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run(returned, before)
    if failures:
        print(*failures[1:], sep='\n', flush=True)
        sys.exit(failures[0])  # the others may come of it


try:
    main(*sys.argv[1:])
except Wrong as wrong:
    sys.exit(str(wrong))
