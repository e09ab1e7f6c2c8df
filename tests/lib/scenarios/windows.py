# SPDX-License-Identifier: BSD-2-Clause
"""The windows of both sides, and how long segments are."""
import random
import statistics
import time

from peer import ACK, FIN, MASK, RST, SACK_PERMITTED, SYN, WAIT, Connection, Wrong, check, mss
from scenarios import common
from scenarios.common import ECHO, COUNT, DEAF, PATTERN, BYTES, answered_rarely, turn, opened, echoes


def segment_sizes():
    for options, most in (mss(1000), 1000), (mss(400) + SACK_PERMITTED, 400), (b'', 536):
        c = opened(PATTERN, options)
        c.send(ACK, b'5000\n')
        data, segments = c.read(5000)
        check('the pattern', data == BYTES[:5000], True)
        check('the largest segment', max(len(segment.data) for segment, _ in segments), most)
        c.finish()


def arriving(c, size):
    """The pattern's segments in their order, up to that many bytes. It is for the caller to acknowledge each."""
    data = b''
    while len(data) < size:
        got = c.next_answer()
        if not got or got.seq != c.ack:
            raise Wrong(f'{got} after {len(data)} bytes')
        data += got.data
        c.ack = c.ack + len(got.data) & MASK
        yield len(got.data)
    check('the pattern', data == BYTES[:size], True)


def windows():
    c = opened(PATTERN, window=3000)
    c.send(ACK, b'100000\n')
    unacknowledged = 0
    for length in arriving(c, 100000):
        unacknowledged += length
        if unacknowledged > 3000:
            raise Wrong(f'{unacknowledged} bytes into a window of 3000')
        if unacknowledged > 3000 - 1460:
            c.send(ACK)
            unacknowledged = 0
    c.send(ACK)
    c.finish()


def zero_window():
    c = opened(PATTERN, window=1460)
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
    c.finish()


def small_segments():
    """A peer who wants a byte in each gets 48: they cost as much, and a queue of them holds less."""
    for size in 1, 0, 47:
        c = opened(PATTERN, mss(size))
        c.send(ACK, b'50000\n')
        data, segments = c.read(50000)
        check('the pattern', data == BYTES[:50000], True)
        check('the largest segment', max(len(segment.data) for segment, _ in segments), 48)
        if len(segments) > 1200:
            raise Wrong(f'{len(segments)} segments for 50,000 bytes')
        c.finish()


def small_windows():
    """What was queued without a window may be longer than the one there is then; none is too small to be used."""
    for first in 0, 1:
        c = opened(ECHO, window=first)
        c.send(ACK, BYTES[:1000])
        c.expect(ACK, 'an ACK, and no echo yet', seq=c.ack, ack=c.seq)
        time.sleep(0.2)             # the echo is written
        c.window = 2
        c.send(ACK, BYTES[1000:1100])
        time.sleep(0.2)
        c.window = 65535
        c.send(ACK)
        check('the echo', c.read(1100)[0], BYTES[:1100])
        c.finish()
    c = opened(PATTERN, window=0)   # queued without one, then as fast as it is acknowledged
    c.send(ACK, b'20000\n')
    time.sleep(0.2)
    c.window = 100
    c.send(ACK)
    data, times, longest = b'', [], 0
    while len(data) < 20000:
        piece, _ = c.read(1)        # a segment
        data, longest = data + piece, max(longest, len(piece))
        times.append(time.monotonic())
    check('the pattern', data == BYTES[:20000], True)
    check('the largest segment', longest <= 100, True)
    gap = statistics.median(later - one for one, later in zip(times, times[1:]))
    if gap > 0.2:                   # by a timer, the fastest of which comes each 250 ms
        raise Wrong(f'{gap:.2f} s between two of {len(times)} segments')
    c.finish()
    c = opened(COUNT, window=1)     # by the byte, a second or two for each; the end comes last
    c.send(FIN | ACK, b'x' * 1000)
    check('the bytes counted', c.read_end(), b'1000\n')


def one_byte_probed():
    """All that there is to say is one byte, a probe of the closed window brings it, and it stays closed."""
    c = opened(ECHO, window=0)
    for text in b'x', b'y':
        c.send(ACK, text)
        while not (got := c.expect(ACK, 'a probe of the closed window')).data:
            pass
        check('a probe', got.data, text)
        c.ack = c.ack + 1 & MASK
        c.send(ACK)
        time.sleep(1.2)                 # its timer comes
    c.window = 65535
    c.send(ACK)
    echoes(c)
    c.finish()


def late_segment_size():
    """An MSS in a segment without SYN means nothing (RFC 9293, 3.7.1): what is queued already may be longer."""
    c = opened(PATTERN, window=3000)
    c.send(ACK, b'200000\n')
    longest = 0
    for length in arriving(c, 200000):
        longest = max(longest, length)
        c.send(ACK, options=mss(100))
    check('the longest segment', longest, 1460)
    c.finish()
    c = opened(PATTERN, window=0)   # the same while the window is too small for what is queued, and its timer comes
    c.send(ACK, b'5000\n')
    c.window = 500
    c.send(ACK, options=mss(100))
    data, _ = c.read(500, acknowledge=False)
    c.window = 65535
    c.send(ACK)
    check('the pattern', data + c.read(4500)[0] == BYTES[:5000], True)
    c.finish()


def deaf(handshake=None):
    """A connection to who does not read, and where its window ends; with a handshake of that segment, (data, from that end)."""
    c = Connection(common.peer, DEAF)
    c.window = 0
    c.send(SYN, options=mss(1460) + SACK_PERMITTED)
    answer = c.expect(SYN | ACK, 'an answer to a SYN', ack=c.seq)
    check('the first window', answer.window, 16384)
    c.ack = answer.seq + 1 & MASK
    end = c.seq + answer.window
    if handshake:
        c.send(ACK, handshake[0], seq=end + handshake[1])
    else:
        c.send(ACK)
    return c, end


def fill(c, end, what):
    """In order, up to there, which is then acknowledged."""
    while left := end - c.seq & MASK:
        c.send(ACK, b'.' * min(left, 1460))
    acknowledged(c, end, what)


def acknowledged(c, end, what):
    stop = time.monotonic() + WAIT
    while time.monotonic() < stop:
        if (got := c.next(timeout=1)) and got.flags & RST:
            raise Wrong(f'{what}: {got}')
        if got and got.ack == end & MASK:
            return got
    raise Wrong(f'{what}: no ACK of {end & MASK}')


def beyond_window():
    """What comes out of order ends where the window does; so does what it is joined with."""
    for handshake in None, (b'-' * 1460, -384):
        c, end = deaf(handshake)
        c.send(ACK, b'-' * 1460, seq=end - 384)
        fill(c, end - 384, 'up to a segment that goes beyond the window')
        fill(c, end, 'up to the end of the window')
        c.reset()
    c, end = deaf()
    c.send(ACK, b'-' * 200, seq=end - 500)
    c.send(ACK, b'-' * 1460, seq=end - 600)     # before another one
    fill(c, end - 600, 'up to two segments of which one goes beyond the window')
    fill(c, end, 'up to the end of the window')
    c.reset()
    c, end = deaf()
    c.send(FIN | ACK, b'-' * 100, seq=end - 100)
    fill(c, end - 1000, 'up to a FIN behind the window')
    c.send(ACK, b'.' * 1000)
    acknowledged(c, end, 'up to the end of the window, behind which there was a FIN')
    c.reset()


def beyond_end():
    """Whoever says more than his FIN lets him contradicts himself: that is not heard."""
    c, end = deaf()
    c.send(FIN | ACK, b'-' * 100, seq=end - 600)
    acknowledged(c, c.seq, 'a FIN beyond a gap')
    c.send(ACK, seq=end - 499)                  # nothing more, by a peer who has said all
    while got := c.next(timeout=0.3):
        if not got.data:                        # a probe
            raise Wrong(f'an answer to an acknowledgement: {got}')
    fill(c, end - 1460, 'up to a FIN')
    c.send(ACK, b'.' * 1460, seq=end - 1460)
    c.send(ACK, b'.' * 1000, seq=end - 1000)
    c.send(FIN | ACK, b'.' * 700, seq=end - 800)
    c.send(ACK, b'.' * 860)
    acknowledged(c, end - 499, 'up to and with the FIN')
    c.reset()


def closed_window():
    """It takes nothing, whatever is acknowledged in between; but for the end, which needs no room."""
    c, end = deaf()
    fill(c, end, 'up to the end of the window')
    for _ in range(50):
        c.send(ACK, seq=end)
        c.send(ACK, b'!', seq=end)
    while got := c.next(timeout=0.3):
        if got.ack != end & MASK or got.window:
            raise Wrong(f'the answer to a byte for a closed window: {got}, not an ACK of {end & MASK}')
    c.send(FIN | ACK, seq=end)
    c.seq = end + 1 & MASK
    acknowledged(c, c.seq, 'the end at a closed window')
    c.reset()


def outside_the_window():
    """What lies outside of the window says nothing of the peer's own; and is answered, what is bare once in a while."""
    c = opened(ECHO)
    echoes(c)
    answered_rarely(c, 'an acknowledgement outside of the window', *[
        lambda offset=offset: c.send(ACK, seq=c.seq + offset) for offset in ((1 << 20), -1, -1000, -(1 << 30))])
    for flags, text in ((ACK, b'!'), (ACK, b'what?!')) * 3:     # the last bytes again: its answer was lost
        c.send(flags, text, seq=c.seq - len(text))
        c.expect(ACK, 'an answer to what came before', seq=c.ack, ack=c.seq)
    for _ in range(20):                 # it has answered not long ago
        c.send(ACK, seq=c.seq - 1)
        if got := c.next_answer(timeout=0.3):
            break
    check('an answer to who asks whether it is still there', got and got[:3], (ACK, c.ack, c.seq))
    c.finish()
    c = opened(PATTERN)
    c.send(ACK, b'200000\n')
    data = b''
    while len(data) < 200000:
        got = c.next_answer()
        if got and not got.data:            # to what is forged
            continue
        if not got or got.seq != c.ack or len(got.data) < 48:
            raise Wrong(f'{got} after {len(data)} bytes, as if a closed window were believed')
        if len(data) < 50000 <= len(data) + len(got.data):
            for text in b'', b'-' * 10:     # with another number than any that follows
                c.send(ACK, text, seq=c.seq + (1 << 20), ack=c.ack - 7, window=0)
        data += got.data
        c.ack = c.ack + len(got.data) & MASK
        c.send(ACK)
    check('the pattern', data == BYTES[:200000], True)
    c.finish()


def forged_life():
    """Of who is gone a stranger outside of the window cannot say that he is there (keepalive=4,1,2)."""
    c = opened(ECHO)
    echoes(c)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        c.send(ACK, seq=c.seq + (1 << 20))
        if (got := c.next(timeout=0.2)) and got.flags & RST:
            return
        time.sleep(0.1)
    raise Wrong('who is gone for 20 s is still there')


def own_window():
    """The machine's window closes, is probed, and opens once somebody reads."""
    with turn:
        close_window()


def opens_early(c):
    """A window that was closed is told of once there is room for a segment, not for four. What has come till then."""
    data, c.window = b'', 1460
    c.send(ACK)
    while True:
        got = c.next()
        before = c.ack - got.seq & MASK if got else 0  # of a probe, that was under way
        if not got or before > len(got.data):
            raise Wrong(f'behind {len(data)} bytes of the echo: {got}')
        if got.window:
            check('room for a segment, and not yet for four', 1460 <= got.window < 4 * 1460, True)
            return data
        data += got.data[before:]
        c.ack = c.ack + len(got.data) - before & MASK
        if got.data:
            c.send(ACK)


def close_window():
    c = opened(ECHO)
    c.window = 0
    c.send(ACK)
    stream, first = random.randbytes(1 << 20), c.seq

    def piece(size):
        at = c.seq - first & MASK
        if at + size > len(stream):
            raise Wrong('a megabyte that nobody reads')
        return stream[at:at + size]

    def fill(room):
        """Until it is closed, with an echo that nobody takes."""
        while room:
            for at in range(0, room, 1460):
                c.send(ACK, piece(min(1460, room - at)))
            got = acknowledged(c, c.seq, f'{room} bytes')
            while later := c.next(timeout=0.3):
                got = later
            if got.ack != c.seq:
                raise Wrong(f'{room} bytes, and {got}, not an ACK of all')
            room = got.window
    fill(1)
    for offset, size in (-1, 0), *((0, 1), (0, 1460), (0, 0)) * 2:    # the first once in a while only
        c.send(ACK, piece(size), seq=c.seq + offset)
        if size == 0 and offset == 0:   # it asks for nothing
            continue
        while (got := c.next()) and got.data:   # a probe of its own
            pass
        if not got or got.flags != ACK or got.ack - c.seq & MASK > (size if got.window else min(size, 1)):
            raise Wrong(f'the answer to a probe of a closed window: {got}, not an ACK of {c.seq}')   # a byte may be taken
        c.seq = got.ack
        fill(got.window)                # there was memory again, and somebody has read on
    back, sent = opens_early(c), stream[:c.seq - first & MASK]
    c.window = 65535
    c.send(ACK)
    check('the echo of what filled the window', back + c.read(len(sent) - len(back))[0] == sent, True)
    c.send(ACK)
    echoes(c, b'and more')
    c.finish()


SCENARIOS = [segment_sizes, windows, zero_window, small_segments, small_windows, one_byte_probed, late_segment_size,
             beyond_window, beyond_end, closed_window, outside_the_window, forged_life, own_window]
