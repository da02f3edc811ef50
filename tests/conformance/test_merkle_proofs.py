"""RFC 9162 verification against the known answers of Certificate Transparency, and against a tree built here by the RFC's recursive definition."""

import hashlib

import pytest

from verification.evidence.proof import leaf_hash, node_hash, verify_consistency, verify_inclusion

# certificate-transparency's merkle tree test vectors: eight leaves and the root of each prefix.
LEAVES = [bytes.fromhex(h) for h in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION = [  # index, size, proof
    (0, 1, []),
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
]


def mth(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(mth(leaves[:k]), mth(leaves[k:]))


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962, 2.1.1."""
    if len(leaves) <= 1:
        return []
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return [*path(m, leaves[:k]), mth(leaves[k:])] if m < k else [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962, 2.1.2."""
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = 1 << (len(leaves) - 1).bit_length() - 1
    if m <= k:
        return [*subproof(m, leaves[:k], whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def test_roots_of_the_known_answers() -> None:
    assert [mth(LEAVES[:n]).hex() for n in range(1, 9)] == ROOTS


@pytest.mark.parametrize(("index", "size", "proof"), INCLUSION)
def test_known_inclusion_proofs_hold(index: int, size: int, proof: list[str]) -> None:
    steps = [bytes.fromhex(h) for h in proof]
    assert verify_inclusion(index, size, leaf_hash(LEAVES[index]), steps, bytes.fromhex(ROOTS[size - 1]))


def test_every_inclusion_of_every_tree_up_to_33() -> None:
    leaves = [bytes([n]) for n in range(33)]
    for size in range(1, 34):
        root = mth(leaves[:size])
        for index in range(size):
            proof = path(index, leaves[:size])
            assert verify_inclusion(index, size, leaf_hash(leaves[index]), proof, root)
            assert not verify_inclusion(index, size, leaf_hash(b"other"), proof, root)
            assert not verify_inclusion((index + 1) % size, size, leaf_hash(leaves[index]), proof, root) or size == 1
            assert not verify_inclusion(index, size, leaf_hash(leaves[index]), [*proof, root], root)


def test_every_consistency_of_every_tree_up_to_33() -> None:
    leaves = [bytes([n]) for n in range(33)]
    roots = [mth(leaves[:n]) for n in range(34)]
    for size2 in range(1, 34):
        for size1 in range(1, size2 + 1):
            proof = subproof(size1, leaves[:size2], True)
            assert verify_consistency(size1, size2, roots[size1], roots[size2], proof)
            assert not verify_consistency(size1, size2, hashlib.sha256(b"fork").digest(), roots[size2], proof)
            assert not verify_consistency(size1, size2, roots[size1], hashlib.sha256(b"fork").digest(), proof)
            assert not verify_consistency(size1, size2, roots[size1], roots[size2], [*proof, roots[1]])
            if proof:
                assert not verify_consistency(size1, size2, roots[size1], roots[size2], proof[:-1])


def test_an_empty_tree_proves_nothing() -> None:
    assert not verify_consistency(0, 8, mth([]), bytes.fromhex(ROOTS[7]), [])
    assert not verify_consistency(0, 0, mth([]), mth([]), [])
    assert not verify_inclusion(0, 0, leaf_hash(b""), [], mth([]))


def test_two_equal_sizes_need_equal_roots_and_no_proof() -> None:
    root = bytes.fromhex(ROOTS[7])
    assert verify_consistency(8, 8, root, root, [])
    assert not verify_consistency(8, 8, root, root, [root])
    assert not verify_consistency(8, 8, root, bytes.fromhex(ROOTS[6]), [])


@pytest.mark.parametrize("size", [-1, True, 2.0, "8", None, 1 << 70])
def test_bad_sizes_are_false_not_errors(size: object) -> None:
    root = bytes.fromhex(ROOTS[0])
    assert not verify_inclusion(0, size, root, [], root)  # type: ignore[arg-type]
    assert not verify_inclusion(size, 8, root, [root] * 3, root)  # type: ignore[arg-type]
    assert not verify_consistency(size, 8, root, root, [root])  # type: ignore[arg-type]
    assert not verify_consistency(4, size, root, root, [root])  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [b"", b"short", None, 5, "6e34"])
def test_bad_hashes_are_false_not_errors(bad: object) -> None:
    root = bytes.fromhex(ROOTS[0])
    assert not verify_inclusion(0, 1, bad, [], root)  # type: ignore[arg-type]
    assert not verify_inclusion(0, 1, root, [], bad)  # type: ignore[arg-type]
    assert not verify_inclusion(0, 2, root, [bad], root)  # type: ignore[list-item]
    assert not verify_consistency(1, 2, root, root, [bad])  # type: ignore[list-item]
    assert not verify_consistency(1, 2, root, root, bad)  # type: ignore[arg-type]
