#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Plays the peer that examples/proxy.c dials, over a tap device: dialled.py INTERFACE

The proxy listens on port 80, its target is port 99 of this peer. So here are the states of who opens a connection. Ends
with a message and status 1 when the machine did what it must not.
"""
import socket
import sys
import time

from peer import (ACK, FIN, MASK, RST, SACK_PERMITTED, SYN, WAIT, Connection, Peer, Wrong, check, mss, window_scale)

MACHINE, OWN, PORT = '10.77.0.2', '10.77.0.9', 99
TEXT = bytes(range(251)) * 40


def dialled():
    """(a client of the proxy, the connection that the proxy then opens, its SYN)."""
    c = Connection(peer, None, PORT)
    while c.next(timeout=0.05):     # what the one before has left
        pass
    client = socket.create_connection((MACHINE, 80), timeout=WAIT)
    client.settimeout(WAIT)
    syn = c.expect(SYN, 'a SYN')
    c.port = peer.sources[PORT]
    check("options of the machine's SYN", sorted(syn.options), [2, 3, 4])
    c.ack = syn.seq + 1 & MASK
    return client, c, syn


def works(client, c):
    """Bytes go both ways, and an end comes through."""
    client.sendall(b'through the proxy')
    check('what comes through', c.read(17)[0], b'through the proxy')
    c.send(ACK, b'and back')
    check('what goes back', client.recv(100), b'and back')
    gone(client, c)


def gone(client, c):
    c.reset()
    check('after a reset, an end', client.recv(10), b'')


def answer(c, options=mss(1460)):
    c.send(SYN | ACK, options=options)
    c.told = c.ack                  # its SYN may come again
    c.expect(ACK, 'the third step', seq=c.ack, ack=c.seq)


# ---- SYN-SENT ----

def opened():
    client, c, _ = dialled()
    answer(c)
    works(client, c)


def refused():
    client, c, _ = dialled()
    c.send(RST | ACK, seq=0)
    check('refused', client.recv(10), b'')


def reset_rules():
    """A reset counts if it acknowledges the SYN, whatever its own number is."""
    client, c, syn = dialled()
    c.send(RST, seq=77)
    c.send(RST | ACK, seq=77, ack=syn.seq)
    c.send(RST | ACK, seq=77, ack=syn.seq + 2)
    c.send(ACK, b'no SYN yet', seq=77)
    c.send(0, b'nothing at all', seq=77)
    c.expect(SYN, 'the SYN again, as if nothing had come', seq=syn.seq)
    answer(c)
    works(client, c)


def half_open():
    """The peer has a connection of old with these ports (RFC 9293, figure 9): it is told, and then answers."""
    client, c, syn = dialled()
    for flags in ACK, SYN | ACK:
        c.send(flags, seq=c.seq, ack=syn.seq + 100)
        c.expect_reset('an answer to something else', seq=syn.seq + 100)
        c.expect(SYN, 'the SYN again', seq=syn.seq)
    answer(c)
    works(client, c)


def no_answer():
    """The SYN is repeated; the proxy gives its target ten seconds."""
    client, c, syn = dialled()
    for _ in range(2):
        c.expect(SYN, 'the SYN again', seq=syn.seq)
    client.settimeout(15)
    check('no answer', client.recv(10), b'')


# ---- The peer opens it at the same time (RFC 9293, figure 7) ----

def crossed(options, window=65535):
    """Both SYNs have crossed; answers what dialled() does, but for the machine's answer."""
    client, c, syn = dialled()
    c.window = window
    c.send(SYN, options=options)
    got = c.expect(SYN | ACK, 'the answer to a SYN that crosses', seq=syn.seq, ack=c.seq)
    return client, c, got


def simultaneous_open():
    for options, kinds in (mss(1460) + window_scale(7) + SACK_PERMITTED, [2, 3, 4]), (mss(1000), [2]), (b'', [2]):
        client, c, got = crossed(options)
        check('options of the answer to a SYN that crosses', sorted(got.options), kinds)
        c.send(SYN | ACK, seq=c.seq - 1, options=options)
        c.expect(ACK, 'established', seq=c.ack, ack=c.seq)
        works(client, c)
    client, c, _ = crossed(mss(1460))       # whoever has heard our answer already acknowledges it only
    c.send(ACK)
    works(client, c)
    client, c, _ = crossed(mss(1460))
    c.send(ACK, b'at once')
    check('data with the acknowledgement', client.recv(100), b'at once')
    gone(client, c)


def simultaneous_windows():
    """In segments with SYN the window is not scaled, in others it is; and segments are no longer than the peer wants."""
    client, c, _ = crossed(mss(700) + window_scale(7), window=2000)
    c.send(SYN | ACK, seq=c.seq - 1, options=mss(700) + window_scale(7))
    c.expect(ACK, 'established', seq=c.ack, ack=c.seq)
    client.sendall(TEXT)
    data = b''
    while (got := c.next(timeout=0.3)) and got.seq == c.ack:    # until it begins anew
        data += got.data
        c.ack = c.ack + len(got.data) & MASK
        if len(got.data) > 700 or len(data) > 2000:
            raise Wrong(f'{len(got.data)} of {len(data)} bytes, in a window of 2000')
    c.window = 4000 >> 7
    c.send(ACK)
    got, _ = c.read(len(TEXT) - len(data))
    check('what comes through', data + got == TEXT, True)
    gone(client, c)


def simultaneous_losses():
    """What was lost comes again, on both sides, and what is wrong does no harm."""
    client, c, got = crossed(mss(1460) + window_scale(7))
    start = time.monotonic()
    for _ in range(5):
        c.send(SYN, seq=c.seq - 1, options=mss(1460) + window_scale(7))
        c.expect(SYN | ACK, 'an answer to the same SYN', seq=got.seq, ack=c.seq)
    if time.monotonic() - start > 8:    # its timer alone would take half a minute for so many
        raise Wrong(f'{time.monotonic() - start:.1f} s for 5 answers to the same SYN')
    c.expect(SYN | ACK, 'the answer again, by its timer', seq=got.seq, ack=c.seq)
    c.send(SYN, seq=c.seq + 5)
    c.silence('another SYN', timeout=0.3)
    c.send(ACK, seq=c.seq, ack=got.seq + 77)
    c.expect_reset('a wrong ACK', seq=got.seq + 77)
    c.send(RST, seq=c.seq + (1 << 30))
    c.send(RST, seq=c.seq + 1000)
    c.expect(ACK, 'a RST that is not exact: a challenge', seq=c.ack, ack=c.seq)
    for _ in range(2):
        c.send(SYN | ACK, seq=c.seq - 1, options=mss(1460) + window_scale(7))
        c.expect(ACK, 'established', seq=c.ack, ack=c.seq)
    works(client, c)


def simultaneous_refusal():
    client, c, _ = crossed(mss(1460))
    gone(client, c)


# ---- ESTABLISHED ----

def forgotten():
    """The peer has lost its state (RFC 9293, figures 9 and 11): its SYN is challenged, and its reset ends it."""
    client, c, _ = dialled()
    answer(c)
    c.send(SYN, seq=c.seq + 7000)
    challenge = c.expect(ACK, 'a SYN in a connection: a challenge', seq=c.ack, ack=c.seq)
    c.send(RST, seq=challenge.ack)
    check('after the reset, an end', client.recv(10), b'')
    client, c, _ = dialled()
    answer(c)
    client.sendall(b'hello')
    got = c.expect(ACK, 'data', seq=c.ack)
    c.send(RST, seq=got.ack)
    check('data to who has forgotten: an end', client.recv(10), b'')


# ---- The end ----

def time_wait():
    """The machine, which ended it first, acknowledges the last FIN as often as it comes; resets and SYNs change nothing."""
    client, c, syn = dialled()
    answer(c)
    client.shutdown(socket.SHUT_WR)
    c.read_end()
    c.send(FIN | ACK)
    c.expect(ACK, 'the last FIN', seq=c.ack, ack=c.seq)
    check('the end', client.recv(10), b'')
    for _ in range(3):
        c.send(RST, seq=c.seq)
        c.send(FIN | ACK, seq=c.seq - 1)
        c.expect(ACK, 'TIME-WAIT, the last FIN again', seq=c.ack, ack=c.seq)
        c.send(SYN, seq=c.seq - 1000)
        c.expect(ACK, 'TIME-WAIT, an old SYN', seq=c.ack, ack=c.seq)
    c.silence('a RST in TIME-WAIT')
    _, new, _ = dialled()
    check('another port', new.port == c.port, False)
    new.send(RST | ACK, seq=0)


SCENARIOS = [opened, refused, reset_rules, half_open, no_answer, simultaneous_open, simultaneous_windows, simultaneous_losses,
             simultaneous_refusal, forgotten, time_wait, opened]


def main(interface, *chosen):
    global peer
    peer = Peer(interface, MACHINE, OWN)
    peer.resolve()
    for scenario in SCENARIOS:
        if not chosen or scenario.__name__ in chosen:
            try:
                scenario()
            except (Wrong, OSError) as wrong:
                sys.exit(f'{scenario.__name__}: {wrong}')


main(*sys.argv[1:])
