"""`verify` lets through what was signed and nothing else, and names why."""

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from penstock.protocol.commands import (
    POKES,
    RECORD_TYPES,
    SLOT_COMMANDS,
    Bundle,
    CancelOrder,
    CreditDeposit,
    Liquidate,
    PublishPrice,
    encode_record,
)
from penstock.protocol.quantities import MAX_ENVELOPE
from penstock.protocol.reasons import Reason, Refusal
from penstock.protocol.signing import (
    CURVE_ORDER,
    SECP256K1_EIP712,
    SIGNATURE,
    UNSIGNED,
    Domain,
    Member,
    Signer,
    Verified,
    check_signature,
    digest_of,
    hash_record,
    pack_envelope,
    seal,
    seal_bundle,
    verify,
)
from protocol.records import DOMAIN, SEPARATOR, SIGNERS, example_of, record_of, typed_message

UNSIGNED_TYPES = (*POKES, CreditDeposit)
CANCEL = CancelOrder(1, 16, 5, 9)
SIGNER = SIGNERS[0]


def reason_of(envelope, separator=SEPARATOR):
    with pytest.raises(Refusal) as refused:
        verify(separator, envelope)
    return refused.value.reason


def signature_of(r, s, v):
    return SIGNER.address + r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([v])


def with_signature(signature):
    return pack_envelope(SEPARATOR, encode_record(CANCEL), [signature], [])


@pytest.mark.parametrize("record_type", SLOT_COMMANDS, ids=lambda t: t.__name__)
@given(draw=st.data())
def test_a_wallets_signature_verifies_here_and_ours_recovers_there(record_type, draw):
    record = draw.draw(record_of(record_type))
    secret = draw.draw(st.integers(1, CURVE_ORDER - 1)).to_bytes(32, "big")
    signable = encode_typed_data(full_message=typed_message(record))
    wallet = Account.from_key(secret)
    address = bytes.fromhex(wallet.address[2:])
    envelope = pack_envelope(SEPARATOR, encode_record(record), [address + wallet.sign_message(signable).signature], [])
    assert verify(SEPARATOR, envelope) == Verified(record, hash_record(record), (address,))
    ours = Signer(secret).sign(SEPARATOR, hash_record(record))
    assert Account.recover_message(signable, signature=ours[20:]) == wallet.address
    assert Signer(secret).address == address


def test_several_oracles_sign_one_price():
    price = PublishPrice(0, 5, 100, 101)
    found = verify(SEPARATOR, seal(SEPARATOR, price, SIGNERS[::-1]))
    assert found == Verified(price, hash_record(price), tuple(s.address for s in SIGNERS))


def test_pokes_need_no_signature():
    for poke in POKES:
        record = example_of(poke)
        assert verify(SEPARATOR, seal(SEPARATOR, record, [])) == Verified(record, hash_record(record), ())


def test_only_the_node_credits_deposits():
    deposit = example_of(CreditDeposit)
    envelope = seal(SEPARATOR, deposit, [])
    assert reason_of(envelope) is Reason.COMMAND_NOT_FOR_CLIENTS
    assert verify(SEPARATOR, envelope, from_node=True).record == deposit


@pytest.mark.parametrize(
    "envelope",
    [
        seal(SEPARATOR, CANCEL, [SIGNER]),
        seal(SEPARATOR, Liquidate(3), []),
        seal(SEPARATOR, PublishPrice(0, 5, 100, 101), SIGNERS[:3]),
    ],
    ids=["signed", "unsigned", "three signatures"],
)
def test_an_envelope_cut_at_any_byte_or_lengthened_is_truncated(envelope):
    verify(SEPARATOR, envelope)
    for length in range(len(envelope)):
        assert reason_of(envelope[:length]) is Reason.MESSAGE_TRUNCATED
    for extension in (b"\0", b"\1", bytes(65), envelope):
        assert reason_of(envelope + extension) is Reason.MESSAGE_TRUNCATED


def test_a_flipped_bit_anywhere_never_verifies_as_the_same_signer():
    envelope = seal(SEPARATOR, CANCEL, [SIGNER])
    for at in range(len(envelope)):
        for bit in range(8):
            bent = envelope[:at] + bytes([envelope[at] ^ 1 << bit]) + envelope[at + 1 :]
            try:
                found = verify(SEPARATOR, bent)
            except Refusal:
                continue
            assert found.signers != (SIGNER.address,), f"byte {at} bit {bit}"


@given(noise=st.binary(max_size=2_000))
def test_noise_is_refused_with_a_reason(noise):
    assert isinstance(reason_of(noise), Reason)


@given(
    noise=st.binary(max_size=900),
    scheme=st.integers(0, 3),
    count=st.integers(0, 4),
    record_type=st.sampled_from(RECORD_TYPES),
    from_node=st.booleans(),
)
def test_noise_that_begins_like_an_envelope_is_refused_or_verified(noise, scheme, count, record_type, from_node):
    record = encode_record(example_of(record_type))
    head = SEPARATOR + bytes([scheme, count]) + noise[: SIGNATURE * count] + len(record).to_bytes(2, "big") + record
    for envelope in (SEPARATOR + bytes([scheme, count]) + noise, head + noise[SIGNATURE * count :], head + b"\0"):
        try:
            verify(SEPARATOR, envelope, from_node=from_node)
        except Refusal as refusal:
            assert isinstance(refusal.reason, Reason)


@pytest.mark.parametrize(
    "signature",
    [
        signature_of(0, 1, 27),
        signature_of(1, 0, 27),
        signature_of(CURVE_ORDER, 1, 27),
        signature_of(2**256 - 1, 1, 27),
        signature_of(1, CURVE_ORDER // 2 + 1, 27),
        signature_of(1, CURVE_ORDER, 27),
        signature_of(1, 2**256 - 1, 28),
        *[signature_of(1, 1, v) for v in (0, 1, 26, 29, 30, 35, 255)],
    ],
)
def test_r_s_and_v_out_of_range_are_malformed(signature):
    assert reason_of(with_signature(signature)) is Reason.SIGNATURE_MALFORMED


def test_the_other_root_of_a_good_signature_is_refused():
    good = SIGNER.sign(SEPARATOR, hash_record(CANCEL))
    s = int.from_bytes(good[52:84], "big")
    mirrored = good[:52] + (CURVE_ORDER - s).to_bytes(32, "big") + bytes([55 - good[84]])
    verify(SEPARATOR, with_signature(good))
    assert reason_of(with_signature(mirrored)) is Reason.SIGNATURE_MALFORMED


def test_an_r_that_is_on_no_curve_point_recovers_nobody():
    r = next(r for r in range(1, 100) if pow(r**3 + 7, (2**256 - 2**32 - 977 - 1) // 2, 2**256 - 2**32 - 977) != 1)
    assert reason_of(with_signature(signature_of(r, 1, 27))) is Reason.SIGNATURE_WRONG
    with pytest.raises(Refusal):
        check_signature(digest_of(SEPARATOR, hash_record(CANCEL)), signature_of(r, 1, 28))


def test_a_signature_is_its_named_signers_whatever_v_says():
    good = SIGNER.sign(SEPARATOR, hash_record(CANCEL))
    flipped = good[:84] + bytes([55 - good[84]])
    assert verify(SEPARATOR, with_signature(flipped)).signers == (SIGNER.address,)
    for named in (SIGNERS[1].address, bytes(20), b"\xff" * 20):
        assert reason_of(with_signature(named + good[20:])) is Reason.SIGNATURE_WRONG


def test_signers_come_in_strictly_ascending_order():
    price = PublishPrice(0, 5, 100, 101)
    signatures = [s.sign(SEPARATOR, hash_record(price)) for s in SIGNERS[:3]]
    for order in ([1, 0], [0, 0], [0, 2, 1], [0, 1, 1]):
        envelope = pack_envelope(SEPARATOR, encode_record(price), [signatures[i] for i in order], [])
        assert reason_of(envelope) is Reason.SIGNERS_NOT_ASCENDING


@pytest.mark.parametrize("record_type", RECORD_TYPES, ids=lambda t: t.__name__)
def test_each_type_takes_its_own_number_of_signatures(record_type):
    record = example_of(record_type)
    encoded = encode_record(record)
    signatures = [s.sign(SEPARATOR, hash_record(record)) for s in SIGNERS]
    good = {0} if record_type in UNSIGNED_TYPES else {1, 2, 3} if record_type is PublishPrice else {1}
    for count in {0, 1, 2, 3} - good:
        with pytest.raises(Refusal) as refused:
            verify(SEPARATOR, pack_envelope(SEPARATOR, encoded, signatures[:count], []), from_node=True)
        assert refused.value.reason is Reason.SIGNATURE_COUNT_WRONG


def test_the_scheme_byte_must_match_the_signatures():
    signed, unsigned = seal(SEPARATOR, CANCEL, [SIGNER]), seal(SEPARATOR, Liquidate(3), [])
    as_unsigned = signed[:32] + bytes([UNSIGNED]) + signed[33:]
    as_signed = unsigned[:32] + bytes([SECP256K1_EIP712]) + unsigned[33:]
    assert reason_of(as_unsigned) is Reason.SIGNATURE_COUNT_WRONG
    assert reason_of(as_signed) is Reason.SIGNATURE_COUNT_WRONG
    for scheme in range(2, 256):
        assert reason_of(signed[:32] + bytes([scheme]) + signed[33:]) is Reason.SCHEME_UNKNOWN


@pytest.mark.parametrize(
    "domain", [Domain(1, DOMAIN.vault), Domain(31337, b"\x78" * 20), Domain(31338, DOMAIN.vault)], ids=str
)
def test_a_signature_for_another_chain_or_vault_is_refused(domain):
    envelope = seal(domain.separator(), CANCEL, [SIGNER])
    assert reason_of(envelope) is Reason.DOMAIN_WRONG
    assert reason_of(SEPARATOR + envelope[32:]) is Reason.SIGNATURE_WRONG, "relabelled with our separator"


def test_65536_bytes_are_read_and_65537_are_not():
    assert reason_of(bytes(MAX_ENVELOPE + 1)) is Reason.MESSAGE_TOO_LARGE
    assert reason_of(seal(SEPARATOR, CANCEL, [SIGNER]).ljust(MAX_ENVELOPE + 1, b"\0")) is Reason.MESSAGE_TOO_LARGE
    assert reason_of(seal(SEPARATOR, CANCEL, [SIGNER]).ljust(MAX_ENVELOPE, b"\0")) is Reason.MESSAGE_TRUNCATED


def test_what_is_wrong_in_two_ways_is_refused_for_the_first():
    signed = seal(SEPARATOR, CANCEL, [SIGNER])
    wrong_domain, wrong_scheme = b"\0" + signed[1:], signed[:32] + b"\7" + signed[33:]
    assert reason_of(wrong_domain[:-1]) is Reason.MESSAGE_TRUNCATED
    assert reason_of(wrong_scheme + b"\0") is Reason.MESSAGE_TRUNCATED
    assert reason_of(b"\0" + wrong_scheme[1:]) is Reason.SCHEME_UNKNOWN
    bad_type = bytearray(wrong_domain)
    bad_type[34 + SIGNATURE + 2] ^= 1
    assert reason_of(bytes(bad_type)) is Reason.DOMAIN_WRONG
    deposit = example_of(CreditDeposit)
    assert reason_of(seal(SEPARATOR, deposit, [SIGNER])) is Reason.COMMAND_NOT_FOR_CLIENTS
    malformed = pack_envelope(SEPARATOR, encode_record(CANCEL), [bytes(SIGNATURE)] * 2, [])
    assert reason_of(malformed) is Reason.SIGNATURE_COUNT_WRONG


def test_members_behind_a_record_that_is_no_bundle_are_refused():
    assert reason_of(seal(SEPARATOR, CANCEL, [SIGNER], [CANCEL])) is Reason.BUNDLE_COUNT_WRONG
    assert reason_of(seal(SEPARATOR, Liquidate(1), [], [CANCEL])) is Reason.BUNDLE_COUNT_WRONG


def test_a_verified_bundle_carries_its_members_and_their_hashes():
    members = [CancelOrder(1, 16 + i, 5, 9) for i in range(3)]
    found = verify(SEPARATOR, seal_bundle(SEPARATOR, 1, 9, members, SIGNER))
    assert isinstance(found.record, Bundle)
    assert found.members == tuple(Member(m, hash_record(m)) for m in members)
    assert found.signers == (SIGNER.address,)
