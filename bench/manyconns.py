# SPDX-License-Identifier: BSD-2-Clause
"""Many connections at once, over tap: how long they take to open, to be asked all at once, to be asked a few at a
time, and what memory of the machine each takes."""
import os
import subprocess
import time

import guests
from servers import ADDRESS, Boot

# Connections of a client. It may have 20,000 files; and Linux looks for a free port among one half of 28,000 first,
# all of them each time once they are taken.
EACH = 14000
PACED = 4000
BURST_MOST = 10000  # of more at once nearly all are lost on the way, each time they are sent again
QUEUES = (1000, 10000) # frames that wait at the tap for the machine: what Linux gives it, and room for a burst of all
REST = 15     # seconds of silence, in which the machine gives back what it can


def build():
    program = os.path.join(guests.PLACE, 'c10k-client')
    guests.run(['gcc', '-O2', '-Wall', '-Wextra', '-Werror', '-o', program,
                os.path.join(guests.TREE, 'bench', 'c10k', 'client.c')], 'gcc')
    return program


def sources(total):
    """(an address of this host, how many connections come from it) for each client."""
    clients = -(-total // EACH)
    shares = [total // clients + (n < total % clients) for n in range(clients)]
    return [(f'10.77.1.{n + 1}', share) for n, share in enumerate(shares)]


class Clients:
    """One process for each source; they work side by side."""

    def __init__(self, program, total):
        self.sources = sources(total)
        self.processes = [subprocess.Popen([program, ADDRESS, '80', source], stdin=subprocess.PIPE,
                                           stdout=subprocess.PIPE, encoding='ascii', bufsize=1)
                          for source, _ in self.sources]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()

    def do(self, *commands):
        """A command for each; the slowest one's time, the sum of what failed, the worst latencies."""
        for process, command in zip(self.processes, commands):
            process.stdin.write(command + '\n')
        worst = {}
        for process in self.processes:
            words = process.stdout.readline().split()
            if not words:
                raise guests.Failure('a client ended')
            for name, value in zip(words[::2], map(float, words[1::2])):
                worst[name] = worst.get(name, 0) + value if name == 'failed' else max(worst.get(name, 0), value)
        return worst

    def all_do(self, command):
        return self.do(*[command] * len(self.processes))


def bursts_by_queue(clients, runs):
    """What the tap has no room for is lost, and comes again after the client's time-outs."""
    bursts = {}
    for queue in reversed(QUEUES):
        guests.run(['ip', 'link', 'set', 'tap0', 'txqueuelen', str(queue)], 'ip link')
        took = [clients.all_do('burst')['burst'] for _ in range(runs)]
        bursts |= {f'burst-{queue}': min(took), f'burst-{queue}-max': max(took)}
    return bursts


def measure(guest, program, total, memory, chosen):
    for source, _ in sources(total):
        subprocess.run(['ip', 'addr', 'add', f'{source}/16', 'dev', 'tap0'], check=False,
                       stderr=subprocess.DEVNULL)
    with Boot(guest, 'tap,ifname=tap0,script=no,downscript=no', ADDRESS, chosen.harts, memory) as boot:
        boot.first_answer((ADDRESS, 80))
        time.sleep(2)
        before = boot.memory()
        with Clients(program, total) as clients:
            opened = clients.do(*[f'open {share}' for _, share in clients.sources])
            sweep = min(clients.all_do('sweep')['sweep'] for _ in range(chosen.runs))
            bursts = bursts_by_queue(clients, chosen.runs) if total <= BURST_MOST else {}
            worked = boot.cpu()
            paced = clients.all_do(f'paced {PACED // len(clients.processes)} {1000 // len(clients.processes)}')
            worked, full = boot.cpu() - worked, boot.memory()
            time.sleep(2)
            idle, start = boot.cpu(), time.monotonic()
            time.sleep(REST)
            idle = (boot.cpu() - idle) / (time.monotonic() - start)
            rested = boot.memory()
            again = clients.all_do('sweep')
    return {'open': opened['open'], 'sweep': sweep, 'cold-sweep': again['sweep'],
            **bursts,
            'p50': paced['p50'], 'p99': paced['p99'], 'failed': again['failed'],
            'bytes': (full['used'] - before['used']) / total,
            'rested': (rested['used'] - before['used']) / total, 'cpu': worked / PACED, 'idle': idle,
            'parts': {name: (rested[name] - before[name]) / total for name in rested if name != 'used'}}


def head(total):
    return (f'{f"{total:,} connections":<24} {"memory":>6} {"open, s":>8} {"200 at once, s":>15} {"all at once, s":>15} '
            f'{"10,000 queued":>15} {"4000 paced: ms":>17} {"CPU, us":>8} {"idle, %":>8} {"bytes each":>13} {"failed":>7}\n'
            f'{"":<24} {"":>6} {"":>8} {"best":>7} {"rested":>7} {"best":>7} {"worst":>7} {"best":>7} {"worst":>7} '
            f'{"p50":>8} {"p99":>8} {"each":>8} {"":>8} {"":>6} {"rested":>6}')


def line(name, memory, one):
    bursts = ' '.join(f'{one[f"burst-{queue}"]:7.2f} {one[f"burst-{queue}-max"]:7.2f}' if f'burst-{queue}' in one else
                      f'{"-":>7} {"-":>7}' for queue in QUEUES)
    return (f'{name:<24} {memory:>6} {one["open"]:8.2f} {one["sweep"]:7.2f} {one["cold-sweep"]:7.2f} '
            f'{bursts} {one["p50"] * 1e3:8.2f} {one["p99"] * 1e3:8.2f} {one["cpu"] * 1e6:8.0f} '
            f'{one["idle"] * 100:8.2f} {one["bytes"]:6.0f} {one["rested"]:6.0f} {one["failed"]:7.0f}')
