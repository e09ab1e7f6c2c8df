# SPDX-License-Identifier: BSD-2-Clause
"""The virtio network driver on this host, against devices that lie: tests/host/virtio_net.c."""
import os
import platform
import subprocess
import tempfile

from lib.machine import TREE, Failure
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


def tests():
    # The driver's headers name the kernel's, which are this architecture's.
    return [HostTest('virtio.lies', lying_devices)] if platform.machine() == 'x86_64' else []
