"""Ed25519 [RFC 8032], strict: one encoding of every point and scalar, no small order, no cofactor."""

import hashlib

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)
IDENTITY = (0, 1, 1, 0)


class Refused(Exception):
    """Bytes that are no usable key or signature; its text is the reason."""


def _add(a, b):
    """Points are (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z [RFC 8032, 5.1.4]; the formulas are complete."""
    low, high = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    t, z = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = high - low, z - t, z + t, high + low
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def _times(scalar, point):
    product = IDENTITY
    while scalar:
        if scalar & 1:
            product = _add(product, point)
        point = _add(point, point)
        scalar >>= 1
    return product


def _same(a, b):
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def _encode(point):
    inverse = pow(point[2], -1, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _decode(data):
    """A point in its only encoding [RFC 8032, 5.1.3]."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P:
        raise Refused("not-a-point")
    if y >= P or (x == 0 and sign):
        raise Refused("not-canonical")
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


def _is_small_order(point):
    return _same(_times(8, point), IDENTITY)


BASE = _decode((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def check_key(data):
    """The point of a usable public key: on the curve, canonical, of full order, without torsion."""
    point = _decode(data)
    if _is_small_order(point):
        raise Refused("small-order")
    if not _same(_times(L, point), IDENTITY):
        raise Refused("torsion")
    return point


def verify(key, message, signature):
    """Verifies strictly, or says why not."""
    point = check_key(key)
    encoded, scalar = signature[:32], int.from_bytes(signature[32:], "little")
    if scalar >= L:
        raise Refused("s-not-reduced")
    try:
        commitment = _decode(encoded)
    except Refused as refused:
        raise Refused("r-" + str(refused)) from None
    if _is_small_order(commitment):
        raise Refused("r-small-order")
    challenge = int.from_bytes(hashlib.sha512(encoded + key + message).digest(), "little") % L
    if not _same(_times(scalar, BASE), _add(commitment, _times(challenge, point))):
        raise Refused("equation")


def sign(seed, message):
    """Key and signature of a seed [RFC 8032, 5.1.6]. Not constant in time: for published seeds only."""
    expanded = hashlib.sha512(seed).digest()
    secret = int.from_bytes(expanded[:32], "little") & (2**254 - 8) | 2**254
    key = _encode(_times(secret, BASE))
    nonce = int.from_bytes(hashlib.sha512(expanded[32:] + message).digest(), "little") % L
    encoded = _encode(_times(nonce, BASE))
    challenge = int.from_bytes(hashlib.sha512(encoded + key + message).digest(), "little") % L
    return key, encoded + ((nonce + challenge * secret) % L).to_bytes(32, "little")
