# SPDX-License-Identifier: BSD-2-Clause
"""Files of net/ alone, on this host: tests/host/demux.c and receive.c."""
import functools
import glob
import os
import subprocess
import tempfile

from lib.machine import TREE, Failure
from lib.programs import HostTest

LWIP = f'{TREE}/subprojects/lwip-patched-*/lwip-2.2.1/src/include'


def model(test, name):
    headers = sorted(glob.glob(LWIP), key=lambda path: (len(path), path))  # 9, 10
    if not headers:
        raise Failure('lwIP is not unpacked')
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, name)
        for command in (['cc', '-std=gnu11', '-O1', '-g', '-Wall', '-fsanitize=address,undefined',
                         '-fno-sanitize-recover=all', f'-I{TREE}', f'-I{TREE}/include', f'-I{TREE}/net/lwip',
                         f'-I{TREE}/kernel/arch/hosted', '-isystem', headers[-1], '-o', program,
                         f'{TREE}/tests/host/{name}.c'], [program]):
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False,
                                  env={**os.environ, 'ASAN_OPTIONS': 'detect_leaks=0'})
            test.output = done.stdout.decode(errors='replace')
            if done.returncode != 0:
                raise Failure(f'{command[0]} ended with status {done.returncode}')


def tests():
    found = []
    for name in 'demux', 'receive':
        found.append(HostTest(f'{name}.model', functools.partial(model, name=name)))
        found[-1].source = ''  # it boots nothing
    return found
