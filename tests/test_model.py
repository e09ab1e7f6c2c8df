# SPDX-License-Identifier: BSD-2-Clause
"""The model of the wake-up protocol holds, and each of its mutants does not: tests/model/run."""
import os
import subprocess

from lib.machine import TREE, Failure
from lib.programs import HostTest


def wakeup(test):
    test.command = 'tests/model/run'
    done = subprocess.run(['nice', os.path.join(TREE, test.command)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    test.output = done.stdout.decode(errors='replace')
    if done.returncode != 0:
        raise Failure('the model does not hold, or a mutant was not found')


def tests():
    return [HostTest('model.wakeup', wakeup)]
