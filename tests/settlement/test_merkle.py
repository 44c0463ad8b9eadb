"""The sparse tree against its definition, written out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.protocol.words import keccak
from penstock.spec import merkle
from penstock.spec.merkle import ABSENT, EMPTY, Tree, list_root, root_from_proof

DEPTH = 3
hashes = st.binary(min_size=32, max_size=32)
writes = st.lists(st.tuples(st.integers(0, 4**DEPTH - 1), hashes | st.just(ABSENT)), max_size=20)


def naive_root(leaves: dict[int, bytes], depth: int, at: int = 0) -> bytes:
    if depth == 0:
        return leaves.get(at, ABSENT)
    return keccak(b"\x02" + b"".join(naive_root(leaves, depth - 1, 4 * at + child) for child in range(4)))


@given(writes)
def test_a_tree_has_the_root_of_its_definition(sequence: list[tuple[int, bytes]]):
    tree = Tree(DEPTH)
    for index, leaf in sequence:
        tree.set(index, leaf)
    assert tree.root() == naive_root(dict(sequence), DEPTH)


@given(writes, writes)
def test_roots_in_between_do_not_change_the_last_one(before: list[tuple[int, bytes]], after: list[tuple[int, bytes]]):
    lazy, eager = Tree(DEPTH), Tree(DEPTH)
    for index, leaf in before + after:
        lazy.set(index, leaf)
        eager.set(index, leaf)
        eager.root()
    assert lazy.root() == eager.root()


@given(writes, st.integers(0, 4**DEPTH - 1))
def test_a_proof_leads_from_any_leaf_to_the_root(sequence: list[tuple[int, bytes]], index: int):
    tree = Tree(DEPTH)
    for written, leaf in sequence:
        tree.set(written, leaf)
    proof = tree.proof(index)
    assert len(proof) == 3 * DEPTH
    assert root_from_proof(index, tree.leaf(index), proof) == tree.root()


@given(writes, st.integers(0, 4**DEPTH - 1), st.integers(0, 4**DEPTH - 1))
def test_a_proof_is_for_one_index(sequence: list[tuple[int, bytes]], index: int, other: int):
    tree = Tree(DEPTH)
    tree.set(index, b"\x01" * 32)
    for written, leaf in sequence:
        if written != index:
            tree.set(written, leaf)
    same_root = root_from_proof(other, tree.leaf(index), tree.proof(index)) == tree.root()
    assert same_root == (other == index)


@given(writes, writes)
def test_a_removed_leaf_leaves_no_trace(kept: list[tuple[int, bytes]], removed: list[tuple[int, bytes]]):
    tree = Tree(DEPTH)
    for index, leaf in kept + removed:
        tree.set(index, leaf)
    tree.root()
    for index in {index for index, _ in kept + removed}:
        tree.set(index, ABSENT)
    assert tree.root() == EMPTY[DEPTH]
    assert not any(tree._levels)


def test_a_copy_is_independent():
    tree = Tree(DEPTH)
    tree.set(5, b"\x01" * 32)
    twin = tree.copy()
    twin.set(6, b"\x02" * 32)
    assert tree.root() == naive_root({5: b"\x01" * 32}, DEPTH)
    assert twin.root() == naive_root({5: b"\x01" * 32, 6: b"\x02" * 32}, DEPTH)


@pytest.mark.parametrize("index", [-1, 4**DEPTH])
def test_an_index_outside_the_tree_is_refused(index: int):
    tree = Tree(DEPTH)
    for act in (lambda: tree.set(index, ABSENT), lambda: tree.proof(index), lambda: tree.leaf(index)):
        with pytest.raises(ValueError, match="outside a tree"):
            act()
    with pytest.raises(ValueError, match="outside a tree"):
        root_from_proof(index, ABSENT, [ABSENT] * 3 * DEPTH)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_leaf_hash_has_thirty_two_bytes(length: int):
    with pytest.raises(ValueError, match="32 bytes"):
        Tree(DEPTH).set(0, bytes(length))
    with pytest.raises(ValueError, match="32 bytes"):
        list_root([bytes(length)], DEPTH)


@pytest.mark.parametrize("depth", [0, 33])
def test_a_depth_without_reason_is_refused(depth: int):
    with pytest.raises(ValueError, match=r"outside 1\.\.32"):
        Tree(depth)


def test_siblings_come_in_threes():
    with pytest.raises(ValueError, match="three a level"):
        root_from_proof(0, ABSENT, [ABSENT] * 4)


@settings(max_examples=60)
@given(st.lists(hashes, max_size=4**DEPTH))
def test_a_list_has_the_root_of_the_tree_of_its_members(leaves: list[bytes]):
    tree = Tree(DEPTH)
    for index, leaf in enumerate(leaves):
        tree.set(index, leaf)
    assert list_root(leaves, DEPTH) == tree.root()


def test_a_list_longer_than_its_tree_is_refused():
    assert list_root([ABSENT] * 4**DEPTH, DEPTH) == EMPTY[DEPTH]
    with pytest.raises(ValueError, match="do not fit"):
        list_root([ABSENT] * (4**DEPTH + 1), DEPTH)


@pytest.mark.parametrize("length", [0, 1, 5, 1000])
def test_a_list_takes_a_third_as_many_hashes(monkeypatch: pytest.MonkeyPatch, length: int):
    hashed = []
    monkeypatch.setattr(merkle, "keccak", lambda payload: hashed.append(payload) or keccak(payload))
    list_root([b"\x01" * 32] * length, 10)
    assert len(hashed) <= length / 3 + 2 * 10


def test_one_write_rehashes_one_path(monkeypatch: pytest.MonkeyPatch):
    tree = Tree(12)
    for index in range(500):
        tree.set(index * 7919, b"\x01" * 32)
    tree.root()
    hashed = []
    monkeypatch.setattr(merkle, "keccak", lambda payload: hashed.append(payload) or keccak(payload))
    tree.set(7919, b"\x02" * 32)
    tree.root()
    tree.root()
    assert len(hashed) == 12
