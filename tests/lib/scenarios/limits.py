# SPDX-License-Identifier: BSD-2-Clause
"""What a limit of net/limits.h does, on a machine whose options set it so low that it is reached."""
import contextlib
import queue
import time

from peer import ACK, FIN, MASK, RST, SACK_PERMITTED, SYN, TCP, UDP, WAIT, Connection, Wrong, check, mss, ports
from scenarios import common
from scenarios.common import BYTES, DEAF, ECHO, FIGURES, HALF, PATTERN, SILENT, figures, finish_acknowledged, opened
from scenarios.fragments import cut, send_fragments


def ended(c, what, least, most):
    """It is reset after so many seconds, and not before."""
    start = time.monotonic()
    while time.monotonic() < start + most:
        got = c.next(timeout=0.5)
        if got and got.flags & RST:
            break
        if got:
            yield got
    else:
        raise Wrong(f'{what}: no reset in {most} s')
    if time.monotonic() < start + least:
        raise Wrong(f'{what}: a reset after {time.monotonic() - start:.1f} s')


def stalled():
    """stalled=4,2: windows that stay closed, to who writes more than there is room for, and to what a program has left."""
    crowd = [(PATTERN, b'240000\n', False, 3.5), (PATTERN, b'240000\n', True, 3.5), (FIGURES, b'', False, 1.5)]
    for port, asked, takes, least in crowd:
        c = opened(port, window=0)
        if asked:
            c.send(ACK, asked)
        for got in ended(c, f'a closed window at port {port}', least, 9):
            if takes and got.data and got.seq == c.ack:
                c.ack = c.ack + len(got.data) & MASK
            c.send(ACK)


def slow():
    """stalled=4,2: who takes little, but goes on, stays."""
    c = opened(PATTERN, window=0)
    c.send(ACK, b'240000\n')
    data, start = b'', time.monotonic()
    while len(data) < 240000:
        c.window = 700 if time.monotonic() < start + 9 else 65535
        c.send(ACK)
        data += c.read(min(c.window if c.window < 1000 else 10000, 240000 - len(data)))[0]
        c.window = 0
        c.send(ACK)
        time.sleep(1 if time.monotonic() < start + 9 else 0)
    check('the pattern', data == BYTES[:240000], True)
    c.window = 65535
    c.finish()


def handshake():
    """handshake=2"""
    c = Connection(common.peer, ECHO)
    c.send(SYN, options=mss(1460))
    c.ack = c.expect(SYN | ACK, 'an answer to a SYN', ack=c.seq).seq + 1 & MASK
    time.sleep(4)
    while c.next(timeout=0.1):      # the same again
        pass
    c.send(ACK)
    c.expect_reset('the end of a handshake, too late', seq=c.ack)


def finwait():
    """finwait=2"""
    c = opened(FIGURES)
    c.read_end()
    time.sleep(4)
    c.send(FIN | ACK)
    c.expect_reset('a FIN, too late', seq=c.ack)


def timewait():
    """timewait=3,2: the third pushes the first out, and all are gone after the time."""
    crowd = [opened(FIGURES) for _ in range(3)]
    for c in crowd:
        c.read_end()
        finish_acknowledged(c)
    time.sleep(0.3)
    crowd[0].send(FIN | ACK, seq=crowd[0].seq - 1)
    crowd[0].expect_reset('the last FIN again, of one that was pushed out', seq=crowd[0].ack)
    for c in crowd[1:]:
        c.send(FIN | ACK, seq=c.seq - 1)
        c.expect(ACK, 'the last FIN again', seq=c.ack, ack=c.seq)
    stays, goes = crowd[1:]
    time.sleep(1.7)
    stays.send(FIN | ACK, seq=stays.seq - 1)  # and the time begins anew
    stays.expect(ACK, 'the last FIN a third time', seq=stays.ack, ack=stays.seq)
    goes.send(FIN | ACK, seq=goes.seq - 100)  # which is not its FIN
    goes.expect(ACK, 'another FIN', seq=goes.ack, ack=goes.seq)
    time.sleep(1.8)
    stays.send(FIN | ACK, seq=stays.seq - 1)
    stays.expect(ACK, 'the last FIN a fourth time', seq=stays.ack, ack=stays.seq)
    goes.send(FIN | ACK, seq=goes.seq - 1)
    goes.expect_reset('the last FIN again, too late', seq=goes.ack)
    time.sleep(4)
    figures()                       # a connection later
    time.sleep(0.3)
    stays.send(FIN | ACK, seq=stays.seq - 1)
    stays.expect_reset('the last FIN a fifth time, too late', seq=stays.ack)


def window():
    """windows=16,16: so much is sent without an ACK, and no larger window is opened."""
    c = opened(PATTERN)
    c.send(ACK, b'150000\n')
    c.read(100000)                  # the congestion window is open
    time.sleep(0.5)
    flight = 0
    while got := c.next(timeout=0.5):
        if got.seq - c.ack & MASK < 1 << 31:
            flight = max(flight, (got.seq - c.ack & MASK) + len(got.data))
    if not 12000 < flight <= 16384:
        raise Wrong(f'{flight} bytes are under way')
    c.reset()
    c = opened(ECHO)
    for _ in range(50):
        c.send(ACK, BYTES[:1000])
        if (largest := max(got.window for got, _ in c.read(1000)[1])) > 16384:
            raise Wrong(f'a window of {largest}')
    c.finish()


def ahead():
    """ahead=1,2: of what is beyond a gap two segments are kept, and no more than 1 KiB."""
    for size, kept in (100, 2), (800, 1):
        c = opened(DEAF, mss(1460) + SACK_PERMITTED)
        for number in 0, 1, 2:
            c.send(ACK, b'-' * size, seq=c.seq + 100 + size * number)
        c.send(ACK, b'.' * 100)
        end, got = time.monotonic() + WAIT, None
        while time.monotonic() < end and not (got and got.ack == c.seq + size * kept & MASK):
            got = c.next(timeout=0.5) or got
        check(f'of three segments of {size} bytes', got.ack - c.seq & MASK, size * kept)
        c.seq = got.ack
        c.reset()


def pieces():
    """fragments=2,2,60: a datagram of two is put together, one of three is not, and one that takes 4 s is not."""
    for size, pause, comes in (2000, 0, True), (3000, 0, False), (2000, 4, False), (2000, 0, True):
        port, data = next(ports), BYTES[:size - 8]
        answers, body = common.peer.listen(UDP, port), common.peer.udp(port, ECHO, data)
        parts = cut(body, 1000)
        number = send_fragments(UDP, body, parts[:1])
        time.sleep(pause)
        for at, part in parts[1:]:
            common.peer.send_ip(UDP, part, offset=at, more=at + len(part) < len(body), number=number)
        got = None
        with contextlib.suppress(queue.Empty):
            got = answers.get(timeout=WAIT if comes else 0.7)
        check(f'the echo of {len(parts)} fragments', got == data, comes)


def datagrams():
    """datagrams=6,4: six small ones wait to be read, and no more than 4 KiB."""
    for size, kept in (10, 6), (1400, 2):
        port = next(ports)
        answers = common.peer.listen(UDP, port)
        before, end, came = figures()['datagrams'], time.monotonic() + WAIT, 0
        common.peer.send_ip(UDP, common.peer.udp(port, ECHO, b'wait'))
        while figures()['datagrams'] == before:     # then it has read it, and reads no other for a second
            if time.monotonic() > end:
                raise Wrong('a datagram that nobody reads')
        for _ in range(10):
            common.peer.send_ip(UDP, common.peer.udp(port, ECHO, BYTES[:size]))
        check('an echo', answers.get(timeout=WAIT), b'wait')
        with contextlib.suppress(queue.Empty):
            while answers.get(timeout=WAIT if came < kept else 1):
                came += 1
        check(f'datagrams of {size} bytes that were kept', came, kept)


def netmemory():
    """netmemory=25, of 64 MiB"""
    most = figures()['memory_max']
    if not 10 << 20 < most <= 16 << 20:
        raise Wrong(f'{most} bytes')


def half_closed():
    """A peer that is gone when the machine has closed its side, and reads (keepalive=1,1,2)."""
    c = opened(HALF)
    c.read_end()
    del common.peer.queues[TCP, c.own_port]


def silent():
    """Nobody says a word for a minute, and then the machine closes: the peer has as long as others to finish, and to
    take what it is still to have."""
    for how in b'q', b's':
        c = opened(SILENT)
        c.send(ACK, how)
        c.read_end()
        time.sleep(1.5)
        finish_acknowledged(c)
    c = opened(SILENT, window=1460)
    c.send(FIN | ACK, b'f')
    data = b''
    while len(data) < 100000:
        data += c.read(min(1460, 100000 - len(data)))[0]
        time.sleep(0.03)
    check('the pattern', data == BYTES[:100000], True)
    if not c.finished:
        check('what comes after it', c.read_end(), b'')


ASKED_FOR = [stalled, slow, handshake, finwait, timewait, window, ahead, pieces, datagrams, netmemory, half_closed, silent]
