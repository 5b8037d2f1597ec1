"""The Merkle tree of RFC 6962 section 2.1, grown one leaf at a time.

`Frontier` is all that must be kept to append: the roots of the perfect subtrees on the right edge, at most
one per bit of the size. Rule: a hash is always domain-separated (0x00 before a leaf, 0x01 before two nodes),
so that a leaf can never be passed off as a node.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

EMPTY = hashlib.sha256(b"").digest()
"""The root of no leaves."""


def leaf_hash(body: bytes) -> bytes:
    """The 32-byte hash of one line."""
    return hashlib.sha256(b"\x00" + body).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The 32-byte hash of two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree of `size` leaves, as the roots of its perfect subtrees from left (largest) to right."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def append(self, leaf: bytes) -> "Frontier":
        """The tree with one more leaf hash. Work: one hash per trailing 1-bit of the size."""
        peaks = [*self.peaks, leaf]
        size = self.size
        while size & 1:
            right = peaks.pop()
            peaks[-1] = node_hash(peaks[-1], right)
            size >>= 1
        return Frontier(self.size + 1, tuple(peaks))

    def extend(self, leaves: Iterable[bytes]) -> "Frontier":
        """The tree with all of `leaves` appended in order."""
        tree = self
        for leaf in leaves:
            tree = tree.append(leaf)
        return tree

    def root(self) -> bytes:
        """The root hash as RFC 6962 defines it."""
        if not self.peaks:
            return EMPTY
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def to_bytes(self) -> bytes:
        """8 bytes of size, then the peaks: what the head row and the signer keep."""
        return self.size.to_bytes(8, "big") + b"".join(self.peaks)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Frontier":
        """The inverse of `to_bytes`.

        Raises:
            ValueError: the number of peaks does not belong to the size.
        """
        size, rest = int.from_bytes(data[:8], "big"), data[8:]
        peaks = tuple(rest[i : i + 32] for i in range(0, len(rest), 32))
        if len(data) < 8 or len(rest) != 32 * size.bit_count():
            raise ValueError("this is not a tree frontier")
        return cls(size, peaks)


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over all of `leaves` (hashes)."""
    return Frontier().extend(leaves).root()
