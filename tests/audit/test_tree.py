"""The tree against public vectors, and against RFC 6962's own recursive words for random trees."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.audit.tree import EMPTY, Frontier, leaf_hash, node_hash, root_of

LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
"""The test leaves of the certificate-transparency reference (google/certificate-transparency,
cpp/merkletree/merkle_tree_test.cc; the same in transparency-dev/merkle, testonly/reference_data.go)."""

ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""Their roots for the first 0 to 8 of them, from the same files."""


def tree_hash(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word for word and as slow as it is written there."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + tree_hash(leaves[:k]) + tree_hash(leaves[k:])).digest()


@pytest.mark.parametrize("size", range(9))
def test_the_roots_are_those_of_the_certificate_transparency_reference(size: int) -> None:
    assert root_of([leaf_hash(leaf) for leaf in LEAVES[:size]]).hex() == ROOTS[size]
    assert tree_hash(LEAVES[:size]).hex() == ROOTS[size], "and the definition in this file is right too"


BODIES = st.lists(st.binary(max_size=12), max_size=70)


@given(BODIES)
def test_any_tree_has_the_root_that_the_standard_defines(bodies: list[bytes]) -> None:
    assert root_of([leaf_hash(body) for body in bodies]) == tree_hash(bodies)


@given(BODIES, BODIES)
def test_a_tree_can_be_put_down_as_bytes_at_any_size_and_gone_on_with(
    first: list[bytes], second: list[bytes]
) -> None:
    before = Frontier().extend(map(leaf_hash, first))
    again = Frontier.from_bytes(before.to_bytes())
    assert again == before
    after = again.extend(map(leaf_hash, second))
    assert (after.size, after.root()) == (len(first + second), tree_hash(first + second))
    assert len(after.peaks) == after.size.bit_count()


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=40), st.data())
def test_any_line_changed_cut_moved_doubled_or_inserted_gives_another_root(
    bodies: list[bytes], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(bodies) - 1))
    other = data.draw(st.binary(max_size=8))
    variants = [
        [*bodies[:place], other, *bodies[place + 1 :]],
        [*bodies[:place], *bodies[place + 1 :]],
        [*bodies[:place], bodies[place], *bodies[place:]],
        [*bodies[:place], other, *bodies[place:]],
        [*bodies[place:], *bodies[:place]],
    ]
    root = root_of([leaf_hash(body) for body in bodies])
    for variant in variants:
        assert (root_of([leaf_hash(body) for body in variant]) == root) is (variant == bodies)


def test_a_leaf_cannot_be_passed_off_as_a_node() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(left + right) != node_hash(left, right)
    assert root_of([leaf_hash(left + right)]) != root_of([left, right])


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert Frontier().root() == EMPTY == hashlib.sha256().digest()


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\x00" * 7,
        (1).to_bytes(8, "big"),
        (0).to_bytes(8, "big") + b"x" * 32,
        (3).to_bytes(8, "big") + b"x" * 32,
        (3).to_bytes(8, "big") + b"x" * 63,
        (3).to_bytes(8, "big") + b"x" * 96,
    ],
)
def test_bytes_that_are_no_tree_are_refused(damaged: bytes) -> None:
    with pytest.raises(ValueError, match="not a tree frontier"):
        Frontier.from_bytes(damaged)
