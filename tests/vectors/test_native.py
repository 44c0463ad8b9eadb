"""The native core against the stored vectors: bytes in, bytes out, nothing of the spec in between."""

import pytest

from penstock.engine.native import NativeEngine
from penstock.protocol.commands import Bundle
from penstock.protocol.reasons import Reason
from penstock.protocol.signing import Domain, Member, Verified, hash_record
from penstock.protocol.wire import PackedMessage, encode_message
from vectors.test_vectors import SEQUENCES, plain, stored, to_bytes, to_genesis, to_record

pytestmark = pytest.mark.needs_native


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_stored_sequence_replays_on_the_native_core(name):
    from penstock.engine.native import NativeMessage

    vector = stored(name)
    engine = NativeEngine(to_genesis(vector["genesis"]))
    tree = engine.tree()
    for command in vector["commands"]:
        record = to_record(command["record"])
        members = tuple(Member(r, hash_record(r)) for r in map(to_record, command["members"]))
        message = Verified(record, hash_record(record), tuple(to_bytes(s) for s in command["signers"]), members)
        native = NativeMessage(encode_message(message))
        assert (native.record, native.members, native.signers) == (record, members, message.signers)
        [applied] = engine.apply([(int(command["sequence"]), int(command["time"]), native)])
        assert plain(applied.events) == command["events"]
        assert plain([e.packed for e in applied.entries]) == command["entries"]
        assert plain(engine.engine_root()) == command["engine_root"]
        tree.advance_all(applied.entries)
    assert plain(tree.root()) == vector["settlement_root"]
    assert engine.tree().root() == tree.root(), "a tree counted from the state is the one its entries lead to"


def test_the_stored_records_bundles_and_refusals_verify_the_same_way():
    import penstock_core

    records, bundles, refusals = (stored(f"encode/{name}.json") for name in ("records", "bundles", "refusals"))
    for case in records["records"]:
        assert penstock_core.keccak256(to_bytes(case["encoded"])) == to_bytes(case["hash"])
        if not isinstance(to_record(case["record"]), Bundle):
            verifier = penstock_core.Verifier(to_bytes(records["domain"]["separator"]))
            [packed] = verifier.verify([to_bytes(case["envelope"])], [True])
            message = PackedMessage.of(packed)
            assert (message.record, message.record_hash) == (to_bytes(case["encoded"]), to_bytes(case["hash"]))
            assert plain(list(message.signers)) == case["signers"]
    separator = Domain(31337, b"\x77" * 20).separator()
    [packed] = penstock_core.Verifier(separator).verify([to_bytes(bundles["sealed"]["envelope"])], [False])
    assert len(PackedMessage.of(packed).members) == len(bundles["sealed"]["members"])
    domain = Domain(int(refusals["domain"]["chain_id"]), to_bytes(refusals["domain"]["vault"]))
    envelopes = [to_bytes(case["envelope"]) for case in refusals["refused"]]
    found = penstock_core.Verifier(domain.separator()).verify(envelopes, [False] * len(envelopes))
    assert [Reason(reason).name for reason in found] == [case["reason"] for case in refusals["refused"]]
