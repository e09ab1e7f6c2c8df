# SPDX-License-Identifier: BSD-2-Clause
"""Peers that do as they like, over a tap device: tests/lib/hostile.py plays them, segment by segment."""
from lib import machine
from lib.machine import ARCH
from lib.network import Tap, run_client, usable
from lib.programs import HostTest


def boot(test, net, name, *args, env=()):
    image = machine.image_path(name, ARCH[test.machine_name])
    return test.boot(image, net=net.net, env=[*net.env, *env], args=args, timeout=120, prefix=net.prefix)


def segments(test):
    with Tap([7]) as net, boot(test, net, 'echo', env=['keepalive=4,1,2']) as run:
        run.wait_for('listening')
        test.output = run_client(net, 'hostile.py', 'tap0', timeout=110)


def dial(test):
    with Tap([80]) as net, boot(test, net, 'proxy', ':80', '10.77.0.9:99') as run:
        run.wait_for('proxy: :80')
        run_client(net, 'hostile.py', 'tap0', 'dial')
        run.wait_for('proxy: 10.77.0.9:99: Connection refused')


def tests():
    if not usable(Tap):
        print('skipped: the tests with hostile peers need root')
        return []
    found = []
    for name, harts in ('virt', 4), ('q35', 4):
        for function, source in (segments, 'tests/echo.c'), (dial, 'examples/proxy.c'):
            test = HostTest(f'hostile.{function.__name__}', function, name, harts)
            test.source = source
            found.append(test)
    return found
