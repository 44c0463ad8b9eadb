"""One signature over many records: what a bundle may hold and what it may not."""

import pytest
from msgspec.structs import replace

from penstock.protocol.commands import (
    ATOMIC,
    INDEPENDENT,
    SLOT_COMMANDS,
    Bundle,
    CancelOrder,
    CreditDeposit,
    Liquidate,
    PublishPrice,
    encode_record,
)
from penstock.protocol.quantities import MAX_BUNDLE
from penstock.protocol.reasons import Reason, Refusal
from penstock.protocol.signing import bundle_root, hash_record, pack_envelope, seal_bundle, verify
from penstock.protocol.words import keccak
from protocol.records import SEPARATOR, SIGNERS, example_of

SIGNER = SIGNERS[0]


def cancels(count):
    return [CancelOrder(1, 16 + i, 5, 9) for i in range(count)]


def bundle_of(members, **changes):
    root = bundle_root([hash_record(m) for m in members])
    return replace(Bundle(root, len(members), INDEPENDENT, 1, 9), **changes)


def envelope_of(bundle, members, encoded=None):
    signature = SIGNER.sign(SEPARATOR, hash_record(bundle))
    return pack_envelope(SEPARATOR, encode_record(bundle), [signature], encoded or [encode_record(m) for m in members])


def reason_of(envelope):
    with pytest.raises(Refusal) as refused:
        verify(SEPARATOR, envelope)
    return refused.value.reason


def root_by_definition(hashes):
    """Pairs from the left, a lonely last node beside 32 zero bytes, up to one."""
    level = [keccak(b"\0" + h) for h in hashes]
    while len(level) > 1:
        pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
        level = [keccak(b"\1" + p[0] + (p[1] if len(p) == 2 else bytes(32))) for p in pairs]
    return level[0]


@pytest.mark.parametrize("count", range(1, MAX_BUNDLE + 1))
def test_a_bundle_of_any_size_verifies_under_its_root(count):
    members = cancels(count)
    assert bundle_root([hash_record(m) for m in members]) == root_by_definition([hash_record(m) for m in members])
    assert [m.record for m in verify(SEPARATOR, seal_bundle(SEPARATOR, 1, 9, members, SIGNER)).members] == members


def test_the_roots_of_all_sizes_differ():
    hashes = [hash_record(m) for m in cancels(MAX_BUNDLE)]
    assert len({bundle_root(hashes[:n]) for n in range(1, MAX_BUNDLE + 1)}) == MAX_BUNDLE


def test_an_order_of_every_client_type_may_be_a_member():
    members = [replace(example_of(record_type), subaccount=1) for record_type in SLOT_COMMANDS]
    assert len(verify(SEPARATOR, seal_bundle(SEPARATOR, 1, 9, members, SIGNER)).members) == len(SLOT_COMMANDS)


@pytest.mark.parametrize(("stated", "held"), [(0, 0), (0, 1), (1, 2), (3, 2), (64, 65), (65, 65), (255, 1)])
def test_a_bundle_must_hold_what_it_states_and_64_at_most(stated, held):
    members = cancels(held)
    bundle = Bundle(bundle_root([hash_record(m) for m in members or cancels(1)]), stated, INDEPENDENT, 1, 9)
    assert reason_of(envelope_of(bundle, members)) is Reason.BUNDLE_COUNT_WRONG


@pytest.mark.parametrize("mode", [ATOMIC, 2, 255])
def test_only_independent_bundles_run_in_this_release(mode):
    members = cancels(2)
    assert reason_of(envelope_of(bundle_of(members, mode=mode), members)) is Reason.BUNDLE_MODE_UNKNOWN


@pytest.mark.parametrize(
    "stranger",
    [
        CancelOrder(2, 17, 5, 9),
        Bundle(bytes(32), 1, INDEPENDENT, 1, 9),
        PublishPrice(0, 5, 100, 101),
        Liquidate(1),
        replace(example_of(CreditDeposit), subaccount=1),
    ],
    ids=["another subaccount", "a bundle", "a price", "a poke", "a deposit"],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_bundle_holds_client_commands_of_its_own_subaccount_only(stranger, place):
    members = cancels(2)
    members.insert(place, stranger)
    assert reason_of(envelope_of(bundle_of(members), members)) is Reason.BUNDLE_MEMBER_REFUSED


def test_members_in_another_order_or_another_member_break_the_root():
    members = cancels(4)
    bundle = bundle_of(members)
    for others in (members[::-1], [*members[:3], CancelOrder(1, 99, 5, 9)], [members[0]] * 4):
        assert reason_of(envelope_of(bundle, others)) is Reason.BUNDLE_ROOT_WRONG


def test_a_member_that_is_no_record_is_refused_by_its_own_reason():
    members = cancels(2)
    first, second = (encode_record(m) for m in members)
    wide = second[:32] + b"\1" + second[33:]
    for broken, reason in (
        (b"", Reason.TYPE_UNKNOWN),
        (second[:-1], Reason.RECORD_LENGTH_WRONG),
        (wide, Reason.WORD_NOT_CANONICAL),
    ):
        assert reason_of(envelope_of(bundle_of(members), members, [first, broken])) is reason


def test_a_signature_over_one_bundle_does_not_sign_another():
    signed, other = bundle_of(cancels(2)), bundle_of(cancels(3))
    signature = SIGNER.sign(SEPARATOR, hash_record(signed))
    envelope = pack_envelope(SEPARATOR, encode_record(other), [signature], [encode_record(m) for m in cancels(3)])
    assert reason_of(envelope) is Reason.SIGNATURE_WRONG
