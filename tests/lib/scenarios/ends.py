# SPDX-License-Identifier: BSD-2-Clause
"""Resets in each state, exact and not, and ends in order."""
import time

from peer import ACK, FIN, MASK, RST, SYN, WAIT, Connection, mss, ports
from scenarios import common
from scenarios.common import ECHO, COUNT, FIGURES, answered_rarely, opened, echoes, finish_acknowledged


def reset_rules():
    c = opened(ECHO)
    c.send(RST, seq=c.seq + 1000)
    c.expect(ACK, 'a RST in the window that is not exact: a challenge', seq=c.ack, ack=c.seq)
    for seq in c.seq - 1, c.seq + (1 << 30), c.seq - (1 << 30):
        c.send(RST, seq=seq)
        c.silence('a RST outside of the window')
    answered_rarely(c, 'a SYN in a connection: a challenge', lambda: c.send(SYN, seq=c.seq + 1),
                    lambda: c.send(RST, seq=c.seq + 1000))
    time.sleep(0.6)                     # it may challenge again
    c.send(RST, seq=c.seq + 1000)
    c.expect(ACK, 'the same later', seq=c.ack, ack=c.seq)
    time.sleep(0.6)
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


def half_open_peer():
    """A peer that has lost its state opens a connection with the ports of the old one (RFC 9293, 3.5.1)."""
    c = opened(ECHO)
    echoes(c)
    again = Connection(common.peer, ECHO, c.own_port)
    again.send(SYN, seq=c.seq + (1 << 20), options=mss(1460))
    challenge = again.expect(ACK, 'a SYN in a connection: a challenge', seq=c.ack, ack=c.seq)
    again.send(RST, seq=challenge.ack)
    again.open()
    echoes(again)
    again.finish()


def reset_states():
    def gone(c, what):
        while c.next(timeout=0.05):     # what was on its way
            pass
        for seq in c.seq - 1, c.seq + (1 << 30):
            c.send(RST, seq=seq)
        c.send(RST, seq=c.seq + 1000)
        c.challenged(f'a RST in {what} that is not exact')
        time.sleep(0.6)                 # it may challenge again
        c.send(SYN, seq=c.seq + 1000)
        if what != 'SYN-RECEIVED':
            c.challenged(f'a SYN in {what}')
        c.reset()
        c.send(ACK, seq=c.seq)
        c.expect_reset(f'an ACK after a reset in {what}', seq=c.ack, first=False)
    c = Connection(common.peer, ECHO)
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
    old = Connection(common.peer, FIGURES, c.own_port)
    old.seq = c.seq - 1000 & MASK
    old.send(SYN)
    old.expect(ACK, 'TIME-WAIT, an old SYN', ack=c.seq)
    new = Connection(common.peer, FIGURES, c.own_port)
    new.seq = c.seq + 1000 & MASK
    new.open()
    new.read_end()
    finish_acknowledged(new)


SCENARIOS = [reset_rules, half_open_peer, reset_states, simultaneous_close, time_wait]
