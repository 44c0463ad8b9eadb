"""A record has one byte form, wallets compute the same hash, and nothing else decodes."""

import pytest
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from penstock.protocol.commands import CODECS, RECORD_TYPES, PlaceOrder, decode_record, encode_record
from penstock.protocol.reasons import Reason, Refusal
from penstock.protocol.signing import digest_of, hash_record
from penstock.protocol.words import keccak
from protocol.records import SEPARATOR, any_record, example_of, record_of, typed_message

every_type = pytest.mark.parametrize("record_type", RECORD_TYPES, ids=lambda t: t.__name__)


def reason_of(encoded):
    with pytest.raises(Refusal) as refused:
        decode_record(encoded)
    return refused.value.reason


@every_type
@given(draw=st.data())
def test_a_wallet_hashes_every_record_as_we_do(record_type, draw):
    record = draw.draw(record_of(record_type))
    wallet = encode_typed_data(full_message=typed_message(record))
    assert wallet.body == hash_record(record)
    assert wallet.header == SEPARATOR
    assert keccak(b"\x19" + wallet.version + wallet.header + wallet.body) == digest_of(SEPARATOR, hash_record(record))


@given(record=any_record())
def test_what_is_encoded_decodes_to_the_same_record(record):
    assert decode_record(encode_record(record)) == record


@every_type
def test_a_bit_above_a_fields_width_is_refused_in_every_field(record_type):
    encoded = encode_record(example_of(record_type))
    for place, (_, atom) in enumerate(CODECS[record_type].fields, 1):
        for bit in range(atom.bits, 256):
            at = 32 * (place + 1) - 1 - bit // 8
            bent = encoded[:at] + bytes([encoded[at] | 1 << bit % 8]) + encoded[at + 1 :]
            assert reason_of(bent) is Reason.WORD_NOT_CANONICAL


@every_type
def test_a_record_cut_or_lengthened_anywhere_is_refused(record_type):
    encoded = encode_record(example_of(record_type))
    for length in range(len(encoded)):
        assert reason_of(encoded[:length]) is (Reason.TYPE_UNKNOWN if length < 32 else Reason.RECORD_LENGTH_WRONG)
    assert reason_of(encoded + b"\0") is Reason.RECORD_LENGTH_WRONG
    assert reason_of(encoded + bytes(32)) is Reason.RECORD_LENGTH_WRONG


@every_type
def test_another_typehash_is_refused(record_type):
    encoded = encode_record(example_of(record_type))
    for at in range(32):
        bent = encoded[:at] + bytes([encoded[at] ^ 1]) + encoded[at + 1 :]
        assert reason_of(bent) is Reason.TYPE_UNKNOWN


@given(noise=st.binary(max_size=600))
def test_noise_never_raises_anything_but_a_refusal(noise):
    assert isinstance(reason_of(noise), Reason)


@given(noise=st.binary(min_size=0, max_size=480), record_type=st.sampled_from(RECORD_TYPES))
def test_noise_behind_a_known_typehash_is_a_record_or_a_refusal(noise, record_type):
    encoded = CODECS[record_type].typehash + noise
    try:
        record = decode_record(encoded)
    except Refusal as refusal:
        assert refusal.reason in (Reason.RECORD_LENGTH_WRONG, Reason.WORD_NOT_CANONICAL)
    else:
        assert encode_record(record) == encoded


@every_type
def test_a_value_too_wide_for_its_field_is_not_encoded(record_type):
    for name, atom in CODECS[record_type].fields:
        wrong = [b"\1" * 19, b"\1" * 33] if atom.name in ("address", "bytes32") else _beyond(atom)
        for value in wrong:
            with pytest.raises(ValueError, match=name):
                encode_record(replace(example_of(record_type), **{name: value}))


def _beyond(atom):
    return [1 << atom.bits - 1, -(1 << atom.bits - 1) - 1] if atom.signed else [1 << atom.bits, -1]


@pytest.mark.parametrize("value", [1.5, 7.0, "7", None, b"\0\0\0\0\7"])
def test_a_price_that_is_not_an_integer_is_never_rounded_into_a_signature(value):
    with pytest.raises(ValueError, match="price"):
        encode_record(replace(example_of(PlaceOrder), price=value))
