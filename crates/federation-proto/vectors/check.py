#!/usr/bin/env python3
"""Reads every vector file of this folder, or of the one given, and believes none of it.

    python3 check.py [FOLDER]

Standard library only. Every digest is recomputed, every key and signature checked, every encoding read leaf by
leaf, and everything that must be refused is refused for the stated reason. Exits with 1 at the first
disagreement and names the file.
"""

import json
import pathlib
import re
import sys

sys.dont_write_bytecode = True

import blake3
import ed25519


class Disagreement(Exception):
    """The vectors say one thing and this reader another."""


def expect(holds, what):
    if not holds:
        raise Disagreement(what)


def preimage(domain, federation_id, config_digest, data):
    """What a signature of the protocol covers: 105 bytes, never valid UTF-8."""
    return (b"\xff" + b"prism1" + domain.to_bytes(2, "big") + federation_id + config_digest
            + blake3.digest(data))


# ---- keys.json ------------------------------------------------------------------------------------------

def reason(attempt, *arguments):
    """None where it succeeds, else the reason why not."""
    try:
        attempt(*arguments)
    except ed25519.Refused as refused:
        return str(refused)
    return None


def check_keys(file):
    for entry in file["keys"]:
        found = reason(ed25519.check_key, bytes.fromhex(entry["key"]))
        expect(found == entry["refusal"], f"{entry['name']}: {found}, not {entry['refusal']}")
    small = [entry for entry in file["keys"] if entry["refusal"] == "small-order"]
    expect(len({entry["key"] for entry in small}) == 8, "there are eight points of small order")
    for entry in file["signatures"]:
        key, message, signature = (bytes.fromhex(entry[part]) for part in ("key", "message", "signature"))
        found = reason(ed25519.verify, key, message, signature) or "valid"
        expect(found == entry["verdict"], f"{entry['name']}: {found}, not {entry['verdict']}")


# ---- signing.json ---------------------------------------------------------------------------------------

def check_signing(file):
    federation_id, config_digest, seed, key = (
        bytes.fromhex(file[part]) for part in ("federation_id", "config_digest", "seed", "key"))
    numbers = {}
    for entry in file["preimages"]:
        name, number = entry["name"], entry["domain"]
        expect(numbers.setdefault(number, name) == name, f"domain {number} has two names")
        built = preimage(number, federation_id, config_digest, bytes.fromhex(entry["bytes"]))
        expect(built.hex() == entry["preimage"], f"{name}: preimage")
        signature = bytes.fromhex(entry["signature"])
        expect(ed25519.sign(seed, built) == (key, signature), f"{name}: signature of the published seed")
        ed25519.verify(key, built, signature)


# ---- digests.json ---------------------------------------------------------------------------------------

def domain_digest(context, parts):
    """Every part is preceded by its length (eight bytes, little-endian), so that no two lists collide."""
    return blake3.derive_key(context, b"".join(len(part).to_bytes(8, "little") + part for part in parts))


def check_digests(file):
    for entry in file["blobs"]:
        data = bytes(number % 251 for number in range(entry["length"]))
        expect(blake3.digest(data).hex() == entry["digest"], f"blob of {entry['length']} bytes")
    contexts = {}
    for entry in file["digests"]:
        name, context = entry["domain"], entry["context"]
        expect(contexts.setdefault(context, name) == name, f"{context} is the context of two domains")
        found = domain_digest(context, [bytes.fromhex(part) for part in entry["parts"]])
        expect(found.hex() == entry["digest"], f"digest under {context}")
    synthetic = next(context for context, name in contexts.items() if name == "SyntheticKey")
    for entry in file["synthetic_keys"]:
        seed = domain_digest(synthetic, [entry[part].encode() for part in ("label", "role", "owner")])
        key, _ = ed25519.sign(seed, b"")
        expect((seed.hex(), key.hex()) == (entry["seed"], entry["key"]), f"key of {entry['owner']}")


# ---- messages.json --------------------------------------------------------------------------------------

class NotCanonical(Exception):
    """Bytes that are no encoding; its text is the reason."""


class Reader:
    """Reads an encoding from front to back."""

    def __init__(self, data):
        self.data, self.at, self.length = data, 0, 0

    def take(self, count):
        if count > len(self.data) - self.at:
            raise NotCanonical("truncated")
        self.at += count
        return self.data[self.at - count:self.at]

    def varint(self, bits):
        """Seven bits a byte, lowest first; the top bit says that more follow; no byte that adds nothing."""
        number, shift = 0, 0
        while True:
            byte = self.take(1)[0]
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
        if byte == 0 and shift > 0:
            raise NotCanonical("overlong")
        if number >> bits:
            raise NotCanonical("too large")
        return number

    def leaf(self, kind):
        """The bytes and the meaning of the next leaf."""
        start = self.at
        meaning = self.meaning(kind)
        return self.data[start:self.at], meaning

    def meaning(self, kind):
        array = re.fullmatch(r"\[u8; (\d+)\]", kind)
        integer = re.fullmatch(r"([ui])(\d+)", kind)
        variant = re.fullmatch(r"\w+::[\w-]+ of (\d+)", kind)
        if array:
            self.take(int(array[1]))
            return None
        if kind == "u8":
            return str(self.take(1)[0])
        if integer:
            number = self.varint(int(integer[2]))
            if integer[1] == "i":
                number = -(number >> 1) - 1 if number & 1 else number >> 1
            return str(number)
        if variant:
            number = self.varint(32)
            if number >= int(variant[1]):
                raise NotCanonical("variant")
            return str(number)
        if kind in ("bool", "option"):
            byte = self.take(1)[0]
            if byte > 1:
                raise NotCanonical(kind)
            return str(byte)
        if kind == "length":
            self.length = self.varint(64)
            # Every item and every byte that is counted takes at least one byte.
            if self.length > len(self.data) - self.at:
                raise NotCanonical("truncated")
            return str(self.length)
        if kind == "bytes":
            self.take(self.length)
            return None
        if kind == "text":
            try:
                return self.take(self.length).decode("utf-8")
            except UnicodeDecodeError:
                raise NotCanonical("text") from None
        raise Disagreement(f"unknown kind {kind}")


def read(data, kinds):
    """All leaves of an encoding whose kinds are known."""
    reader = Reader(data)
    leaves = [reader.leaf(kind) for kind in kinds]
    if reader.at < len(data):
        raise NotCanonical("trailing")
    return leaves


def part(leaves, path):
    """The bytes of everything at or below a path."""
    below = [bytes.fromhex(leaf[1]) for leaf in leaves if re.fullmatch(re.escape(path) + r"([.\[?].*)?", leaf[2])]
    expect(below, f"nothing at {path}")
    return b"".join(below)


def check_authority(entry, federation_id, config_digest):
    signed, leaves = entry["signed"], entry["leaves"]
    covered = preimage(signed["domain"], federation_id, config_digest, part(leaves, "body"))
    permitted = [bytes.fromhex(key) for key in signed["keys"]]
    if signed["threshold"] is None:
        ed25519.verify(permitted[0], covered, part(leaves, "signature"))
        return
    count = next(int(leaf[4]) for leaf in leaves if leaf[2] == "endorsements.len")
    expect(count >= signed["threshold"], "too few endorsements")
    keys = [part(leaves, f"endorsements[{number}].key") for number in range(count)]
    expect(all(a < b for a, b in zip(keys, keys[1:])), "endorsements out of order")
    for number, key in enumerate(keys):
        expect(key in permitted, "an endorsement by nobody")
        ed25519.verify(key, covered, part(leaves, f"endorsements[{number}].signature"))


def check_message(entry, federation_id, config_digest):
    data, leaves = bytes.fromhex(entry["bytes"]), entry["leaves"]
    expect(len(data) <= entry["limit"], "longer than its limit")
    expect(blake3.digest(data).hex() == entry["blake3"], "digest")
    at = 0
    for (found, meaning), leaf in zip(read(data, [leaf[3] for leaf in leaves]), leaves):
        offset, expected, path, kind, value = leaf
        expect((at, found.hex(), meaning) == (offset, expected, value), f"{path}: {meaning} at {at}")
        at += len(found)
    if entry["signed"]:
        check_authority(entry, federation_id, config_digest)


def is_spoiled(data, original, leaves):
    """Whether the bytes differ from the original in one leaf, or by one byte at the end."""
    if data[:-1] == original or data == original[:-1]:
        return True
    for offset, found, *_ in leaves:
        end = offset + len(found) // 2
        if data.startswith(original[:offset]) and data[offset:].endswith(original[end:]):
            return data != original
    return False


def check_messages(file):
    federation_id, config_digest = (bytes.fromhex(file[part]) for part in ("federation_id", "config_digest"))
    for number, entry in enumerate(file["messages"]):
        try:
            check_message(entry, federation_id, config_digest)
        except (Disagreement, NotCanonical, ed25519.Refused) as what:
            raise Disagreement(f"message {number}, {entry['type']}: {what!r}") from None
    for entry in file["refused"]:
        like = file["messages"][entry["like"]]
        what = f"{entry['type']}, {entry['what']}"
        data, original = bytes.fromhex(entry["bytes"]), bytes.fromhex(like["bytes"])
        expect(like["type"] == entry["type"], f"{what}: made from another type")
        expect(is_spoiled(data, original, like["leaves"]), f"{what}: differs in more than one leaf")
        try:
            read(data, [leaf[3] for leaf in like["leaves"]])
        except NotCanonical as refused:
            expect(str(refused) == entry["reason"], f"{what}: {refused}, not {entry['reason']}")
        else:
            raise Disagreement(f"{what}: not refused")
    for entry in file["names"]:
        is_name = re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", entry["text"], re.ASCII) is not None
        expect(is_name == entry["is_name"], f"name {entry['text']!r}")


def main():
    here = pathlib.Path(__file__).parent
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here
    checks = (("keys.json", check_keys), ("signing.json", check_signing),
              ("digests.json", check_digests), ("messages.json", check_messages))
    for name, check in checks:
        try:
            check(json.loads((folder / name).read_text(encoding="utf-8")))
        except Exception as what:  # Whatever goes wrong while reading, the file is not confirmed.
            sys.exit(f"{name}: {type(what).__name__}: {what}")
        print(f"{name}: agrees")


if __name__ == "__main__":
    main()
