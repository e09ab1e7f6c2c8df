# SPDX-License-Identifier: BSD-2-Clause
"""The examples print what their comments say."""
import re

from lib import machine
from lib.machine import ARCH, MACHINES, Failure, free_port
from lib.network import HostNet, Tap, TwoTaps, UserNet, run_client, usable
from lib.programs import HostTest


def boot(test, name, *args, env=(), harts=4, **options):
    image = machine.image_path(name, ARCH[test.machine_name])
    with test.boot(image, harts=harts, args=args, env=env, **options) as run:
        if (status := run.wait()) != 0:
            raise Failure(f'exit status {status}')
        # What qemu/run says comes first; firmware ends in a line of its own.
        return run.text


def hello(test):
    text = boot(test, 'hello', harts=test.harts)
    greeted = set(re.findall(r'^hello from goroutine (\d) on hart \d+$', text, re.MULTILINE))
    if greeted != set('0123') or f'4 greetings, {test.harts} harts\n' not in text:
        raise Failure('not the four greetings')


def zero_one(test):
    for procs in '1', '2':
        text = boot(test, 'zero-one', '300', env=['GOMAXPROCS=' + procs])
        digits = re.findall(r'[01]{300,}', text)
        if not digits or digits[-1].count('0') != 300 or digits[-1].count('1') != 300:
            raise Failure(f'not 300 of each digit at GOMAXPROCS={procs}')
        if procs == '1' and '1' * 20 not in digits[-1]:
            raise Failure('no rows of 1 at GOMAXPROCS=1')


def hogs(test):
    for _ in range(3):  # the host may be away for too long in one
        text = boot(test, 'hogs', '2', env=['GOMAXPROCS=1'])
        found = re.search(r'(\d+) wake-ups, average (\d+) us late, at most (\d+) us', text)
        if not found:
            raise Failure('no averages')
        if int(found[2]) <= 20000:
            return
    raise Failure(f'woke {found[2]} us late on average, not 20000 at most')


def million(test):
    """A tenth of a million, in a tenth of the memory: their stacks' pages alone would be three times that."""
    if test.machine_name == 'hosted':
        text = boot(test, 'million', '20000')
    else:
        text = boot(test, 'million', '100000', mem='136M', timeout=60)
    found = re.search(r'^(\d+) bytes of memory for each\n\d+ have ended after \d+ ms$', text, re.MULTILINE)
    if not found:
        raise Failure('they did not all wait, and end')
    if test.machine_name != 'hosted' and int(found[1]) > 1024:
        raise Failure(f'{found[1]} bytes for each that waits, not 1024 at most')


def machine_with(test, net, name, *args, env=()):
    image = machine.image_path(name, ARCH[test.machine_name])
    return test.boot(image, net=net.net, env=[*net.env, *env], args=args, timeout=60, publish=net.publish,
                     prefix=net.prefix)


def server(test, network, name, port):
    with network([port]) as net, machine_with(test, net, name) as run:
        run.wait_for('listening')
        run_client(net, 'services.py', name, net.address(port))


def between(test):
    """A proxy between two networks: what it dials is in the second, and beyond that one's gateway."""
    for host in '10.78.0.1', '10.99.0.1':
        port = free_port()
        with TwoTaps([80]) as net, machine_with(test, net, 'proxy', ':80', f'{host}:{port}', env=['IDLE=1']) as run:
            run.wait_for('proxy: :80')
            run_client(net, 'services.py', 'proxy', net.address(80), str(port))
            for interface in 'tap0', 'tap1':
                if net.counted(interface) < 500000:
                    raise Failure(f'{net.counted(interface)} bytes went by {interface}')
            for line in 'net0: 10.77.0.2/24 static', 'net1: 10.78.0.2/24 static':
                run.wait_for(line)


def proxy(test, network):
    """One proxy serves two purposes in turn: its target is there, and it is not."""
    target, nobody = free_port(), free_port()
    with network([80]) as net:
        with machine_with(test, net, 'proxy', ':80', f'{net.peer}:{nobody}') as run:
            run.wait_for('proxy: :80')
            run_client(net, 'services.py', 'unreachable', net.address(80))
            run.wait_for(f'proxy: {net.peer}:{nobody}: Connection refused')
        with machine_with(test, net, 'proxy', ':80', f'{net.peer}:{target}', env=['IDLE=1']) as run:
            run.wait_for('proxy: :80')
            run_client(net, 'services.py', 'proxy', net.address(80), str(target))


def proxy_usage(test):
    image = machine.image_path('proxy', ARCH[test.machine_name])
    both = [':80', '10.0.2.2:80']
    for args, env in ([], []), ([':80'], []), (both, ['IDLE=none']), (both, ['IDLE=5x']), (['here', 'there'], []):
        with test.boot(image, args=args, env=env) as run:
            if run.wait() != 1 or 'proxy: here: Invalid argument' not in run.text and 'usage: proxy' not in run.text:
                raise Failure(f'not refused: {args}')


def network_tests():
    found = [HostTest('example.proxy.usage', proxy_usage, name, 1) for name in ('virt', 'q35', 'hosted')]
    for network, where in ((Tap, [('virt', 1), ('virt', 4), ('q35', 1), ('q35', 4), ('microvm', 4)]),
                           (UserNet, [('virt', 2), ('q35', 2)]), (HostNet, [('hosted', 1), ('hosted', 4)])):
        if not usable(network):
            print(f'skipped: examples over {network.__name__} need root')
            continue
        over = network.__name__.lower()
        for name, n in where:
            found += [HostTest(f'example.echo.{over}', lambda t, w=network: server(t, w, 'echo', 7), name, n),
                      HostTest(f'example.chat.{over}', lambda t, w=network: server(t, w, 'chat', 80), name, n),
                      HostTest(f'example.proxy.{over}', lambda t, w=network: proxy(t, w), name, n)]
    if usable(TwoTaps):
        found += [HostTest('example.proxy.between', between, name, n)
                  for name, n in (('virt', 1), ('virt', 4), ('q35', 1), ('q35', 4), ('microvm', 4))]
    return found


def tests():
    return ([HostTest('example.hello', hello, name, n) for name in (*MACHINES, 'hosted') for n in (1, 2, 4, 16)]
            + [HostTest('example.zero-one', zero_one, name, 4) for name in (*MACHINES, 'hosted')]
            + [HostTest('example.million', million, name, 4) for name in (*MACHINES, 'hosted')]
            + [HostTest('example.hogs', hogs, name, 4, alone=True) for name in (*MACHINES, 'hosted')]
            + network_tests())
