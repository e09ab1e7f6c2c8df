# SPDX-License-Identifier: BSD-2-Clause
"""Peers that do as they like, over a tap device: tests/lib/hostile.py plays them, segment by segment. And networks that
lose, double, delay and reorder what is sent: transfers end, and their bytes are right."""
from lib import machine
from lib.machine import ARCH, Failure
from lib.network import BadTap, Tap, run_client, usable
from lib.programs import HostTest


def boot(test, net, name, *args, env=()):
    image = machine.image_path(name, ARCH[test.machine_name])
    return test.boot(image, net=net.net, env=[*net.env, *env], args=args, timeout=120, prefix=net.prefix)


def segments(test):
    with Tap([7]) as net, boot(test, net, 'ports', 'peer', env=['keepalive=4,1,2']) as run:
        run.wait_for('listening')
        test.output = run_client(net, 'hostile.py', 'tap0', timeout=110)


def dial(test):
    with Tap([80]) as net, boot(test, net, 'proxy', ':80', '10.77.0.9:99') as run:
        run.wait_for('proxy: :80')
        run_client(net, 'hostile.py', 'tap0', 'dial')
        run.wait_for('proxy: 10.77.0.9:99: Connection refused')


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


def tests():
    if not usable(Tap):
        print('skipped: the tests with hostile peers need root')
        return []
    found = []
    for name, harts in ('virt', 4), ('q35', 4):
        for function, source in (segments, 'tests/ports.c'), (dial, 'examples/proxy.c'):
            test = HostTest(f'hostile.{function.__name__}', function, name, harts)
            test.source = source
            found.append(test)
        for what in BAD:
            test = HostTest(f'hostile.network.{what}', lambda test, what=what: bad_network(test, what), name, harts)
            test.source = 'tests/ports.c'
            found.append(test)
    return found
