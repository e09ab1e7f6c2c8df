# SPDX-License-Identifier: BSD-2-Clause
"""The networks that a test can give to a machine.

UserNet: QEMU's own, with ports of this host that are free now. Needs no rights; its backlog is
one connection, so few may come at once.

HostNet: the same for a hosted program, whose sockets are this host's own.

TwoTaps: two of the next. Taken: the next, where somebody has the machine's address.

Tap: a tap device in a network namespace of the test's own, which needs root; QEMU and the
client both run inside. It is removed however the test ends. Its queue is longer than the usual 1,000 frames:
what a busy QEMU does not fetch in time would be lost, and with it answers that nobody sends again.

Veth: the same for a hosted program, without a machine: the host's kernel is at the other end of tap0.

BadTap: the same with tests/lib/relay.py in between, which loses, delays and reorders.
"""
import itertools
import os
import subprocess
import sys

from lib.machine import TREE, Failure, free_port, undo

numbers = itertools.count()


class UserNet:
    net, env, prefix, most = 'user', (), (), 8
    peer = '10.0.2.2'  # this host, as the machine sees it

    def __init__(self, ports):
        self.ports = {port: free_port() for port in ports}
        self.publish = [f'{host}:{guest}' for guest, host in self.ports.items()]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def address(self, port):
        return f'127.0.0.1:{self.ports[port]}'


class HostNet(UserNet):
    most = 64
    peer = '127.0.0.1'


class Tap:
    net, env, most = 'tap:tap0', ('ip=10.77.0.2/24,10.77.0.1',), 64
    peer = '10.77.0.1'
    publish = ()

    def __init__(self, ports):
        self.name = f'gump-{os.getpid()}-{next(numbers)}'
        self.prefix = ('ip', 'netns', 'exec', self.name)

    def __enter__(self):
        subprocess.run(['ip', 'netns', 'add', self.name], check=True)
        undo.add(self.__exit__)
        try:
            for command in ('link set lo up', 'tuntap add dev tap0 mode tap',
                            'addr add 10.77.0.1/24 dev tap0', 'link set tap0 txqueuelen 20000 up'):
                subprocess.run([*self.prefix, 'ip', *command.split()], check=True)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        undo.discard(self.__exit__)
        subprocess.run(['ip', 'netns', 'del', self.name], check=False)

    def address(self, port):
        return f'10.77.0.2:{port}'


class TwoTaps(Tap):
    """The machine is between two networks: 10.77.0.0/24, from which nothing leads further, and 10.78.0.0/24."""
    net, env = ('tap:tap0', 'tap:tap1'), ('ip=10.77.0.2/24', 'ip1=10.78.0.2/24,10.78.0.1')

    def __enter__(self):
        super().__enter__()
        try:
            for command in ('tuntap add dev tap1 mode tap', 'addr add 10.78.0.1/24 dev tap1', 'link set tap1 up',
                            'addr add 10.99.0.1/32 dev lo'):
                subprocess.run([*self.prefix, 'ip', *command.split()], check=True)
        except BaseException:
            self.__exit__()
            raise
        return self

    def counted(self, interface, what='rx_bytes'):
        """By the host, whose rx_bytes are what the machine has sent."""
        text = subprocess.run([*self.prefix, 'cat', f'/sys/class/net/{interface}/statistics/{what}'], check=True,
                              stdout=subprocess.PIPE).stdout
        return int(text)


class Taken(Tap):
    """The address of the link that the machine makes of its hardware's is this host's own."""

    def __enter__(self):
        super().__enter__()
        try:
            subprocess.run([*self.prefix, *'ip addr add fe80::5054:ff:fe12:3456/64 dev tap0 nodad'.split()], check=True)
        except BaseException:
            self.__exit__()
            raise
        return self


class Veth(Tap):
    net, env = 'user', ()

    def __enter__(self):
        subprocess.run(['ip', 'netns', 'add', self.name], check=True)
        undo.add(self.__exit__)
        try:
            for command in ('link set lo up', 'link add tap0 type veth peer name own0', 'addr add 10.77.0.2/24 dev own0',
                            'link set own0 up', 'link set tap0 up'):
                subprocess.run([*self.prefix, 'ip', *command.split()], check=True)
        except BaseException:
            self.__exit__()
            raise
        return self


class BadTap(Tap):
    def __init__(self, ports, *how):
        super().__init__(ports)
        self.how = how

    def __enter__(self):
        super().__enter__()
        try:
            for command in ('addr flush dev tap0', 'link set tap0 arp off'):
                subprocess.run([*self.prefix, 'ip', *command.split()], check=True)
            relay = os.path.join(TREE, 'tests', 'lib', 'relay.py')
            self.relay = subprocess.Popen([*self.prefix, sys.executable, relay, 'tap0', 'tap1', *self.how],
                                          stdout=subprocess.PIPE, text=True)
            if self.relay.stdout.readline() != 'relaying\n':
                raise Failure('the relay did not start')
            for command in ('addr add 10.77.0.1/24 dev tap1', 'link set tap1 up'):
                subprocess.run([*self.prefix, 'ip', *command.split()], check=True)
        except BaseException:
            self.__exit__()
            raise
        return self

    def stop(self):
        """Ends the relay; answers (frames that it passed on, frames that it lost)."""
        self.relay.terminate()
        words = self.relay.communicate()[0].split()
        return int(words[0]), int(words[3])

    def __exit__(self, *_):
        if getattr(self, 'relay', None) and self.relay.poll() is None:
            self.stop()
        super().__exit__()


def usable(network):
    """Tap devices need root and /dev/net/tun."""
    return not issubclass(network, Tap) or (os.geteuid() == 0 and os.path.exists('/dev/net/tun'))


def run_client(network, *args, timeout=60):
    """Runs tests/lib/client.py, or another command, inside the network; fails as it does."""
    if args[0].endswith('.py'):
        args = (sys.executable, os.path.join(TREE, 'tests', 'lib', args[0]), *args[1:])
    try:
        done = subprocess.run([*network.prefix, *args], stdout=subprocess.PIPE, timeout=timeout,
                              stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired:
        raise Failure(f'the client did not finish within {timeout} s: {args}') from None
    text = done.stdout.decode(errors='replace')
    if done.returncode != 0:
        said = text.strip()
        last = said.rpartition('\n')[2]
        raise Failure(f'client: {last if last == said else last + chr(10) + said[-600:]}')
    return text
