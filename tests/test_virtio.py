# SPDX-License-Identifier: BSD-2-Clause
"""The virtio network driver against devices that lie: on this host, tests/host/virtio_net.c; and in a machine whose other
device is good, which goes on."""
import os
import platform
import subprocess
import tempfile

from lib import machine, metrics
from lib.liar import LIES, SIZE, Liar
from lib.machine import ARCH, TREE, Failure
from lib.network import HostNet, Tap, TwoTaps, run_client, usable
from lib.programs import HostTest


def lying_devices(test):
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, 'virtio_net')
        for command in (['cc', '-std=gnu11', '-O1', '-g', '-Wall', '-fsanitize=address,undefined',
                         '-fno-sanitize-recover=all', f'-I{TREE}', f'-I{TREE}/include',
                         f'-I{TREE}/kernel/arch/x86_64', '-o', program,
                         f'{TREE}/tests/host/virtio_net.c'], [program]):
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  env={**os.environ, 'ASAN_OPTIONS': 'detect_leaks=0'},
                                  timeout=120, check=False)
            test.output = done.stdout.decode(errors='replace')
            if done.returncode != 0:
                raise Failure(f'{command[0]} ended with status {done.returncode}')


ADDRESSES = '10.77.0.2', '10.78.0.2'


def goes_on(net, address):
    """It answers; what it says of its interfaces."""
    run_client(net, 'curl', '-sS', '--retry', '30', '--retry-all-errors', '-m', '3', '-o', '/dev/null', f'http://{address}/[1-20]')
    return metrics.parse(run_client(net, 'curl', '-sS', '-m', '5', f'http://{address}/metrics'))[0]['gump_interface_up']


def silent(net, address):
    try:
        run_client(net, 'curl', '-sS', '-m', '1', f'http://{address}/')
    except Failure:
        return
    raise Failure(f'{address} still answers')


def lies(test, what, bad):
    """net0 or net1 begins to lie; the other one is as before."""
    image = machine.image_path('http', ARCH[test.machine_name])
    with TwoTaps([80]) as net, Liar(test.machine_name) as liar, \
            test.boot(image, net=net.net, env=net.env, timeout=60, prefix=net.prefix, mem=f'{SIZE >> 20}M',
                      options=liar.options()) as boot:
        boot.wait_for('listening')
        for address in ADDRESSES:
            if set(goes_on(net, address).values()) != {1}:
                raise Failure('an interface is not up')
        liar.used(bad, *LIES[what][1])
        up = goes_on(net, ADDRESSES[1 - bad])
        if up != {f'interface="net{bad}"': 0, f'interface="net{1 - bad}"': 1}:
            raise Failure(f'up are {up}')
        liar.says(bad, True)
        silent(net, ADDRESSES[bad])
        goes_on(net, ADDRESSES[1 - bad])
        said = [line for line in boot.text.splitlines() if 'virtio' in line and 'qemu' not in line]
    if len(said) != 1 or f'device broke the ring: {LIES[what][0]} (virtio' not in said[0] or 'not used any more' not in said[0]:
        raise Failure(f'it said {said}')
    if f'net{bad}: down' not in boot.text.splitlines() or f'net{1 - bad}: down' in boot.text:
        raise Failure('it did not say which is down')


def behind(test):
    """A device that does not take what it is to send for a while."""
    image = machine.image_path('ports', ARCH[test.machine_name])
    device = 'virtio-net-pci,disable-legacy=on,romfile=' if test.machine_name == 'q35' else 'virtio-net-device'
    with tempfile.TemporaryDirectory() as folder:
        own, qemu = os.path.join(folder, 'own'), os.path.join(folder, 'qemu')
        words = ['-netdev', f'dgram,id=line,local.type=unix,local.path={qemu},remote.type=unix,remote.path={own}',
                 '-device', f'{device},netdev=line']
        with test.boot(image, env=Tap.env, args=['peer'], timeout=60,
                       options=[part for word in words for part in ('--qemu-arg', word)]) as boot:
            boot.wait_for('listening')
            run_client(HostNet([]), 'behind.py', own, qemu)


def refused(test):
    """A device that wants what nobody agreed to, beside a good one, in front of it or behind."""
    image = machine.image_path('http', ARCH[test.machine_name])
    device = 'virtio-net-pci,disable-legacy=on,romfile=' if test.machine_name == 'q35' else 'virtio-net-device'
    words = ['-netdev', 'tap,id=bad,ifname=tap1,script=no,downscript=no', '-device', f'{device},iommu_platform=on,netdev=bad']
    with TwoTaps([80]) as net, test.boot(image, net='tap:tap0', env=Tap.env, timeout=60, prefix=net.prefix,
                                         options=[part for word in words for part in ('--qemu-arg', word)]) as boot:
        boot.wait_for('listening')
        if goes_on(net, ADDRESSES[0]) != {'interface="net0"': 1}:
            raise Failure('not one interface, up')
    if 'does not accept the features it offered' not in boot.text:
        raise Failure('it did not say what is wrong')


def tests():
    found = []
    if usable(TwoTaps):
        for name in 'virt', 'q35':
            for bad, what in enumerate(LIES):
                found.append(HostTest(f'virtio.beside.{what}', lambda test, what=what, bad=bad: lies(test, what, bad % 2), name, 2))
            found.append(HostTest('virtio.beside.refused', refused, name, 2))
        for test in found:
            test.source = 'examples/http.c'
    else:
        print('skipped: devices that lie in a machine need root')
    for name in 'virt', 'q35':
        found.append(HostTest('virtio.behind', behind, name, 1))
        found[-1].source = 'tests/ports.c'
    # The driver's headers name the kernel's, which are this architecture's.
    return found + ([HostTest('virtio.lies', lying_devices)] if platform.machine() == 'x86_64' else [])
