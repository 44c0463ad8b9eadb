"""The golden vectors are what the spec does, and the files alone are enough to check another implementation."""

import json
from decimal import Decimal

import pytest

from penstock.protocol.commands import CODECS, Bundle, decode_record, encode_record
from penstock.protocol.events import Event
from penstock.protocol.ledger import ENTRY_FORMS, LEAF_FORMS
from penstock.protocol.reasons import Refusal
from penstock.protocol.receipts import (
    CODEC,
    Receipt,
    check_path,
    check_receipt,
    decode_receipt,
    receipt_leaf,
    receipt_path,
    receipt_root,
)
from penstock.protocol.signing import Domain, Member, Signer, Verified, bundle_root, digest_of, hash_record, verify
from penstock.protocol.terms import Genesis, MarketTerms, Template, Tier
from penstock.protocol.words import keccak
from penstock.spec.digest import engine_root
from penstock.spec.margin import assess, initial_with_orders, withdrawable
from penstock.spec.settlement_tree import SettlementTree
from penstock.spec.state import Account, Position, State
from penstock.spec.transition import apply
from vectors.golden import FOLDER, every_file, plain

WRITTEN = every_file()
SEQUENCES = sorted(name for name in WRITTEN if name.startswith(("match/", "liquidate/")))
RECORD_TYPES = {record_type.__name__: codec for record_type, codec in CODECS.items()}


def stored(name):
    return json.loads((FOLDER / name).read_text())


def to_bytes(text):
    return bytes.fromhex(text.removeprefix("0x"))


def to_record(fields):
    codec = RECORD_TYPES[fields["type"]]
    values = {}
    for name, atom in codec.fields:
        value = fields[name]
        values[name] = value if isinstance(value, bool) else to_bytes(value) if value[:2] == "0x" else int(value)
        assert isinstance(value, bool) == (atom.name == "bool")
    return codec.record_type(**values)


def to_terms(fields):
    values = {k: v if k in ("name", "base") else int(v) for k, v in fields.items() if k not in TERMS_APART}
    tiers = tuple(Tier(int(t["notional"]), int(t["initial_ppm"]), int(t["maintenance_ppm"])) for t in fields["tiers"])
    units = {name: Decimal(fields[name]) for name in ("price_unit", "size_unit")}
    return MarketTerms(tiers=tiers, **units, **values)


def to_template(fields):
    numbers = {k: int(v) for k, v in fields.items() if k not in ("type", "terms")}
    return Template(terms=to_terms(fields["terms"]), **numbers)


TERMS_APART = {"type", "tiers", "price_unit", "size_unit"}


def to_genesis(fields):
    return Genesis(
        int(fields["chain_id"]),
        to_bytes(fields["vault"]),
        tuple(to_terms(t) for t in fields["markets"]),
        tuple(to_bytes(o) for o in fields["oracles"]),
        int(fields["oracle_threshold"]),
        tuple(to_template(t) for t in fields["templates"]),
        to_bytes(fields["guardian"]),
        to_bytes(fields["governor"]),
    )


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_the_spec_still_writes_the_stored_vectors(name):
    """After a wanted change: `python tests/vectors`, and review the diff."""
    assert (FOLDER / name).read_text() == WRITTEN[name]


def test_no_other_vectors_are_stored_and_all_of_them_are_small():
    found = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.json")}
    assert found == set(WRITTEN)
    assert sum(len(text) for text in WRITTEN.values()) < 460_000
    assert {path.parent.name for path in FOLDER.glob("*/README.md")} == {"encode", "match", "margin", "liquidate"}


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_stored_sequence_replays_from_the_file_alone(name):
    vector = stored(name)
    genesis = to_genesis(vector["genesis"])
    assert plain(genesis.ruleset()) == vector["ruleset"]
    state = State.from_genesis(genesis)
    tree = SettlementTree(state)
    for command in vector["commands"]:
        record = to_record(command["record"])
        members = tuple(Member(r, hash_record(r)) for r in map(to_record, command["members"]))
        signers = tuple(to_bytes(s) for s in command["signers"])
        assert isinstance(record, Bundle) == bool(members)
        message = Verified(record, hash_record(record), signers, members)
        applied = apply(state, int(command["sequence"]), int(command["time"]), message)
        assert plain(applied.events) == command["events"]
        assert plain([e.packed for e in applied.entries]) == command["entries"]
        assert plain(engine_root(state)) == command["engine_root"]
        for entry in applied.entries:
            tree.advance(entry)
    assert plain(tree.root()) == vector["settlement_root"]


def test_the_sequences_show_every_kind_of_event():
    seen = {e["type"] for name in SEQUENCES for c in stored(name)["commands"] for e in c["events"]}
    assert seen == {event.__name__ for event in Event.__args__}


def test_the_stored_records_encode_hash_sign_and_verify():
    vector = stored("encode/records.json")
    domain = Domain(int(vector["domain"]["domain"]["chain_id"]), to_bytes(vector["domain"]["domain"]["vault"]))
    separator = to_bytes(vector["domain"]["separator"])
    assert domain.separator() == separator
    keys = {Signer(to_bytes(secret)).address for secret in vector["secrets"]}
    for name, described in vector["types"].items():
        assert keccak(described["encode_type"].encode()) == to_bytes(described["typehash"])
        assert RECORD_TYPES[name].encode_type == described["encode_type"]
    for case in vector["records"]:
        record, encoded = to_record(case["record"]), to_bytes(case["encoded"])
        assert encode_record(record) == encoded
        assert decode_record(encoded) == record
        assert keccak(encoded) == to_bytes(case["hash"])
        assert digest_of(separator, keccak(encoded)) == to_bytes(case["digest"])
        signers = tuple(to_bytes(s) for s in case["signers"])
        assert keys.issuperset(signers)
        if not isinstance(record, Bundle):
            assert verify(separator, to_bytes(case["envelope"]), from_node=True).signers == signers


def test_the_stored_bundles_have_their_roots():
    vector = stored("encode/bundles.json")
    hashes = [keccak(bytes([i])) for i in range(64)]
    assert [bundle_root(hashes[:n]) for n in range(1, 65)] == [to_bytes(root) for root in vector["roots"]]
    found = verify(Domain(31337, b"\x77" * 20).separator(), to_bytes(vector["sealed"]["envelope"]))
    assert [m.record for m in found.members] == [to_record(m) for m in vector["sealed"]["members"]]
    assert found.signers == (to_bytes(vector["sealed"]["signer"]),)


def test_the_stored_receipts_are_signed_linked_and_hold_their_messages():
    vector = stored("encode/receipts.json")
    separator = Domain(int(vector["domain"]["chain_id"]), to_bytes(vector["domain"]["vault"])).separator()
    hashes = [keccak(bytes([i])) for i in range(33)]
    assert [receipt_root(hashes[:n]) for n in range(1, 34)] == [to_bytes(root) for root in vector["roots"]]
    assert keccak(vector["encode_type"].encode()) == to_bytes(vector["typehash"]) == CODEC.typehash
    previous = bytes(32)
    for group in vector["groups"]:
        signed = decode_receipt(to_bytes(group["signed"]))
        check_receipt(separator, to_bytes(vector["operator"]), signed)
        receipt = signed.receipt
        assert receipt == Receipt(*(plain_field(group["receipt"], name) for name, _ in CODEC.fields))
        assert (receipt.previous, receipt.hash()) == (previous, to_bytes(group["hash"]))
        assert digest_of(separator, receipt.hash()) == to_bytes(group["digest"])
        leaves = [receipt_leaf(int(m["sequence"]), int(m["time"]), to_bytes(m["envelope"])) for m in group["messages"]]
        assert plain(leaves) == group["leaves"]
        for index, path in enumerate(group["paths"]):
            assert plain(receipt_path(leaves, index)) == path
            assert check_path(leaves[index], index, receipt.count, [to_bytes(s) for s in path], receipt.root)
        previous = receipt.hash()


def plain_field(fields, name):
    value = fields[name]
    return to_bytes(value) if value[:2] == "0x" else int(value)


def test_the_stored_refusals_are_refused_for_their_reason():
    vector = stored("encode/refusals.json")
    separator = Domain(int(vector["domain"]["chain_id"]), to_bytes(vector["domain"]["vault"])).separator()
    assert len(vector["refused"]) == 19
    for case in vector["refused"]:
        with pytest.raises(Refusal) as refused:
            verify(separator, to_bytes(case["envelope"]))
        assert refused.value.reason.name == case["reason"], case["name"]


def test_the_stored_packed_forms_pack_and_unpack():
    forms = {form.name: form for form in (*LEAF_FORMS, *ENTRY_FORMS.values())}
    for case in stored("encode/packed.json"):
        form, packed = forms[case["form"]], to_bytes(case["packed"])
        assert plain(form.unpack(packed)) == case["values"]
        if "hash" in case:
            assert keccak(b"\x09" + packed) == to_bytes(case["hash"])


def test_the_stored_accounts_are_worth_and_require_what_they_say():
    vector = stored("margin/accounts.json")
    listed = tuple(to_terms(t["terms"]) for t in vector["terms"])
    assert [plain(t.digest()) for t in listed] == [t["digest"] for t in vector["terms"]]
    for case in vector["accounts"]:
        state = State.from_genesis(Genesis(1, bytes(20), listed, (b"\xa0" * 20,), 1))
        for number, told in case["markets"].items():
            market = state.markets[int(number)]
            market.mark_price, market.funding_index, market.index_price, market.crowding, market.flags = map(int, told)
        account = Account(b"\x11" * 20, cash=int(case["cash"]))
        account.positions = {int(m): Position(*map(int, p)) for m, p in case["positions"].items()}
        account.lots = {int(m): [int(n) for n in sides] for m, sides in case["lots"].items()}
        risk = assess(state, account)
        assert plain([risk.equity, risk.initial, risk.maintenance]) == [
            case[k] for k in ("equity", "initial", "maintenance")
        ]
        assert str(initial_with_orders(state, account, account.lots)) == case["initial_with_orders"]
        assert str(withdrawable(state, account)) == case["withdrawable"]
