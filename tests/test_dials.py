# SPDX-License-Identifier: BSD-2-Clause
"""Names, IPv6: tests/dials.c dials what tests/lib/dials.py says, which is name server, router and target as well."""
from lib import machine
from lib.machine import ARCH
from lib.network import Tap, run_client, usable
from lib.programs import HostTest


def dials(test, scenario):
    image = machine.image_path('dials', ARCH[test.machine_name])
    with Tap([9]) as net, test.boot(image, net=net.net, env=net.env, timeout=90, prefix=net.prefix) as boot:
        boot.wait_for('listening')
        run_client(net, 'dials.py', scenario, timeout=80)


def tests():
    if not usable(Tap):
        print('skipped: the tests of names and IPv6 need root')
        return []
    found = []
    for scenario in 'names', 'silence', 'crowd', 'ipv6':
        for name, harts in ('virt', 1), ('virt', 4), ('q35', 1), ('q35', 4):
            test = HostTest(f'dials.{scenario}', lambda test, scenario=scenario: dials(test, scenario), name, harts)
            test.source = 'tests/dials.c'
            found.append(test)
    return found
