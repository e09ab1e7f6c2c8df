#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Plays peers that come and do as they like, against tests/ports.c over a tap device: hostile.py INTERFACE [SCENARIO]...

Floods and neighbours come first, one after the other, then the scenarios, all at once, each with connections of its
own. In the end everything that they took must have come back. The machine's keepalive is 4,1,2. Ends with a message and
status 1 when the machine did what it must not.
"""
import sys
import time

from peer import Peer, Wrong
from scenarios import common, damaged, ends, floods, fragments, handshakes, limits, neighbours, shortage, windows
from scenarios.common import MACHINE, OWN, figures
from together import together


def returned(before):
    end, now = time.monotonic() + 30, None
    while time.monotonic() < end:
        now = figures()
        if (now['connections'], now['goroutines']) == (before['connections'], before['goroutines']) and \
                now['memory'] < before['memory'] + 512 * 1024:
            return
        time.sleep(0.3)
    raise Wrong(f'before {before}, now {now}')


ONE_BY_ONE = floods.FLOODS + neighbours.SCENARIOS
ASKED_FOR = floods.ASKED_FOR + limits.ASKED_FOR + shortage.ASKED_FOR   # not without their names
SCENARIOS = [scenario for subject in (handshakes, ends, windows, damaged, fragments, floods) for scenario in subject.SCENARIOS]


def main(interface, *chosen):
    common.peer = Peer(interface, MACHINE, OWN, [f'10.77.0.{n}' for n in range(100, 130)])
    common.peer.resolve()
    before, failures = figures(), []

    def wanted(all_of_them):
        return [scenario for scenario in all_of_them if not chosen or scenario.__name__ in chosen]
    if chosen:
        SCENARIOS.extend(ASKED_FOR)
        if unknown := set(chosen) - {scenario.__name__ for scenario in SCENARIOS + ONE_BY_ONE}:
            raise Wrong(f'no such scenario: {unknown}')
    for scenario in wanted(ONE_BY_ONE):
        failures += together(scenario)
    failures += together(*wanted(SCENARIOS)) + together((returned, before))
    if lost := common.peer.lost():
        failures.append(f'the peer itself has lost {lost} frames')
    if failures:
        print(*failures[1:], sep='\n', flush=True)
        sys.exit(failures[0])  # the others may come of it


try:
    main(*sys.argv[1:])
except Wrong as wrong:
    sys.exit(str(wrong))
