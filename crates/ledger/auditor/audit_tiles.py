#!/usr/bin/env python3
"""Audits a tile export (https://c2sp.org/tlog-tiles) with the Python standard library and openssl.

    python3 audit_tiles.py --keys KEYS --quorum Q --index I [--consistency OLD] FOLDER

FOLDER holds the file `checkpoint` and the folder `tile`; KEYS one verifier key a line, the log keys
of the validators; OLD is an earlier checkpoint file. It checks that Q distinct keys signed the
checkpoint, proves entry I from the tiles and verifies the proof against the signed root; with
--consistency, also that Q keys signed OLD and that its tree is a prefix of this one. Exit 0 and one
line, or 1 and what is wrong with which file.

Written from the specifications, and shares no code with the programs that write the files.
"""

import argparse
import base64
import hashlib
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path


class Refused(Exception):
    """What is wrong, beginning with the name of the file."""


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def node(left, right):  # RFC 6962 section 2.1
    return sha256(b"\x01", left, right)


def read(path, limit):
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from error
    if len(content) > limit:
        raise Refused(f"{path}: more than {limit} bytes")
    return content


def read_text(path):
    try:
        text = read(path, 1 << 20).decode()
    except UnicodeDecodeError as error:
        raise Refused(f"{path}: not UTF-8 from byte {error.start} on") from error
    if any(unicodedata.category(c) == "Cc" for c in text.replace("\n", "")):
        raise Refused(f"{path}: a control character")
    return text


def unbase64(text, where):
    try:
        blob = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Refused(f"{where}: {text!r} is not base64") from error
    if base64.b64encode(blob).decode() != text:
        raise Refused(f"{where}: {text!r} is not canonical base64")
    return blob


def is_name(name):  # of a key
    return 0 < len(name.encode()) <= 255 and "+" not in name and not any(map(str.isspace, name))


def small_order(point):  # of Ed25519, in any encoding; 2^255 - 19 is the prime
    y, eighth = int.from_bytes(point, "little") % 2**255 % P, EIGHTH_ORDER_Y
    return y in (0, 1, P - 1, eighth, P - eighth)


P = 2**255 - 19
EIGHTH_ORDER_Y = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7


# Notes and checkpoints: https://c2sp.org/signed-note, https://c2sp.org/tlog-checkpoint


def read_keys(path):
    """(name, id, public key) of every line."""
    keys = []
    for line in read_text(path).removesuffix("\n").split("\n"):
        name, plus, rest = line.partition("+")
        claimed, other_plus, encoded = rest.partition("+")
        blob = unbase64(encoded, path)
        if not (plus and other_plus and is_name(name)) or len(blob) != 33 or blob[0] != 0x01:
            raise Refused(f"{path}: {line!r} is no Ed25519 verifier key")
        if small_order(blob[1:]):
            raise Refused(f"{path}: {line!r} is of small order")
        key_id = sha256(name.encode(), b"\n", blob)[:4]
        if key_id.hex() != claimed:
            raise Refused(f"{path}: key {name} has id {key_id.hex()}, not {claimed}")
        if any((name, key_id) == known[:2] and blob[1:] != known[2] for known in keys):
            raise Refused(f"{path}: two keys share the id {name}+{claimed}")
        keys.append((name, key_id, blob[1:]))
    return keys


def ed25519(public, message, signature):
    if small_order(signature[:32]):
        return False
    with tempfile.TemporaryDirectory() as folder:
        names = {"key": b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00" + public}
        names |= {"message": message, "signature": signature}
        for name, content in names.items():
            Path(folder, name).write_bytes(content)
        command = "openssl pkeyutl -verify -pubin -keyform DER -inkey key -rawin -in message"
        command = [*command.split(), "-sigfile", "signature"]
        return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0


def read_checkpoint(path, keys, quorum):
    """(origin, size, root) once enough distinct keys signed them."""
    text, separator, block = read_text(path).rpartition("\n\n")
    if not separator or not block.endswith("\n"):
        raise Refused(f"{path}: no signed note")
    text += "\n"
    signers, seen, lines = set(), set(), block[:-1].split("\n")
    if len(lines) > 128:
        raise Refused(f"{path}: {len(lines)} signature lines")
    for line in lines:
        dash, _, rest = line.partition(" ")
        name, space, encoded = rest.partition(" ")
        blob = unbase64(encoded, path)
        if dash != "\u2014" or not space or not is_name(name) or len(blob) < 5:
            raise Refused(f"{path}: {line!r} is no signature line")
        if (name, blob[:4]) in seen:
            raise Refused(f"{path}: two signatures of key {name}+{blob[:4].hex()}")
        seen.add((name, blob[:4]))
        for public in {known[2] for known in keys if (name, blob[:4]) == known[:2]}:
            if not ed25519(public, text.encode(), blob[4:]):
                raise Refused(f"{path}: the signature of {name}+{blob[:4].hex()} does not verify")
            signers.add(public)
    if len(signers) < quorum:
        raise Refused(f"{path}: {len(signers)} distinct keys signed, the quorum is {quorum}")
    lines = text.split("\n")
    if len(lines) != 4 or not (lines[1].isascii() and lines[1].isdigit() and len(lines[1]) <= 20):
        raise Refused(f"{path}: no checkpoint of three lines")
    origin, size, root = lines[0], int(lines[1]), unbase64(lines[2], path)
    if str(size) != lines[1] or size >= 1 << 64 or len(root) != 32:
        raise Refused(f"{path}: size or root is malformed")
    if any(name != origin for name, _, _ in keys):
        raise Refused(f"{path}: the checkpoint is of log {origin!r}, the keys are of another")
    return origin, size, root


# Tiles: https://c2sp.org/tlog-tiles


class Tiles:
    """The tree of one size and root, out of its files."""

    def __init__(self, folder, size, root):
        self.folder, self.size, self.checked = folder, size, {}
        # The partial tiles together are the tree: checked once, they vouch for all others.
        partial = [level for level in range(8) if (size >> 8 * level) % 256]
        for level in partial:
            index = size >> 8 * level + 8
            self.checked[level, index] = self.hashes(level, index)
        if self.root(0, size) != root:
            names = ", ".join(str(self.path(level, size >> 8 * level + 8)) for level in partial)
            raise Refused(f"{names or folder}: do not lead to the root of the checkpoint")

    def path(self, level, index):
        number = f"{index % 1000:03}"
        while index := index // 1000:
            number = f"x{index % 1000:03}/{number}"
        return self.folder / "tile" / f"{level}" / number

    def file(self, level, index):
        """Path and width of a tile; `level` may be "entries"."""
        items = self.size >> 8 * (0 if level == "entries" else level)
        width = min(256, items - 256 * index)
        path = self.path(level, index)
        return (path, 256) if width == 256 else (Path(f"{path}.p", str(width)), width)

    def hashes(self, level, index):
        path, width = self.file(level, index)
        data = read(path, 32 * 256)
        if len(data) != 32 * width:
            raise Refused(f"{path}: {len(data)} bytes, expected {32 * width}")
        return [data[at : at + 32] for at in range(0, len(data), 32)]

    def tile(self, level, index):
        if (level, index) not in self.checked:
            hashes = self.hashes(level, index)
            if fold(hashes) != self.tile(level + 1, index // 256)[index % 256]:
                raise Refused(f"{self.file(level, index)[0]}: not what the tile above it says")
            self.checked[level, index] = hashes
        return self.checked[level, index]

    def root(self, start, end):
        """MTH(D[start:end]) for a subtree of this tree [RFC 6962 section 2.1]."""
        size = end - start
        if size == 0:
            return sha256()
        if size & (size - 1) == 0:  # complete: some hashes of one tile
            level = (size.bit_length() - 1) // 8
            first, count = start >> 8 * level, size >> 8 * level
            return fold(self.tile(level, first // 256)[first % 256 :][:count])
        left = 1 << (size - 1).bit_length() - 1
        return node(self.root(start, start + left), self.root(start + left, end))

    def path_of(self, index, start, end):
        """PATH(index, D[start:end]) [RFC 6962 section 2.1.1]."""
        if end - start == 1:
            return []
        middle = start + (1 << (end - start - 1).bit_length() - 1)
        if index < middle:
            return [*self.path_of(index, start, middle), self.root(middle, end)]
        return [*self.path_of(index, middle, end), self.root(start, middle)]

    def entry(self, index):
        path, width = self.file("entries", index // 256)
        data, at, entries = read(path, width * (2 + 0xFFFF)), 0, []
        for _ in range(width):
            length = int.from_bytes(data[at : at + 2], "big")
            entries.append(data[at + 2 : at + 2 + length])
            at += 2 + length
        if at != len(data):
            raise Refused(f"{path}: not {width} entries after their lengths")
        for entry, expected in zip(entries, self.tile(0, index // 256)):
            if sha256(b"\x00", entry) != expected:
                raise Refused(f"{path}: an entry is not the one in the tree")
        return path, entries[index % 256]


def fold(hashes):
    while len(hashes) > 1:
        hashes = [node(*hashes[at : at + 2]) for at in range(0, len(hashes), 2)]
    return hashes[0]


def root_from_proof(leaf, index, size, proof):
    """RFC 9162 section 2.1.3.2; nothing if the proof has another length than index and size demand."""
    last, root = size - 1, leaf
    for sibling in proof:
        if last == 0:
            return None
        if index & 1 or index == last:
            root = node(sibling, root)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            root = node(root, sibling)
        index, last = index >> 1, last >> 1
    return root if last == 0 else None


def main():
    parser = argparse.ArgumentParser(description="audits a tile export")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--keys", type=Path, required=True)
    parser.add_argument("--quorum", type=int, required=True)
    parser.add_argument("--index", type=int, required=True)
    parser.add_argument("--consistency", type=Path, metavar="OLD")
    options = parser.parse_args()
    if options.quorum < 1:
        raise Refused(f"--quorum: {options.quorum} proves nothing")

    keys = read_keys(options.keys)
    checkpoint = options.folder / "checkpoint"
    origin, size, root = read_checkpoint(checkpoint, keys, options.quorum)
    tiles = Tiles(options.folder, size, root)
    if not 0 <= options.index < size:
        raise Refused(f"{checkpoint}: no entry {options.index} in a log of size {size}")
    path, entry = tiles.entry(options.index)
    proof = tiles.path_of(options.index, 0, size)
    if root_from_proof(sha256(b"\x00", entry), options.index, size, proof) != root:
        raise Refused(f"{path}: entry {options.index} is not proven by the tiles")
    verdict = f"{origin}: entry {options.index} of {size} is proven, {len(entry)} bytes"

    if options.consistency:
        _, old_size, old_root = read_checkpoint(options.consistency, keys, options.quorum)
        if old_size > size:
            raise Refused(f"{options.consistency}: size {old_size} is beyond {size}")
        if tiles.root(0, old_size) != old_root:
            raise Refused(f"{options.consistency}: its tree of {old_size} is no prefix of this one")
        verdict += f"; size {old_size} is a prefix"
    print(verdict)


if __name__ == "__main__":
    try:
        main()
    except Refused as refused:
        sys.exit(f"audit_tiles: {refused}")
