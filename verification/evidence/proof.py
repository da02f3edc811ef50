"""Is an entry in a tree, and does one tree go on from another: the two verifications of RFC 9162, 2.1.3.2 and 2.1.4.2, with RFC 6962 hashing.

Both answer True or False and never raise: indices, sizes and hashes come from outside. A consistency proof from an empty tree says nothing and is
refused; two trees of one size are consistent only with an empty proof and equal roots.
"""

import hashlib
from collections.abc import Sequence

HASH_BYTES = 32
MOST_STEPS = 64  # a tree of 2^64 entries; a longer proof is no proof


def leaf_hash(entry: bytes) -> bytes:
    """Hash of a leaf: SHA-256 of 0x00 and the entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node: SHA-256 of 0x01, left and right."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def verify_inclusion(index: int, size: int, leaf_hash: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `leaf_hash` is leaf `index` (from 0) of the tree of `size` leaves with this root (RFC 9162, 2.1.3.2)."""
    if not (_sizes(index, size) and _hashes(leaf_hash, root) and _path(proof)) or index >= size:
        return False
    fn, sn, r = index, size - 1, bytes(leaf_hash)
    for step in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = node_hash(step, r)
            fn, sn = _to_set_bit(fn, sn)
        else:
            r = node_hash(r, step)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == bytes(root)


def verify_consistency(size1: int, size2: int, root1: bytes, root2: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the tree of `size2` leaves begins with the tree of `size1` leaves (RFC 9162, 2.1.4.2)."""
    if not (_sizes(size1, size2) and _hashes(root1, root2) and _path(proof)) or not 0 < size1 <= size2:
        return False
    if size1 == size2:
        return not proof and bytes(root1) == bytes(root2)
    path = [bytes(step) for step in proof]
    if size1 & (size1 - 1) == 0:
        path.insert(0, bytes(root1))
    if not path:
        return False
    return _replay(size1 - 1, size2 - 1, path) == (bytes(root1), bytes(root2))


def _replay(fn: int, sn: int, path: list[bytes]) -> tuple[bytes, bytes] | None:
    """Both roots as the path gives them, or None where its length does not fit."""
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for step in path[1:]:
        if sn == 0:
            return None
        if fn & 1 or fn == sn:
            fr, sr = node_hash(step, fr), node_hash(step, sr)
            fn, sn = _to_set_bit(fn, sn)
        else:
            sr = node_hash(sr, step)
        fn, sn = fn >> 1, sn >> 1
    return (fr, sr) if sn == 0 else None


def _to_set_bit(fn: int, sn: int) -> tuple[int, int]:
    """Shift both right until the lowest bit of `fn` is set or `fn` is 0."""
    while fn and not fn & 1:
        fn, sn = fn >> 1, sn >> 1
    return fn, sn


def _sizes(*numbers: object) -> bool:
    return all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 1 << MOST_STEPS for n in numbers)


def _hashes(*hashes: object) -> bool:
    return all(isinstance(h, bytes | bytearray | memoryview) and len(bytes(h)) == HASH_BYTES for h in hashes)


def _path(proof: object) -> bool:
    return isinstance(proof, list | tuple) and len(proof) <= MOST_STEPS and _hashes(*proof)
