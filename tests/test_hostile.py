# SPDX-License-Identifier: BSD-2-Clause
"""Peers that do as they like, over a tap device, segment by segment: tests/lib/hostile.py plays those that come (tests/lib/scenarios),
tests/lib/dialled.py one that is dialled. And networks that lose, double, delay and reorder what is sent: transfers end,
and their bytes are right."""
import errno
import os

from lib import machine
from lib.machine import ARCH, Failure
from lib.network import BadTap, Tap, Veth, run_client, usable
from lib.programs import HostTest


def boot(test, net, name, *args, env=(), **more):
    image = machine.image_path(name, ARCH[test.machine_name])
    return test.boot(image, net=net.net, env=[*net.env, *env], args=args, timeout=120, prefix=net.prefix, **more)


def segments(test):
    with Tap([7]) as net, boot(test, net, 'ports', 'peer', env=['keepalive=4,1,2']) as run:
        run.wait_for('listening')
        test.output = run_client(net, 'hostile.py', 'tap0', timeout=110)


def dies(test):
    """Who is gone without a word has not let a deadline pass: hosted, too."""
    with (Veth if test.machine_name == 'hosted' else Tap)([14]) as net, \
            boot(test, net, 'ports', 'peer', env=['keepalive=1,1,2']) as run:
        run.wait_for('listening')
        run_client(net, 'hostile.py', 'tap0', 'dies')
        run.wait_for('ended: ' + os.strerror(errno.ECONNABORTED))


def backlog(test):
    with Tap([7]) as net, boot(test, net, 'ports', 'peer', env=['backlog=4,100']) as run:
        run.wait_for('listening')
        run_client(net, 'hostile.py', 'tap0', 'small_backlog')


# Each scenario of tests/lib/scenarios/limits.py and the options that it is about. Those of a group have a machine.
LIMITS = {
    'stalled': ('stalled slow', ['stalled=4,2']),
    'times': ('handshake finwait pieces timewait', ['handshake=2', 'finwait=2', 'fragments=2,2,60', 'timewait=3,2']),
    'sizes': ('window ahead datagrams netmemory', ['windows=16,16', 'ahead=1,2', 'datagrams=6,4', 'netmemory=25']),
    'half_closed': ('half_closed', ['keepalive=1,1,2']),
    'silent': ('silent', ['keepalive=600,15,8']),
}


def limits(test, what):
    scenarios, env = LIMITS[what]
    with Tap([7]) as net, boot(test, net, 'ports', 'peer', env=env, mem='64M') as run:
        run.wait_for('listening')
        run_client(net, 'hostile.py', 'tap0', *scenarios.split(), timeout=110)


WAITS = 'stalled', 'times', 'half_closed', 'silent'  # for time-outs, most of the time

# What is no value of an option, and what the console says that it might be.
REFUSED = {
    'handshake=0': 'SECONDS, from 1 to 3600',
    'stalled=900': 'SECONDS,CLOSED, from 1 to 86400, from 1 to 86400',
    'finwait=x': 'SECONDS, from 1 to 3600',
    'timewait=60,32768,1': 'SECONDS,NUMBER, from 1 to 240, from 1 to 131072',
    'windows=128,8': 'SENT,RECEIVED, from 16 to 128, from 16 to 128',
    'ahead=-1,64': 'KIB,SEGMENTS, from 1 to 128, from 1 to 1024',
    'fragments=64,15,256': 'NUMBER,SECONDS,SECONDS6, from 2 to 4096, from 1 to 255, from 1 to 255',
    'datagrams=,256': 'NUMBER,KIB, from 1 to 65535, from 1 to 65536',
    'netmemory=50%': 'PERCENT, from 5 to 75',
    'keepalive=60,15': 'IDLE,INTERVAL,COUNT in seconds',
    'backlog=0,1': 'HALF_OPEN,WAITING, from 1 to 65535',
}


def refused(test):
    """A bad value of an option is told of, and what is not set by it is as it would be."""
    with Tap([7]) as net, boot(test, net, 'ports', 'peer', env=REFUSED) as run:
        run.wait_for('listening')
        for option, form in REFUSED.items():
            run.wait_for(f'net: {option} is not {form}; ignored')
        run_client(net, 'hostile.py', 'tap0', 'handshake_options', 'half_open', 'time_wait', 'out_of_order', 'fragments')


def little_memory(test, what):
    with Tap([7]) as net, boot(test, net, 'ports', 'peer', mem='24M') as run:
        run.wait_for('listening')
        run_client(net, 'hostile.py', 'tap0', what, timeout=110)


def dial(test):
    with Tap([80]) as net, boot(test, net, 'proxy', ':80', '10.77.0.9:99') as run:
        run.wait_for('proxy: :80')
        run_client(net, 'dialled.py', 'tap0', timeout=110)
        for error in 'refused', 'timed out':
            run.wait_for(f'proxy: 10.77.0.9:99: Connection {error}')


BAD = {
    'loss': (['loss=0.02'], 300000),
    'delay': (['delay=20', 'jitter=5'], 1500000),
    'reorder': (['delay=5', 'reorder=0.1', 'double=0.02'], 600000),
    'all': (['loss=0.03', 'delay=5', 'jitter=10', 'reorder=0.05', 'double=0.02'], 150000),
}


def bad_network(test, what):
    how, size = BAD[what]
    with BadTap([7], *how) as net:
        with boot(test, net, 'ports') as run:
            run.wait_for('listening')
            run_client(net, 'transfer.py', '10.77.0.2', str(size), '2', timeout=110)
        passed, lost = net.stop()
    if passed < 6 * size / 1500 or (lost == 0) == ('loss' in how[0]):
        raise Failure(f'{passed} frames passed and {lost} lost is not {how}')


# On which machine; KiB of stack and heap for each connection, the machine's memory, how many come, and are served at least.
CROWDS = {'stacks': ('q35', '24', '0', '24M', 1200, 200), 'heap': ('virt', '2', '24', '24M', 1200, 200)}


def crowded(test, what):
    _, stack, heap, mem, count, least = CROWDS[what]
    image = machine.image_path('crowded', ARCH[test.machine_name])
    with Tap([7]) as net, test.boot(image, net=net.net, env=net.env, args=[stack, heap], mem=mem, timeout=150,
                                    prefix=net.prefix) as run:
        run.wait_for('listening')
        test.output = run_client(net, 'crowded.py', str(count), str(least), timeout=140)


def shortage(test):
    with Tap([7]) as net, boot(test, net, 'shortage', mem='24M') as run:
        run.wait_for('listening')
        run_client(net, 'shortage.py', 'tap0', timeout=60)


def tests():
    if not usable(Tap):
        print('skipped: the tests with hostile peers need root')
        return []
    found = []
    for name in 'virt', 'q35', 'hosted':
        found.append(HostTest('hostile.dies', dies, name, 4, waits=True))
        found[-1].source = 'tests/ports.c'
    for name, harts in ('virt', 4), ('q35', 4):
        for function, source in (segments, 'tests/ports.c'), (backlog, 'tests/ports.c'), (dial, 'examples/proxy.c'), \
                (shortage, 'tests/shortage.c'):
            test = HostTest(f'hostile.{function.__name__}', function, name, harts, waits=function is not backlog)
            test.source = source
            found.append(test)
        for what in 'gaps', 'made_up_neighbours':
            test = HostTest(f'hostile.{what}', lambda test, what=what: little_memory(test, what), name, harts)
            test.source = 'tests/ports.c'
            found.append(test)
        found.append(HostTest('hostile.limits.refused', refused, name, harts))
        found[-1].source = 'tests/ports.c'
        for what in LIMITS:
            test = HostTest(f'hostile.limits.{what}', lambda test, what=what: limits(test, what), name, harts,
                            waits=what in WAITS)
            test.source = 'tests/ports.c'
            found.append(test)
        for what in (what for what, crowd in CROWDS.items() if crowd[0] == name):
            test = HostTest(f'hostile.crowded.{what}', lambda test, what=what: crowded(test, what), name, harts)
            test.source = 'tests/crowded.c'
            found.append(test)
        for what in BAD:
            test = HostTest(f'hostile.network.{what}', lambda test, what=what: bad_network(test, what), name, harts)
            test.source = 'tests/ports.c'
            found.append(test)
    return found
