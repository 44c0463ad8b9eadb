"""Receipts: one proof a message, one byte form a receipt, and nothing but the operator's signature will do."""

import pytest
from eth_account.messages import encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from penstock.protocol.commands import CancelOrder, decode_record
from penstock.protocol.ledger import sequenced_hash
from penstock.protocol.reasons import Reason, Refusal
from penstock.protocol.receipts import (
    CODEC,
    COMMIT_WITHIN,
    NO_RECEIPT,
    WIRE,
    Receipt,
    SignedReceipt,
    check_path,
    check_receipt,
    decode_receipt,
    path_in,
    receipt_leaf,
    receipt_levels,
    receipt_path,
    receipt_root,
    sign_receipt,
)
from penstock.protocol.signing import CURVE_ORDER, digest_of, hash_record, seal, signatures_of, verify
from penstock.protocol.words import keccak

from .records import DOMAIN, SEPARATOR, SIGNERS

OPERATOR, STRANGER = SIGNERS[:2]
LEAVES = [keccak(number.to_bytes(2, "big")) for number in range(300)]
RECEIPT = Receipt(1, 7, 40, 44, keccak(b"previous"), receipt_root(LEAVES[:5]), 9_000, 9_000 + COMMIT_WITHIN)
SIGNED = sign_receipt(SEPARATOR, RECEIPT, OPERATOR)


@st.composite
def places(draw):
    """A group's leaves and an index into them."""
    count = draw(st.one_of(st.integers(1, 300), st.sampled_from([1, 2, 3, 4, 5, 255, 256, 257])))
    return LEAVES[:count], draw(st.integers(0, count - 1))


def refusal(of, *arguments):
    with pytest.raises(Refusal) as refused:
        of(*arguments)
    return refused.value.reason


@given(places())
def test_every_message_of_a_group_has_a_path_to_its_root(place):
    leaves, index = place
    path = receipt_path(leaves, index)
    assert len(path) == (len(leaves) - 1).bit_length()
    assert check_path(leaves[index], index, len(leaves), path, receipt_root(leaves))


@given(places(), st.integers(-2, 600))
def test_no_leaf_proves_another_index(place, other):
    leaves, index = place
    proven = check_path(leaves[index], other, len(leaves), receipt_path(leaves, index), receipt_root(leaves))
    assert proven == (other == index)


@given(places(), st.integers(0, 255), st.integers(1, 255), st.integers(0, 31))
def test_another_leaf_root_or_sibling_is_refused(place, at, flip, byte):
    leaves, index = place
    count, path, root = len(leaves), receipt_path(leaves, index), receipt_root(leaves)

    def flipped(part):
        return part[:byte] + bytes([part[byte] ^ flip]) + part[byte + 1 :]

    assert not check_path(flipped(leaves[index]), index, count, path, root)
    assert not check_path(leaves[index], index, count, path, flipped(root))
    if path:
        at %= len(path)
        assert not check_path(leaves[index], index, count, [*path[:at], flipped(path[at]), *path[at + 1 :]], root)


@given(places())
def test_a_path_of_another_depth_or_of_pieces_that_are_no_hashes_is_refused(place):
    leaves, index = place
    count, path, root = len(leaves), receipt_path(leaves, index), receipt_root(leaves)
    assert not check_path(leaves[index], index, count, [*path, bytes(32)], root)
    assert not check_path(leaves[index], index, 4 * count, path, root)
    assert not check_path(leaves[index], index, 0, path, root)
    if path:
        assert not check_path(leaves[index], index, count, path[:-1], root)
        assert not check_path(leaves[index], index, count, [*path[:-1], path[-1][:-1]], root)
        assert not check_path(leaves[index], index, count, [b"", *path[1:]], root)
    assert not check_path(leaves[index][:-1], index, count, path, root)


def test_padding_is_no_message():
    levels = receipt_levels(LEAVES[:5])
    path = [LEAVES[4], *path_in(levels, 4)[1:]]
    assert not check_path(bytes(32), 5, 5, path, levels[-1])


def test_a_group_has_messages_and_an_index_is_inside():
    with pytest.raises(ValueError, match="at least one"):
        receipt_root([])
    with pytest.raises(ValueError, match="index 5 is outside a group of 5"):
        receipt_path(LEAVES[:5], 5)


def test_a_leaf_is_built_on_the_leaf_that_the_batch_commits_to():
    cancel = CancelOrder(1, 16, 5, 9)
    envelope = seal(SEPARATOR, cancel, [OPERATOR])
    in_batch = sequenced_hash(3, 77, hash_record(cancel), keccak(signatures_of(envelope)), [])
    assert receipt_leaf(3, 77, envelope) == receipt_leaf(3, 77, envelope, hash_record(cancel))
    assert receipt_leaf(3, 77, envelope) == keccak(b"\x10" + in_batch)
    assert len({receipt_leaf(*at, envelope) for at in ((3, 77), (3, 78), (4, 77))}) == 3


def test_a_receipt_is_what_a_wallet_would_sign_and_its_signature_never_varies():
    wallet = encode_typed_data(
        {"name": "Penstock", "version": "1", "chainId": DOMAIN.chain_id, "verifyingContract": DOMAIN.vault},
        {"Receipt": [{"name": name, "type": atom.name} for name, atom in CODEC.fields]},
        {name: getattr(RECEIPT, name) for name, _ in CODEC.fields},
    )
    assert keccak(b"\x19" + wallet.version + wallet.header + wallet.body) == digest_of(SEPARATOR, RECEIPT.hash())
    assert sign_receipt(SEPARATOR, RECEIPT, OPERATOR) == SIGNED


def test_a_signed_receipt_survives_the_wire():
    wire = SIGNED.encode()
    assert len(wire) == WIRE == 341
    assert decode_receipt(wire) == SIGNED
    check_receipt(SEPARATOR, OPERATOR.address, decode_receipt(wire))


@pytest.mark.parametrize("at", range(WIRE))
def test_no_byte_of_a_signed_receipt_can_be_changed(at):
    wire = SIGNED.encode()
    for flip in (1, 7, 0x80, 0xFF):
        changed = wire[:at] + bytes([wire[at] ^ flip]) + wire[at + 1 :]
        with pytest.raises(Refusal):
            check_receipt(SEPARATOR, OPERATOR.address, decode_receipt(changed))


@given(st.binary(max_size=400))
def test_bytes_of_another_length_are_no_receipt(wire):
    if len(wire) != WIRE:
        assert refusal(decode_receipt, wire) is Reason.RECORD_LENGTH_WRONG


@settings(max_examples=30)
@given(st.binary(min_size=WIRE, max_size=WIRE))
def test_reading_a_receipt_is_total(wire):
    with pytest.raises(Refusal):
        check_receipt(SEPARATOR, OPERATOR.address, decode_receipt(wire))


def test_only_the_operators_own_signature_in_its_one_form_will_do():
    signature = SIGNED.signature
    twin = signature[:52] + (CURVE_ORDER - int.from_bytes(signature[52:84], "big")).to_bytes(32, "big")
    wrong = {
        sign_receipt(SEPARATOR, RECEIPT, STRANGER).signature: Reason.SIGNATURE_WRONG,
        OPERATOR.address + sign_receipt(SEPARATOR, RECEIPT, STRANGER).signature[20:]: Reason.SIGNATURE_WRONG,
        sign_receipt(bytes(32), RECEIPT, OPERATOR).signature: Reason.SIGNATURE_WRONG,
        signature[:-1] + bytes([55 - signature[-1]]): Reason.SIGNATURE_WRONG,
        twin + bytes([55 - signature[-1]]): Reason.SIGNATURE_MALFORMED,
        signature[:-1]: Reason.SIGNATURE_MALFORMED,
    }
    for changed, reason in wrong.items():
        assert refusal(check_receipt, SEPARATOR, OPERATOR.address, SignedReceipt(RECEIPT, changed)) is reason


def test_a_receipt_is_never_taken_for_a_command():
    encoded = CODEC.encode(RECEIPT)
    assert refusal(decode_record, encoded) is Reason.TYPE_UNKNOWN
    envelope = SEPARATOR + b"\1\1" + SIGNED.signature + len(encoded).to_bytes(2, "big") + encoded + b"\0"
    assert refusal(verify, SEPARATOR, envelope) is Reason.TYPE_UNKNOWN


@pytest.mark.parametrize(
    "changes",
    [{"group": 0}, {"first_sequence": 0}, {"last_sequence": 39}, {"deadline": RECEIPT.deadline + 1}, {"time": 8_999}],
)
def test_numbers_that_no_group_has_are_not_sound(changes):
    assert RECEIPT.sound and RECEIPT.count == 5
    assert not replace(RECEIPT, **changes).sound


def test_the_first_receipt_names_no_other():
    first = Receipt(1, 1, 1, 1, NO_RECEIPT, LEAVES[0], 5, 5 + COMMIT_WITHIN)
    assert first.sound and first.count == 1
