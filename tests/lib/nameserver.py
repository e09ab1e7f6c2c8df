# SPDX-License-Identifier: BSD-2-Clause
"""Runs a command where this script is the name server: unshare -n -m python3 nameserver.py COMMAND...

In the network and mount namespaces that unshare made, and that nobody else has. What it answers is for
tests/names.c: here.test is 127.0.0.1, told half a second late, nobody.test is denied, and to others it says nothing.
"""
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time


def name_in(query):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    return '.'.join(labels), query[12:at + 5], struct.unpack('>H', query[at + 1:at + 3])[0]


def answer(server, query, client):
    name, question, kind = name_in(query)
    denied, found = name == 'nobody.test', name == 'here.test' and kind == 1
    if name == 'here.test':
        time.sleep(0.5)
    elif not denied:
        return
    reply = query[:2] + struct.pack('>HHHHH', 0x8183 if denied else 0x8180, 1, int(found), 0, 0) + question
    if found:
        reply += struct.pack('>HHHIH', 0xc00c, 1, 1, 60, 4) + bytes([127, 0, 0, 1])
    server.sendto(reply, client)


def serve(server):
    while True:
        query, client = server.recvfrom(2000)
        threading.Thread(target=answer, args=(server, query, client), daemon=True).start()


def main():
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    with tempfile.NamedTemporaryFile('w') as resolv:
        resolv.write('nameserver 127.0.0.1\n')
        resolv.flush()
        subprocess.run(['mount', '--bind', resolv.name, '/etc/resolv.conf'], check=True)
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(('127.0.0.1', 53))
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        status = subprocess.call(sys.argv[1:])
    os._exit(status)


main()
