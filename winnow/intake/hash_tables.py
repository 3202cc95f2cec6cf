"""Neighbours among many perceptual hashes in linear time: tables that each show some of the bits.

Of two hashes that differ in few bits, some table shows bits that all agree, or all but one: those come into one bucket,
or into two that one bit parts (locality-sensitive hashing with probes; Indyk and Motwani 1998, Lv et al. 2007). What
shares no bucket in any table is missed: with the constants here, of pairs that differ in 40 of 256 bits 0.4 %, in 50
8 %, in 64 46 %, and each pair has six tries, by the crops of both images. Of 60 photographs with five planted copies
each, among 21,000 other hashes, 895 of 900 pairs are found, and every family by chains of pairs. Which tables there are
is fixed, so that whether two images meet depends on them alone, unless a bucket is full.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]

TABLES = 32
SHOWN = 20  # bits of a table: a million buckets, in which few unlike hashes meet; of few hashes fewer
FULL = (
    32  # hashes of a bucket that are compared: those with the smallest rows, by which all that are alike hang together
)
BLOCK = 2**16  # hashes asked for at a time
# Places in a number: of the row asked for, up to 2**26, and of a distance of up to 1,023 bits, above a row up to 2**27.
ASKED, DISTANCE = 37, 27


def near_by_tables(index: Bits, asked: Bits, *, radius: int, nearest: int) -> Rows:
    """(P, 2) row asked for and row of the index that differ in few bits, for each row asked for the nearest.

    Args:
        index: (N, B) packed bits, B divisible by 8.
        asked: (M, B) likewise.
        radius: bits that may differ.
        nearest: pairs of a row asked for, at most; of equally near ones those with the smallest rows.

    Time O((N + M) TABLES SHOWN) where hashes spread over the buckets, memory O(N + M nearest).
    """
    bits = 8 * index.shape[1]
    shown = min(SHOWN, bits, len(index).bit_length() + 5)  # no more than some dozens of buckets a hash
    draw = np.random.default_rng(0)
    words = np.ascontiguousarray(index).view(np.uint64), np.ascontiguousarray(asked).view(np.uint64)
    best = np.empty(0, np.int64)  # of ``_within``
    for _ in range(TABLES):
        chosen = np.sort(draw.choice(bits, shown, replace=False))
        codes = _codes(index, chosen)
        order = np.argsort(codes, kind="stable")
        starts = np.zeros(2**shown + 1, np.int32)
        starts[1:] = np.cumsum(np.bincount(codes, minlength=2**shown))
        found = [best]
        code = _codes(asked, chosen)
        by_code = np.argsort(code, kind="stable")  # neighbours in the table of buckets are asked for together
        for begin in range(0, len(asked), BLOCK):
            rows = by_code[begin : begin + BLOCK]
            found += [_within(rows, place, words, radius) for place in _probed(code[rows], order, starts, shown)]
        best = _nearest(np.concatenate(found), nearest)
    return np.stack([best >> ASKED, best & (1 << DISTANCE) - 1], axis=1)


def _codes(hashes: Bits, chosen: Rows) -> Codes:
    """(N,) number of each hash's bucket: its chosen bits."""
    codes = np.zeros(len(hashes), np.int32)
    for bit in chosen.tolist():
        codes <<= 1
        codes |= (hashes[:, bit // 8] >> (7 - bit % 8)) & 1
    return codes


def _probed(codes: Codes, order: Rows, starts: Codes, shown: int) -> Iterator[tuple[Rows, Rows]]:
    """Positions among the codes, and rows of the index in the same bucket; then, bit by bit, in that across the bit."""
    for mask in (0, *(1 << bit for bit in range(shown))):
        bucket = codes ^ mask
        counts = starts[bucket + 1] - starts[bucket]
        hit = np.flatnonzero(counts)  # most buckets are empty
        counts = np.minimum(counts[hit], FULL)
        position = np.repeat(hit, counts)
        offset = np.arange(len(position)) - np.repeat(np.cumsum(counts) - counts, counts)
        yield position, order[starts[bucket[position]] + offset]


def _within(rows: Rows, place: tuple[Rows, Rows], words: tuple[Words, Words], radius: int) -> Rows:
    """(P,) of those pairs that are near: row asked for, distance and row of the index in one number, to be sorted."""
    position, row = place
    one = rows[position]
    distance = np.bitwise_count(words[1][one] ^ words[0][row]).sum(axis=1, dtype=np.int64)
    near = distance <= radius
    found: Rows = one[near] << ASKED | distance[near] << DISTANCE | row[near]
    return found


def _nearest(found: Rows, nearest: int) -> Rows:
    """Each pair once, and of each row asked for the nearest."""
    unique = np.unique(found)
    asked = unique >> ASKED
    kept: Rows = unique[np.arange(len(unique)) - np.searchsorted(asked, asked) < nearest]
    return kept
