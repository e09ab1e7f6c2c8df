# SPDX-License-Identifier: BSD-2-Clause
"""Reads a flattened device tree and spoils single properties of it, in place."""
import struct

BEGIN, END, PROP, NOP, LAST = 1, 2, 3, 4, 9


class Tree:
    def __init__(self, blob):
        self.blob = bytearray(blob)
        self.struct, self.strings = struct.unpack_from('>II', blob, 8)
        self.properties = {}  # 'node/path:name' -> (offset of the token, offset of the value, size)
        self.nodes = {}       # 'node/path' -> (first offset, offset after its end)
        at, path, starts = self.struct, [], []
        while (token := self.word(at)) != LAST:
            here, at = at, at + 4
            if token == BEGIN:
                name = self.text(at)
                path.append(name)
                starts.append(here)
                at = at + len(name) + 4 & ~3
            elif token == END:
                self.nodes['/'.join(path)] = starts.pop(), at
                path.pop()
            elif token == PROP:
                size, name = self.word(at), self.text(self.strings + self.word(at + 4))
                self.properties['/'.join(path) + ':' + name] = here, at + 8, size
                at = at + 8 + size + 3 & ~3

    def word(self, at):
        return struct.unpack_from('>I', self.blob, at)[0]

    def text(self, at):
        return self.blob[at:self.blob.index(b'\0', at)].decode()

    def find(self, end):
        """The full name of the first property or node whose name ends so."""
        return next(name for name in [*self.properties, *self.nodes]
                    if name.endswith(end) or ('@' not in end and name.split('@')[0].endswith(end)))

    def overwrite(self, name, data):
        """Gives a property new bytes; the rest of it stays."""
        _, at, size = self.properties[name]
        data = data[:size]
        self.blob[at:at + len(data)] = data

    def set_size(self, name, size):
        """Shortens a property: the bytes that are left over become NOPs."""
        token, at, old = self.properties[name]
        struct.pack_into('>I', self.blob, token + 4, size)
        for hole in range(at + size + 3 & ~3, at + old + 3 & ~3, 4):
            struct.pack_into('>I', self.blob, hole, NOP)

    def remove(self, name):
        """Takes a property or a node out."""
        if name in self.nodes:
            start, end = self.nodes[name]
        else:
            start, at, size = self.properties[name]
            end = at + size + 3 & ~3
        for hole in range(start, end, 4):
            struct.pack_into('>I', self.blob, hole, NOP)
