# SPDX-License-Identifier: BSD-2-Clause
"""Many clients at once (tests/lib/arrivals.py): whoever waits to be accepted, or for an answer that is on its way, is not
turned away."""
from lib import machine
from lib.machine import ARCH
from lib.network import Tap, run_client, usable
from lib.programs import HostTest


def arrivals(test):
    with Tap([7]) as net:
        image = machine.image_path('arrivals', ARCH[test.machine_name])
        with test.boot(image, net=net.net, env=net.env, timeout=60, prefix=net.prefix) as run:
            run.wait_for('listening')
            test.output = run_client(net, 'arrivals.py', 'tap0', timeout=50)


def tests():
    if not usable(Tap):
        print('skipped: the tests with many clients need root')
        return []
    found = []
    for name in 'virt', 'q35':
        test = HostTest('arrivals', arrivals, name, 2)
        test.source = 'tests/arrivals.c'
        found.append(test)
    return found
