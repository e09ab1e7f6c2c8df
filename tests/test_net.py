# SPDX-License-Identifier: BSD-2-Clause
"""tests/ports.c and examples/http.c, driven by clients of this host over all networks."""
import glob
import os
import re
import socket
import sys
import time

from lib import machine, metrics
from lib.machine import ARCH, MACHINES, SANITIZERS, TREE, Failure
from lib.network import HostNet, Tap, TwoTaps, UserNet, run_client, usable
from lib.programs import HostTest

SCENARIOS = ['one_by_one', 'many', 'half_closed', 'resets', 'idle', 'slow_reader',
             'never_reads', 'bulk', 'one_by_one']
ECHO_PORTS = 7, 9, 11, 19


def echo(test, network):
    image = machine.image_path('ports', ARCH[test.machine_name])
    with network(ECHO_PORTS) as net, test.boot(image, net=net.net, env=net.env, timeout=120,
                                               publish=net.publish, prefix=net.prefix) as boot:
        boot.wait_for('listening')
        for scenario in ['first'] + SCENARIOS:
            try:
                run_client(net, 'client.py', scenario, str(net.most),
                           *map(net.address, ECHO_PORTS))
            except Failure as failure:
                raise Failure(f'{scenario}: {failure}') from None
            if boot.process.poll() is not None:
                raise Failure(f'the machine ended during {scenario}')


def busy(test, how):
    """The network is served beside goroutines that never wait."""
    image = machine.image_path('ports', ARCH[test.machine_name])
    with (HostNet if test.machine_name == 'hosted' else UserNet)(ECHO_PORTS) as net, test.boot(image, net=net.net, timeout=60, args=[how],
                                               publish=net.publish) as boot:
        boot.wait_for('listening')
        for scenario in 'first', 'few':
            run_client(net, 'client.py', scenario, str(net.most), *map(net.address, ECHO_PORTS))


def http(test, network):
    image = machine.image_path('http', ARCH[test.machine_name])
    with network([80]) as net, test.boot(image, net=net.net, env=net.env, timeout=120,
                                         publish=net.publish, prefix=net.prefix) as boot:
        url = f'http://{net.address(80)}/'
        # Whoever asks before gives up, and is accepted when nobody counts on it any more.
        boot.wait_for('listening')
        if test.machine_name != 'hosted':
            boot.wait_for('net0: ')
        text = run_client(net, 'curl', '-s', '-i', '--retry', '30', '--retry-delay', '1',
                          '--retry-all-errors', '--retry-connrefused', '-m', '3', url)
        if not re.match(r'HTTP/1\.[01] 200 ', text):
            raise Failure(f'curl got {text!r}')
        run_client(net, 'http.py', net.address(80), str(net.most))
        # Many requests of one curl, over connections that stay, at most 8 at once.
        text = run_client(net, 'curl', '-sS', '--no-progress-meter', '-Z', '--parallel-max', '8', '-o', '/dev/null', '-w',
                          '%{http_code}\\n', f'{url}any/path?x=[1-200]')
        if text.split() != ['200'] * 200:
            raise Failure(f'{text.split().count("200")} of 200 requests of one curl got 200')
        text = run_client(net, 'wrk', '-t2', '-c8', '-d2s', url)
        if 'Socket errors' in text or 'Non-2xx' in text or not re.search(r'Requests/sec', text):
            raise Failure(text)
        test.output = boot.text + text


def limits(test, network):
    """What examples/http.c does to slow senders, and to those that say nothing; and how its options are refused."""
    image = machine.image_path('http', ARCH[test.machine_name])
    env = ['IDLE=2', 'HEADER=1', 'REQUESTS=300']
    with network([80]) as net, test.boot(image, net=net.net, env=[*net.env, *env], timeout=60,
                                         publish=net.publish, prefix=net.prefix) as boot:
        boot.wait_for('listening')
        run_client(net, 'curl', '-s', '--retry', '30', '--retry-all-errors', '--retry-connrefused', '-m', '3',
                   f'http://{net.address(80)}/')
        run_client(net, 'http.py', net.address(80), str(net.most), 'limits')
    with test.boot(image, env=['IDLE=soon']) as boot:
        if boot.wait() != 1 or 'http: IDLE=soon: say a number' not in boot.text:
            raise Failure('IDLE=soon was not refused')


# The machine's counters, and those of the tap device's other end.
TAP_COUNTERS = {'received_frames': 'tx_packets', 'received_bytes': 'tx_bytes', 'sent_frames': 'rx_packets',
                'sent_bytes': 'rx_bytes'}


def counters(net):
    """What the host has counted, what the machine has, and what the host has after that."""
    def host():
        return {(tap, what): net.counted(f'tap{tap}', what) for tap in (0, 1) for what in TAP_COUNTERS.values()}
    before = host()
    text = run_client(net, 'curl', '-sS', '--retry', '30', '--retry-all-errors', '-m', '3', 'http://10.77.0.2/metrics')
    return before, metrics.parse(text)[0], host()


def counted(test):
    """What two interfaces carry is what the host sees at the other ends. Before the first look something may get lost."""
    image = machine.image_path('http', ARCH[test.machine_name])
    with TwoTaps([80]) as net, test.boot(image, net=net.net, env=net.env, timeout=60, prefix=net.prefix) as boot:
        boot.wait_for('listening')
        low, first, high = counters(net)
        for address, times in ('10.77.0.2', 3), ('10.78.0.2', 50):
            run_client(net, 'curl', '-sS', '-o', '/dev/null', f'http://{address}/x?[1-{times}]')
        least, last, most = counters(net)
    for tap in 0, 1:
        label = f'interface="net{tap}"'
        for ours, theirs in TAP_COUNTERS.items():
            name, key = f'gump_interface_{ours}_total', (tap, theirs)
            value = last[name][label] - first[name][label]
            if not 0 < least[key] - high[key] <= value <= most[key] - low[key]:
                raise Failure(f'{label}: {value} more {ours}, but {theirs} went from {low[key]}, {high[key]} to '
                              f'{least[key]}, {most[key]}')
        if last['gump_interface_up'][label] != 1 or last['gump_interface_sent_dropped_total'][label] != 0:
            raise Failure(f'{label} is down, or has dropped what was to be sent')


def switches(pid):
    """How often threads of a process have gone to sleep so far."""
    count = 0
    for path in glob.glob(f'/proc/{pid}/task/*/status'):
        with open(path, encoding='ascii') as file:
            count += int(re.search(r'^voluntary_ctxt_switches:\s*(\d+)', file.read(), re.MULTILINE)[1])
    return count


def hosted_idle(test):
    """A process whose connections say nothing has no wake-up at all."""
    image = machine.image_path('ports', 'hosted')
    with HostNet(ECHO_PORTS) as net, test.boot(image, net=net.net, publish=net.publish) as boot:
        boot.wait_for('listening')
        host, port = net.address(7).split(':')
        sockets = [socket.create_connection((host, int(port)), timeout=10) for _ in range(20)]
        for s in sockets:
            s.sendall(b'?')
            if s.recv(10) != b'?':
                raise Failure('no echo')
        time.sleep(0.5)
        before = switches(boot.qemu_pid())
        time.sleep(2)
        woken = switches(boot.qemu_pid()) - before
        for s in sockets:
            s.sendall(b'!')
            if s.recv(10) != b'!':
                raise Failure('no echo after the silence')
            s.close()
        if woken:
            raise Failure(f'{woken} wake-ups in two silent seconds')


def names(test):
    """The host looks names up, on threads of their own: tests/names.c, in namespaces of the test's own."""
    image = machine.image_path('names', ARCH[test.machine_name])
    server = os.path.join(TREE, 'tests', 'lib', 'nameserver.py')
    with test.boot(image, net='user', prefix=['unshare', '-n', '-m', sys.executable, server]) as boot:
        if boot.wait() != 0 or 'PASS' not in boot.text:
            raise Failure('no PASS')


def names_tests():
    if os.geteuid() != 0:
        print('skipped: the test of names needs root')
        return []
    found = [HostTest('net.names', names, name, n) for name, n in
             (('hosted', 1), ('hosted', 4), ('hosted-thread', 4), ('hosted-address', 4))]
    for test in found:
        test.source = 'tests/names.c'
    return found


def hosted_tests():
    found = names_tests() + [HostTest('net.idle.hostnet', hosted_idle, 'hosted', n) for n in (1, 4)]
    found.append(HostTest('net.limits.hostnet', lambda test: limits(test, HostNet), 'hosted', 4))
    for name, counts in [('hosted', (1, 4))] + [(f'hosted-{s}', (4,)) for s in SANITIZERS]:
        for function, source in (echo, 'tests/ports.c'), (http, 'examples/http.c'):
            for n in counts:
                test = HostTest(f'net.{function.__name__}.hostnet',
                                lambda test, f=function: f(test, HostNet), name, n)
                test.source = source
                found.append(test)
    return found


def tests():
    found = hosted_tests()
    for network, harts in (Tap, (1, 4)), (UserNet, (2,)):
        if not usable(network):
            print(f'skipped: network tests over {network.__name__} need root')
            continue
        for function in echo, http:
            if function is http and not os.path.exists(os.path.join(TREE, 'examples/http.c')):
                continue
            for name in MACHINES:
                for n in harts:
                    found.append(HostTest(f'net.{function.__name__}.{network.__name__.lower()}',
                                          lambda test, f=function, w=network: f(test, w), name, n))
    if usable(Tap):
        found += [HostTest('net.limits.tap', lambda test: limits(test, Tap), name, n) for name, n in (('virt', 4), ('q35', 1))]
        for name, n in ('virt', 2), ('q35', 2):
            found.append(HostTest('net.counters', counted, name, n))
            found[-1].source = 'examples/http.c'
    for how in 'hogs', 'yielders':
        found += [HostTest(f'net.busy.{how}', lambda test, how=how: busy(test, how), name, n)
                  for name in (*MACHINES, 'hosted') for n in (1, 2)]
    return found
