#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Drives examples/http.c beyond what curl does: http.py HOST:PORT MOST [limits]

Keep-alive, pipelining, requests in pieces, requests that are wrong, metrics; or its limits, which are IDLE=2, HEADER=1
and REQUESTS=300 then. Ends with a message and status 1 when an answer is not as it should be.
"""
import socket
import sys
import time

import metrics
from together import together

WAIT = 20
ADDRESS, MOST = sys.argv[1], int(sys.argv[2])


class Connection:
    def __init__(self):
        host, port = ADDRESS.rsplit(':', 1)
        self.socket = socket.create_connection((host, int(port)), timeout=WAIT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data = b''

    def send(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else text.encode())

    def more(self):
        piece = self.socket.recv(65536)
        self.data += piece
        return piece

    def answer(self, head=False):
        """(status, headers, body) of the next answer; None at the end of the connection."""
        while b'\r\n\r\n' not in self.data:
            if not self.more():
                if self.data:
                    sys.exit(f'half an answer: {self.data!r}')
                return None
        top, self.data = self.data.split(b'\r\n\r\n', 1)
        lines = top.decode().split('\r\n')
        headers = dict(line.lower().split(': ', 1) for line in lines[1:])
        length = 0 if head else int(headers['content-length'])
        while len(self.data) < length:
            if not self.more():
                sys.exit(f'{len(self.data)} of {length} bytes of a body')
        body, self.data = self.data[:length], self.data[length:]
        return int(lines[0].split()[1]), headers, body

    def ends(self):
        """The peer has closed, with nothing left over."""
        try:
            while self.more():
                pass
        except ConnectionResetError:
            pass
        return not self.data


def expect(what, got, want):
    if got != want:
        sys.exit(f'{what}: {got!r}, not {want!r}')


def get(path='/', version='1.1', more=''):
    return f'GET {path} HTTP/{version}\r\nHost: {ADDRESS}\r\n{more}\r\n'


def keep_alive():
    c = Connection()
    for i in range(50):
        c.send(get(f'/{i}'))
        expect('keep-alive', c.answer()[0], 200)
    c.send(get(more='Connection: close\r\n'))
    expect('the last request', c.answer()[0], 200)
    expect('after Connection: close, an end', c.ends(), True)


def version_1_0():
    c = Connection()
    c.send(get(version='1.0'))
    expect('HTTP/1.0', c.answer()[0], 200)
    expect('after HTTP/1.0, an end', c.ends(), True)


def pipelined():
    c = Connection()
    c.send(''.join(get(f'/{i}') for i in range(100)))
    for i in range(100):
        answer = c.answer()
        expect(f'pipelined request {i}', answer and answer[0], 200)


def in_pieces():
    c = Connection()
    for byte in get('/in/pieces'):
        c.send(byte)
    expect('a request in pieces', c.answer()[0], 200)
    c.send(get('/two')[:20])
    c.send(get('/two')[20:] + get('/three'))
    expect('the first of two', c.answer()[0], 200)
    expect('the second of two', c.answer()[0], 200)


def bodies():
    """A body is read before the connection ends, and what comes behind a refusal for a while: no reset takes the answer away."""
    body = b'x' * 1000000
    for version, more, status in (('1.1', 'Connection: close', 200), ('1.0', 'Accept: */*', 200), ('1.1', 'No colon', 400),
                                  ('1.1', 'Transfer-Encoding: chunked', 501)):
        c = Connection()
        c.send(f'POST / HTTP/{version}\r\nHost: x\r\n{more}\r\nContent-Length: {len(body)}\r\n\r\n'.encode() + body)
        expect(f'a body, HTTP/{version}, {more}', c.answer()[0], status)
        expect('after it, an end', c.more(), b'')
    c = Connection()
    c.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n' + 'x' * 50 + get())
    expect('a body', c.answer()[0], 200)
    expect('behind a body', c.answer()[0], 200)


def options():
    """Whether a connection stays is what any of its options says, and close counts most."""
    for version, lines, stays in (('1.1', ['TE, close'], False), ('1.1', ['close', 'keep-alive'], False),
                                  ('1.1', ['keep-alive,\tClose ,'], False), ('1.1', ['closed'], True), ('1.1', ['TE'], True),
                                  ('1.0', ['TE, Keep-Alive'], True), ('1.0', ['TE'], False),
                                  ('1.0', ['keep-alive', 'close'], False)):
        c = Connection()
        c.send(get(version=version, more=''.join(f'Connection: {line}\r\n' for line in lines)))
        said = c.answer()[1].get('connection')
        expect(f'{version} {lines}', said, 'close' if not stays else 'keep-alive' if version == '1.0' else None)
        if stays:
            c.send(get())
            expect(f'{version} {lines}, and another', c.answer()[0], 200)
        else:
            expect(f'{version} {lines}, an end', c.ends(), True)


def forms():
    """As to a proxy, and behind the empty line that some send after a body."""
    c = Connection()
    for form, metric in (f'http://{ADDRESS}/metrics', True), ('HTTP://a/metrics', True), ('http://a', False):
        c.send('\r\n' + get(form))
        status, _, body = c.answer()
        expect(form, (status, b'gump_uptime_seconds' in body), (200, metric))


def half_closed():
    c = Connection()
    c.send(get())
    c.socket.shutdown(socket.SHUT_WR)
    expect('half-closed', c.answer()[0], 200)
    expect('half-closed, an end', c.ends(), True)


def bad_requests():
    for text in ('nonsense\r\n\r\n', 'GET\r\n\r\n', 'GET / HTTP/1.1 extra\r\n\r\n',
                 'GET / HTTX/1.1\r\n\r\n', '\0\1\2\3\r\n\r\n', ' / HTTP/1.1\r\n\r\n',
                 'GET / HTTP/1.1\r\nno colon here\r\n\r\n',
                 'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n',
                 'GET / HTTP/1.1\r\nHost: a\nContent-Length: 5\r\n\r\n', 'GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n',
                 'GET /a\nb HTTP/1.1\r\nHost: a\r\n\r\n', 'GET / HTTP/1.1\r\nHost: a\r\r\n\r\n',
                 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 'GET / HTTP/1.x\r\nHost: a\r\n\r\n', '\r\n\r\n',
                 'GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\x0b: chunked\r\n\r\n',
                 'GET / HTTP/1.1\r\nHost: a\r\nContent-Length\x0c: 5\r\n\r\n', 'TRACE / HTTP/1.1\r\nHost: a\r\n\r\n',
                 'CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n',
                 'GET /' + 'x' * 100000 + ' HTTP/1.1\r\n\r\n',
                 'GET / HTTP/1.1\r\n' + 'A: b\r\n' * 20000 + '\r\n'):
        c = Connection()
        c.send(text)
        answer = c.answer()
        status = answer and answer[0]
        if status not in (400, 414, 431, 501, 505):
            sys.exit(f'{text[:40]!r} got {status}')
        expect('after a bad request, an end', c.ends(), True)


def goes_away():
    for text in '', 'GET', 'GET / HTTP/1.1\r\nHo', get():
        c = Connection()
        c.send(text)
        c.socket.close()


def at_once():
    """Some connections, each with many requests."""
    def one():
        for _ in range(200 // MOST):
            c = Connection()
            for _ in range(3):
                c.send(get('/at/once'))
                expect('one of many', c.answer()[0], 200)
            c.socket.close()
    expect('connections at once', together(*[one] * MOST)[:3], [])


def scrape():
    c = Connection()
    c.send(get('/metrics', more='Connection: close\r\n'))
    status, headers, body = c.answer()
    expect('/metrics', (status, headers['content-type']), (200, 'text/plain'))
    expect('after /metrics, an end', c.ends(), True)
    try:
        return metrics.parse(body.decode())
    except metrics.Wrong as wrong:
        sys.exit(f'/metrics: {wrong}')


def settled(count):
    """Metrics when so many connections are left, this one, and a goroutine for each beside main; a client may know of an end
    before its server has ended."""
    for scrapes in range(1, 51):
        now, kinds = scrape()
        if (now['gump_connections'], now['gump_goroutines']) == (count + 1, count + 2):
            return now, kinds, scrapes
        time.sleep(0.1)
    sys.exit(f'{now["gump_goroutines"]} goroutines and {now["gump_connections"]} connections, with {count} beside this one')


def tells():
    """Metrics are as the format asks for, and true."""
    before, kinds, _ = settled(0)
    open_now = [Connection() for _ in range(5)]
    for c in open_now:
        c.send(get())
        expect('one of some', c.answer()[0], 200)
    after, _, scrapes = settled(5)
    expect('metrics', set(after), set(before))
    for what, by in (('gump_connections', 5), ('gump_goroutines', 5), ('gump_accepted_total', 5 + scrapes),
                     ('http_answers_total', 5 + scrapes)):
        expect(what, after[what] - before[what], by)
    for name, kind in kinds.items():
        old, new = (v if isinstance(v, dict) else {None: v} for v in (before[name], after[name]))
        if kind == 'counter' and not all(new[label] >= old[label] for label in old):
            sys.exit(f'{name} went from {old} to {new}')
    for now in before, after:
        harts = [f'p="{p}"' for p in range(int(now['gump_harts']))]
        for name in 'gump_run_queue', 'gump_steals_total', 'gump_preemptions_total':
            expect(name, sorted(now[name]), sorted(harts))
        expect('memory', sum(now['gump_memory_bytes'].values()), now['gump_memory_total_bytes'])
        if not 1 <= now['gump_procs'] <= len(harts) or now['gump_idle_procs'] >= now['gump_procs']:
            sys.exit(f'{now["gump_idle_procs"]} idle of {now["gump_procs"]} Ps while one answers')
        if now['gump_network_memory_bytes'] > now['gump_network_memory_max_bytes']:
            sys.exit('more memory than the network may have')
    expect('connections turned away', after['gump_turned_away_total'], 0)
    for c in open_now:
        c.socket.close()
    end = time.monotonic() + WAIT
    while (left := scrape()[0]['gump_connections']) > 1:
        if time.monotonic() > end:
            sys.exit(f'{left} connections are still open')
        time.sleep(0.05)


def limits():
    """IDLE=2 HEADER=1 REQUESTS=300, all at once, as they take their time."""
    def many():
        c = Connection()
        c.send(''.join(get() for _ in range(400)))
        answers = [c.answer() for _ in range(300)]
        expect('300 of 400 requests', [answer[0] for answer in answers], [200] * 300)
        expect('the last says so', ['connection' in answer[1] for answer in answers], [False] * 299 + [True])
        expect('after 300, an end', c.more(), b'')

    def slow_header(before, pause):
        c = Connection()
        for _ in range(before):
            c.send(get())
            expect('before a slow one', c.answer()[0], 200)
        start, text = time.monotonic(), get()
        for byte in text[:-4] + 'A: b\r\n' * 100:
            try:
                c.send(byte)
            except OSError:
                break
            c.socket.settimeout(pause)
            try:
                if not c.more() or b'\r\n\r\n' in c.data:
                    break
            except TimeoutError:
                pass
            except ConnectionResetError:
                break
        took = time.monotonic() - start
        if not c.data.startswith(b'HTTP/1.1 408 ') or not 0.9 < took < 3.2:
            sys.exit(f'a slow header, after {took:.1f} s: {c.data!r}')

    def slow_taker():
        """Takes what it asked for at once in longer than one answer may take."""
        c = Connection()
        c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        c.send(get('/metrics'))
        c.answer()
        asked, start = 280, time.monotonic()
        c.send('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n' * asked)
        for number in range(asked):
            expect(f'answer {number} of those that are taken slowly', c.answer()[0], 200)
            time.sleep(max(0, start + 5 * number / asked - time.monotonic()))

    def silent(text):
        start = time.monotonic()
        c = Connection()
        c.send(text)
        if text:
            expect('before silence', c.answer()[0], 200)
        expect('silence', (c.ends(), c.data), (True, b''))
        if not 1.8 < (took := time.monotonic() - start) < 8:
            sys.exit(f'silence ended after {took:.1f} s')

    def half_a_body():
        c = Connection()
        c.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n' + 'x' * 10)
        expect('before its body', c.answer()[0], 200)
        expect('half a body', c.ends(), True)
    if failures := together(many, (slow_header, 0, 0.1), (slow_header, 2, 0.1), (slow_header, 0, 0.8), slow_taker,
                            (silent, ''), (silent, get()), half_a_body):
        sys.exit('\n'.join(failures))


for scenario in [limits] if 'limits' in sys.argv else [keep_alive, version_1_0, pipelined, in_pieces, bodies, options, forms,
                                                       half_closed, tells, bad_requests, goes_away, at_once, keep_alive]:
    try:
        scenario()
    except (OSError, TypeError, KeyError, ValueError) as error:
        sys.exit(f'{scenario.__name__}: {error!r}')
