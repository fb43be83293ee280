"""BLAKE3 hash and derive_key, written from the BLAKE3 paper (section numbers are its own). Slow and plain."""

import struct

BLOCK, CHUNK = 64, 1024
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8
DERIVE_KEY_CONTEXT, DERIVE_KEY_MATERIAL = 32, 64
IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
# Which four words one quarter round mixes: first the columns, then the diagonals.
QUARTERS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
            (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))


def _rotate(word, by):
    return (word >> by | word << (32 - by)) & 0xFFFFFFFF


def _compress(chaining, block, counter, length, flags):
    """The compression function (2.2), truncated to the eight words that we need."""
    words = list(struct.unpack("<16I", block.ljust(BLOCK, b"\0")))
    state = list(chaining) + list(IV[:4]) + [counter & 0xFFFFFFFF, counter >> 32, length, flags]
    for _ in range(7):
        for number, (a, b, c, d) in enumerate(QUARTERS):
            for word, (first, second) in zip(words[2 * number:2 * number + 2], ((16, 12), (8, 7))):
                state[a] = (state[a] + state[b] + word) & 0xFFFFFFFF
                state[d] = _rotate(state[d] ^ state[a], first)
                state[c] = (state[c] + state[d]) & 0xFFFFFFFF
                state[b] = _rotate(state[b] ^ state[c], second)
        words = [words[place] for place in PERMUTATION]
    return [low ^ high for low, high in zip(state[:8], state[8:])]


def _subtree(data, counter, key, flags, root):
    """The chaining value of the tree over `data` (2.1): the left half is the largest full one."""
    if len(data) > CHUNK:
        left = CHUNK
        while left * 2 < len(data):
            left *= 2
        halves = (_subtree(data[:left], counter, key, flags, 0)
                  + _subtree(data[left:], counter + left // CHUNK, key, flags, 0))
        return _compress(key, struct.pack("<16I", *halves), 0, BLOCK, flags | PARENT | root)
    blocks = [data[at:at + BLOCK] for at in range(0, len(data), BLOCK)] or [b""]
    chaining = key
    for number, block in enumerate(blocks):
        kind = flags | (CHUNK_START if number == 0 else 0)
        if number == len(blocks) - 1:
            kind |= CHUNK_END | root
        chaining = _compress(chaining, block, counter, len(block), kind)
    return chaining


def _digest(data, key, flags):
    return struct.pack("<8I", *_subtree(data, 0, key, flags, ROOT))


def digest(data):
    """The plain hash."""
    return _digest(data, IV, 0)


def derive_key(context, material):
    """The key derivation mode (2.3): the context is hashed to the key under which the material is hashed."""
    key = struct.unpack("<8I", _digest(context.encode(), IV, DERIVE_KEY_CONTEXT))
    return _digest(material, key, DERIVE_KEY_MATERIAL)
