# SPDX-License-Identifier: BSD-2-Clause
"""Names, IPv6: tests/dials.c dials what tests/lib/dials.py says, which is name server, router and target as well. And
DHCP: tests/lib/dhcp.py gives leases to the same program, and does not."""
from lib import machine
from lib.machine import ARCH, Failure
from lib.network import Taken, Tap, TwoTaps, run_client, usable
from lib.programs import HostTest

BEHIND = 'dns=' + 9 * 'that.is.not.an.address.at.all,' + '10.77.0.3'
FOURTH = 'dns=10.77.0.3,10.77.0.4,10.77.0.5,fd77::1'
LONG = 'ip1=10.78.0.200/24,10.78.0.1,fd77:0000:0000:0000:0000:0000:0000:0001'


def dials(test, scenario, env=Tap.env, network=Tap):
    image = machine.image_path('dials', ARCH[test.machine_name])
    with network([9]) as net, test.boot(image, net=net.net, env=env, timeout=90, prefix=net.prefix) as boot:
        if scenario not in ('by_hand', 'leased', 'routers'):  # which have to hear the machine ask for a lease
            boot.wait_for('listening')
        run_client(net, 'dials.py', scenario, timeout=80)
    if scenario == 'by_hand' and (n := boot.text.count('.all is not an address')) != 9:
        raise Failure(f'it said of {n} that they are no address')


def dhcp(test):
    image = machine.image_path('dials', ARCH[test.machine_name])
    with Tap([9]) as net, test.boot(image, net=net.net, timeout=120, prefix=net.prefix) as boot:
        run_client(net, 'dhcp.py', 'tap0', timeout=110)
    said = [line for line in boot.text.splitlines() if line.startswith('net0: ')]
    if said != ['net0: 10.77.0.50/24 by DHCP', 'net0: 10.77.0.50 is lost', 'net0: 10.77.0.51/24 by DHCP',
                'net0: 10.77.0.51 is lost', *(f'net0: 10.77.0.{n}/24 by DHCP' for n in (52, 53, 52))]:
        raise Failure(f'it said {said}')


ONE_ON_Q35 = 'dhcp', 'dials.crowd', 'dials.without_ipv4_by_hand'


def tests():
    if not usable(Tap):
        print('skipped: the tests of names and IPv6 need root')
        return []
    found = []
    scenarios = {f'dials.{name}': lambda test, name=name: dials(test, name) for name in ('names', 'silence', 'crowd', 'ipv6')}
    for name, env in ('without_ipv4', []), ('without_ipv4_by_hand', [FOURTH]), ('by_hand', [BEHIND]), ('leased', []), \
            ('nobody_to_ask', ['ip=10.77.0.2/24']):
        scenarios[f'dials.{name}'] = lambda test, name=name, env=env: dials(test, name, env)
    scenarios['dials.routers'] = lambda test: dials(test, 'routers', [LONG], TwoTaps)
    scenarios['dials.taken'] = lambda test: dials(test, 'taken', network=Taken)
    scenarios['dhcp'] = dhcp
    for scenario, function in scenarios.items():    # all of lwIP is under one lock: with one hart here, with four there
        for name, harts in zip(('q35', 'virt') if scenario in ONE_ON_Q35 else ('virt', 'q35'), (1, 4)):
            test = HostTest(scenario, function, name, harts, waits=True)
            test.source = 'tests/dials.c'
            found.append(test)
    return found
