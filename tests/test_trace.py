# SPDX-License-Identifier: BSD-2-Clause
"""The event trace: what the stress tests leave is checked by tests/lib/tracecheck.py, which tells the rules.

Each program is run in several ways:

    trace.stress  8 harts, as the stress suite boots it; the rules that need no clock. All programs of that suite
    trace.host    4 harts, each a thread of the host: real races; the same rules, and longer
    trace.slices  1 hart, time is a count of instructions: all rules, and a machine is never too slow for them
    trace.idle    4 harts that share one such time in turns of 100 us, the length of a slice: a hart that sleeps
                  for 1 ms beside work has had its turns. Not with OpenSBI: its harts spin for each other
    trace.wake    2 harts with turns of 10 ms, in which a preemption hides no wake-up that was left out

A run in which a rule had nothing to judge fails, too, if it is one of those that the program is here for.
trace.checker tries the checker on traces made by hand, trace.torn the reader; trace.exported looks at the file for
Perfetto, and trace.schedtrace at what GUMPDEBUG=schedtrace prints.
"""
import collections
import functools
import json
import os
import re
import tempfile

from lib import machine, tracecheck, tracemade
from lib.machine import ARCH, MACHINES, TREE, Failure
from lib.network import UserNet, run_client
from lib.programs import HostTest, lines, sources

ECHO_PORTS = 7, 9, 11, 19
ICOUNT = ['--qemu-arg', '-icount', '--qemu-arg', 'shift=0,sleep=off']

# Not all of these: the rest is long loops without an event.
PREEMPT = ['turns', 'loops_are_stopped', 'inside_the_library', 'pair_does_not_starve_others']
PROCS = ['maxprocs_under_load']
HARTLOCK = ['lock_hart', 'exit_while_locked']
BLOCK = ['many_short_sections']
CONSERVATION = ['-by_yield', '-by_preemption']  # which put one into a queue behind the scheduler's back

# name, in which runs beside `stress`, what it must be judged by beside `state` and `turn`, and what is special about it
PROGRAMS = [
    ('chan', 'host slices idle', 'order', {}),
    ('select', 'host slices', 'order', {}),
    ('select_stress', 'host slices idle wake', 'order', {}),
    ('sync', 'host slices idle wake', 'order', {}),
    ('mutex', 'host slices idle', 'order', {}),
    ('chains', 'host slices idle wake', 'order', {}),
    ('goroutines', 'host slices', '', {'mem': '512M'}),
    ('timers', 'host slices idle wake', '', {}),
    ('net', 'host slices idle wake', '', {}),
    ('wakeups', 'host slices idle wake', 'order', {}),
    ('heap_stress', 'host slices idle', '', {'args': ['across_harts'], 'mem': '128M'}),
    # These have opinions about time: not beside other tests of a busy host.
    ('sleep', 'slices idle wake', '', {}),
    ('parallel', 'slices idle', '', {}),
    ('preempt', 'slices idle', '', {'args': PREEMPT}),
    ('procs', 'slices idle', '', {'args': PROCS}),
    ('hartlock', 'slices idle', '', {'args': HARTLOCK}),
    ('block', 'slices idle', '', {'args': BLOCK}),
    ('conservation', 'idle', '', {'args': CONSERVATION, 'env': ['PART=4']}),
    ('reclaim', 'idle', '', {'args': ['storm']}),
]


class Traced:
    """A machine's RAM in a file, and the trace in it."""

    def __init__(self, events=None, mem='256M', machine_name=''):
        self.file = tempfile.NamedTemporaryFile(dir=os.path.join(TREE, 'build'), prefix='ram.')
        machine.undo.add(self.__exit__)
        self.mem, self.env = mem, [f'GUMPDEBUG=trace={events}'] if events else []
        self.options = ['--qemu-arg', '-object', '--qemu-arg',
                        f'memory-backend-file,id=ram,mem-path={self.file.name},share=on,size={mem}',
                        '--qemu-arg', '-machine', '--qemu-arg', 'memory-backend=ram']

        if machine_name == 'hosted':
            self.options = []
            self.env.append('GUMP_MEMORY=' + self.file.name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        machine.undo.discard(self.__exit__)
        self.file.close()

    def check(self, boot, image, rules, timed=(), failure=''):
        """Fails for what the trace shows, too, when the program itself has failed."""
        verdict = tracecheck.check(tracecheck.t.Trace(image, self.file.name), timed)
        boot.text += f'trace: {verdict}\n'
        if verdict.wrong:
            found = collections.Counter(rule for rule, _ in verdict.wrong)
            some = '; '.join(f'({rule}) {text}' for rule, text in verdict.wrong[:5])
            raise Failure(f'{failure}the trace breaks {dict(found)}: {some}')
        if failure:
            raise Failure(f'{failure}the trace is right')
        for rule in rules:
            if not verdict.judged[rule]:
                raise Failure(f'the trace has nothing for the rule `{rule}` to judge: {verdict}')


def ended(boot):
    """Why the program has failed, or ''."""
    try:
        status = boot.wait()
        return f'exit status {status}; ' if status != 0 else ''
    except Failure as failure:
        return f'{failure}; '


def traced(test, name, rules, special, timed=(), options=(), env=(), events=32768):
    image = machine.image_path(name, ARCH[test.machine_name])
    mem = special.get('mem', '256M')
    with Traced(events, mem, test.machine_name) as trace:
        with test.boot(image, env=trace.env + list(env) + special.get('env', []), mem=mem, args=special.get('args', ()),
                       options=trace.options + list(options), timeout=90) as boot:
            failure = ended(boot)
        trace.check(boot, image, ['state', 'turn', *rules.split()], timed, failure)


def stressed(test, name, line, rules):
    special = {'args': line.list('args'), 'mem': line.keys.get('mem', '256M')}
    traced(test, name, rules, special, env=line.list('env'))


def host(test, name, rules, special):
    traced(test, name, rules, special)


def slices(test, name, rules, special):
    traced(test, name, rules + ' slice', special, ['slice', 'idle'], ICOUNT, events=131072)


def idle(test, name, rules, special):
    traced(test, name, rules + ' idle', special, ['idle'], ICOUNT, ['QUANTUM_US=100'], 131072)


def wake(test, name, rules, special):
    traced(test, name, rules + ' wake', special, ['wake'], ICOUNT, events=262144)


def served(test):
    """The network, with clients that this host runs."""
    image = machine.image_path('ports', ARCH[test.machine_name])
    with Traced(65536) as trace, UserNet(ECHO_PORTS) as net:
        with test.boot(image, net=net.net, publish=net.publish, env=trace.env, options=trace.options,
                       timeout=90) as boot:
            boot.wait_for('listening')
            for scenario in 'first', 'many', 'resets', 'bulk':
                run_client(net, 'client.py', scenario, str(net.most), *map(net.address, ECHO_PORTS))
        trace.check(boot, image, ['state', 'turn'])


def called(test):
    """tests/traces.c starts the trace itself: what it has is of the last time, and nothing is missing."""
    image = machine.image_path('traces', ARCH[test.machine_name])
    with Traced(machine_name=test.machine_name) as trace:
        with test.boot(image, mem=trace.mem, env=trace.env, options=trace.options) as boot:
            failure = ended(boot)
        trace.check(boot, image, ['state'], failure=failure)
        seen = tracecheck.t.Trace(image, trace.file.name)
    names = collections.Counter(seen.programs[e.a, e.b] for e in seen.events if e.kind == tracecheck.t.CREATE)
    if names != {'in_the_second': 20} or seen.lost:
        raise Failure(f'the trace has {dict(names)}, and has lost {seen.lost} events')


def self_check(test):
    for what, trace in tracemade.RIGHT.items():
        if wrong := tracecheck.check(trace, ['slice', 'idle', 'wake']).wrong:
            raise Failure(f'a right trace is refused ({what}): {wrong}')
    for what, (rule, trace) in tracemade.WRONG.items():
        timed = ['slice', 'wake' if rule == 'wake' else 'idle']  # the one is part of the other
        if {rule} != (found := {rule for rule, _ in tracecheck.check(trace, timed).wrong}):
            raise Failure(f'{what}: the rule `{rule}` should notice, but it was {found or "none"}')
    verdict = str(tracecheck.check(tracemade.RIGHT['waiters from before']))
    for said in '9 older ones are lost', 'order not judged: 2', 'slice not judged: 1':
        if said in verdict:
            continue
        raise Failure(f'it does not say what it could not judge: {verdict}')


class RingAlone:
    """Memory that holds one ring of records, after `count` were written; the end came amid the next."""

    def __init__(self, capacity, count):
        t = tracecheck.t
        records = [bytes(t.RECORD.size)] * capacity
        for i in range(count):
            records[i % capacity] = t.RECORD.pack(i + 1, 0, 0, 0, 0, 0, 0)
        records[count % capacity] = t.RECORD.pack(1 << 60, -1, 0, 0, 0, 0, 0)[:20] + records[count % capacity][20:]
        self.bytes = t.RING.pack(t.RING.size, count, 0) + b''.join(records)

    def read(self, address, length):
        return self.bytes[address:address + length]


def torn(_):
    """A ring is read in order, without the record that was being written; that and what gave way is lost."""
    trace = object.__new__(tracecheck.t.Trace)
    trace.first = 0
    for capacity in 4, 8:
        for count in range(3 * capacity):
            ring, lost = trace.read_ring(RingAlone(capacity, count), 0, capacity)
            first = max(0, count - capacity + 1)
            if ([record[0] for record in ring], lost) != (list(range(first + 1, count + 1)), first):
                raise Failure(f'{count} records in a ring of {capacity}: read {ring}, and {lost} lost')


def check_row(events, row):
    """As Perfetto reads it: slices of a row follow one another, and what belongs to one lies in it."""
    current = None
    for e in events:
        if e['ph'] == 'M' or e['tid'] != row:
            continue
        if e['ts'] < 0 or (current and e['ts'] < current['ts']):
            raise Failure(f'{e} is out of order')
        if e['ph'] == 'X':
            if current and abs(current['ts'] + current['dur'] - e['ts']) > 0.001:
                raise Failure(f'{current} is not followed by {e}')
            current = e
        elif not current or e['ts'] > current['ts'] + current['dur'] + 0.001:
            raise Failure(f'{e} is not in {current}')
        elif e['ph'] == 'f' and e['ts'] != current['ts']:
            raise Failure(f'{e} is not at the beginning of {current}')


def export(test, program, args):
    """The events of qemu/run --trace."""
    with tempfile.NamedTemporaryFile(dir=os.path.join(TREE, 'build'), suffix='.json') as out:
        image = machine.image_path(program, ARCH[test.machine_name])
        with test.boot(image, options=['--trace', out.name], args=args) as boot:
            if (status := boot.wait()) != 0:
                raise Failure(f'exit status {status}')
        with open(out.name, encoding='utf-8') as file:
            return json.load(file)['traceEvents']


def check_arrows(events, least):
    """So many have been created or woken; no arrow goes back in time."""
    begun = {e['id']: e['ts'] for e in events if e['ph'] == 's'}
    ends = [e for e in events if e['ph'] == 'f']
    if len(ends) < least or any(e['id'] not in begun or e['ts'] < begun[e['id']] - 10 for e in ends):
        raise Failure(f'{len(ends)} arrows from a waker to the wakened, of {len(begun)}')


def exported(test):
    """A file as Perfetto reads it, with a row a hart, slices and arrows."""
    events = export(test, 'hello', [])
    names = {e['name'].split(' #')[0] for e in events if e['ph'] == 'X'}
    rows = {e['tid'] for e in events if e['ph'] == 'M' and e['name'] == 'thread_name'}
    wanted = {'main', 'greet', 'scheduler'}
    if test.machine_name != 'hosted':  # where the second thread may come when all is over
        wanted.add('idle')
    if rows != set(range(test.harts)) or not wanted <= names:
        raise Failure(f'rows {rows}, slices {names}')
    for row in rows:
        check_row(events, row)
    check_arrows(events, 5)  # main and the four that greet; who waits for whom is a matter of luck
    check_arrows(export(test, 'idle', ['0']), 2)  # main, which sleeps



# Go's lines, of GODEBUG=schedtrace=N and with scheddetail=1.
SCHED = (r'SCHED \d+ms: gomaxprocs=2 idleprocs=\d threads=2 spinningthreads=\d needspinning=0 idlethreads=\d '
         r'runqueue=\d+')
PLAIN = {'SCHED': SCHED + r' \[( \d+){2} \] schedticks=\[( \d+){2} \]'}
NUMBER = r'(\d+|nil)'
DETAIL = {
    'SCHED': SCHED + r' gcwaiting=(false|true) nmidlelocked=\d stopwait=\d sysmonwait=false',
    '  P': rf'  P[01]: status=[0-4] schedtick=\d+ syscalltick=0 m={NUMBER} runqsize=\d+ gfreecnt=\d+ '
           r'timerslen=\d+',
    '  M': rf'  M[01]: p={NUMBER} curg={NUMBER} mallocing=0 throwing=0 preemptoff= locks=\d+ dying=0 '
           rf'spinning=(false|true) blocked=(false|true) lockedg={NUMBER}',
    '  G': rf'  G\d+: status=([129]\(\)|4\([a-z ]+\)) m={NUMBER} lockedm={NUMBER}  goroutine \d+ .*, ran \d+ us, stack \d+ KiB',
}


def schedtrace(test, words, lines, program='select_stress', args=()):
    image = machine.image_path(program, ARCH[test.machine_name])
    period = 2 if test.machine_name == 'hosted' else 20
    with test.boot(image, args=args, env=[f'GUMPDEBUG=schedtrace={period}{words}'], timeout=60) as boot:
        if (status := boot.wait()) != 0:
            raise Failure(f'exit status {status}')
    whole = boot.text.split('\n')[:-1]  # the machine may end amid the last one
    for start, line in lines.items():
        found = [text for text in whole if text.startswith(start)]
        wrong = [text for text in found if not re.fullmatch(line, text)]
        if len(found) < 3 or wrong:
            raise Failure(f'of {len(found)} lines `{start}` these are not as Go has them: {wrong[:3]}')


def stress_suite():
    rules = {name: rules for name, _, rules, _ in PROGRAMS}
    for i, (source, line) in enumerate((source, line) for source, _ in sources() for line in lines(source, '@stress')):
        name = os.path.basename(source)[:-2]
        function = functools.partial(stressed, name=name, line=line, rules=rules.get(name, ''))
        yield HostTest(f'trace.stress.{name}', function, 'q35' if i % 2 else 'virt', 8)


def tests():
    found = [HostTest('trace.checker', self_check), HostTest('trace.torn', torn)]
    found += [HostTest('trace.exported', exported, name, 2) for name in (*MACHINES, 'hosted')]
    for i, (name, runs, rules, special) in enumerate(PROGRAMS):
        for run, one, harts in ('host', host, 4), ('slices', slices, 1), ('idle', idle, 4), ('wake', wake, 2):
            if run in runs.split():
                where = 'q35' if run in ('idle', 'wake') or (i + (run == 'host')) % 2 else 'virt'
                function = functools.partial(one, name=name, rules=rules, special=special)
                found.append(HostTest(f'trace.{run}.{name}', function, where, harts))
    found += stress_suite()
    for name, runs, rules, special in PROGRAMS:
        if 'host' in runs.split() and name not in ('net', 'heap_stress'):  # which are not for hosted
            function = functools.partial(host, name=name, rules=rules, special=special)
            found.append(HostTest(f'trace.host.{name}', function, 'hosted', 4))
    for words, lines in ('', PLAIN), (',detail', DETAIL):
        function = functools.partial(schedtrace, words=words, lines=lines)
        name = 'trace.schedtrace' + words.replace(',', '.')
        found += [HostTest(name, function, machine_name, 2) for machine_name in ('virt', 'q35', 'hosted')]
    function = functools.partial(schedtrace, words=',detail', lines=DETAIL, program='hartlock', args=['lock_hart'])
    found.append(HostTest('trace.schedtrace.locked', function, 'hosted', 2))
    found += [HostTest('trace.called', called, name, n) for name in ('virt', 'q35', 'hosted') for n in (1, 4)]
    return found + [HostTest('trace.host.served', served, name, 4) for name in ('virt', 'q35')]
