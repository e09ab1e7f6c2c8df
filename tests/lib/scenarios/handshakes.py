# SPDX-License-Identifier: BSD-2-Clause
"""How a connection begins, and what is no beginning of one."""
import struct
import time

from peer import ACK, FIN, MASK, PSH, RST, SACK_PERMITTED, SYN, Connection, Wrong, check, mss, window_scale
from scenarios import common
from scenarios.common import ECHO, echoes


def handshake_options():
    c = Connection(common.peer, ECHO)
    answer = c.open(mss(1000) + window_scale(7) + SACK_PERMITTED)
    check('options of a SYN-ACK', sorted(answer.options), [2, 3, 4])
    check("the machine's MSS", answer.options[2], struct.pack('!H', 1460))
    if answer.options[3][0] > 14 or answer.window == 0:
        raise Wrong(f'a strange window: {answer}')
    echoes(c)
    c.finish()
    c = Connection(common.peer, ECHO)
    answer = c.open(b'')
    check('options of a SYN-ACK to a SYN that has none', [kind for kind in answer.options if kind != 2], [])
    echoes(c)
    c.finish()


def closed_port():
    c = Connection(common.peer, 4)
    c.send(SYN)
    c.expect(RST | ACK, 'a SYN to a closed port', seq=0, ack=c.seq)
    c.send(ACK, seq=100, ack=777)
    c.expect_reset('an ACK to a closed port', seq=777)
    c.send(RST, seq=100)
    c.silence('a RST to a closed port')


def listening():
    """What is no SYN finds no connection; what has a SYN and more finds none either."""
    c = Connection(common.peer, ECHO)
    for flags in RST, RST | ACK, RST | SYN, 0, FIN, PSH:
        c.send(flags, b'', seq=100, ack=777)
    c.silence('neither SYN nor ACK to a listener', timeout=0.3)
    for flags in ACK, SYN | ACK, FIN | ACK:
        c.send(flags, seq=100, ack=777)
        c.expect_reset('an ACK to a listener', seq=777)
    c.open()
    echoes(c)
    c.finish()


def strange_options():
    """Those that nobody knows, that come twice, in any order, and values that cannot be meant."""
    stamp, unknown = struct.pack('!BBII', 8, 10, 1, 0), b'\xfd\x06abcd'
    for options in (stamp + unknown + mss(1460), unknown * 6, mss(0) + SACK_PERMITTED * 3, mss(65535) + b'\3\3\x0f\1',
                    mss(1460) + mss(1000) + b'\3\3\xff\0', b'\1' * 40, b'\0' * 40):
        c = Connection(common.peer, ECHO)
        answer = c.open(options)
        check('options of a SYN-ACK', set(answer.options) <= {2, 3, 4}, True)
        echoes(c, b'0123456789' * 40)
        c.finish()


def half_open():
    c = Connection(common.peer, ECHO)
    c.send(SYN, options=mss(1460))
    first = c.expect(SYN | ACK, 'an answer to a SYN', ack=c.seq)
    start = time.monotonic()
    for _ in range(20):
        c.send(SYN, seq=c.seq - 1, options=mss(1460))
        c.expect(SYN | ACK, 'an answer to the same SYN', seq=first.seq, ack=c.seq)
    if time.monotonic() - start > 8:    # its timer alone would take minutes for so many
        raise Wrong(f'{time.monotonic() - start:.1f} s for 20 answers to the same SYN')
    c.send(SYN, seq=c.seq + 5, options=mss(1460))
    c.send(ACK, seq=c.seq, ack=first.seq + 77)
    while (got := c.next()) and got.flags == SYN | ACK and got.seq == first.seq:
        pass                            # its timer sends it again at any time
    check('nothing for another SYN in SYN-RECEIVED, a reset for a wrong ACK',
          got and (got.flags & RST, got.seq), (RST, first.seq + 77 & MASK))
    for seq in c.seq - 1, c.seq + (1 << 20):
        c.send(RST, seq=seq)
        c.send(ACK, seq=seq, ack=first.seq + 1)
        c.challenged('an ACK outside of the window in SYN-RECEIVED')
    c.send(RST, seq=c.seq + 1000)
    c.challenged('a RST in SYN-RECEIVED that is not exact')
    again = c.expect(SYN | ACK, 'the SYN-ACK again', seq=first.seq, ack=c.seq)
    c.ack = again.seq + 1 & MASK
    c.send(ACK)
    echoes(c)
    c.finish()


SCENARIOS = [handshake_options, closed_port, listening, strange_options, half_open]
