"""schema/packed.txt and protocol/ledger.py say the same, parsed independently."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.protocol import ledger
from penstock.protocol.forms import Form
from penstock.protocol.ledger import ENTRY_FORMS, LEAF_FORMS, decode_entry, next_deposit_head
from penstock.protocol.reasons import Reason, Refusal
from penstock.protocol.words import keccak

SCHEMA = (Path(__file__).resolve().parents[2] / "schema" / "packed.txt").read_text()
FORMS = {form.name: form for form in (*LEAF_FORMS, *ENTRY_FORMS.values())}
HEADER = [("kind", "u", 8), ("sequence", "u", 64), ("member", "u", 8), ("index", "u", 16)]


def fields_of(text):
    found = []
    for field in text.partition("#")[0].strip().split(", "):
        name, width = field.split()
        found.append((name, width[0], int(width[1:]) * (8 if width[0] == "b" else 1)))
    return found


def lines(word):
    return re.findall(rf"^{word} (.+)$", SCHEMA, re.MULTILINE)


def any_values(form):
    def value(sign, bits):
        if sign == "b":
            return st.binary(min_size=bits // 8, max_size=bits // 8)
        low = -(1 << bits - 1) if sign == "i" else 0
        return st.one_of(st.integers(low, low + 2**bits - 1), st.sampled_from([low, low + 2**bits - 1, 0]))

    return st.tuples(*[value(sign, bits) for _, sign, bits in form.fields])


def test_the_leaf_forms_are_those_of_the_schema():
    written = {line.split(None, 1)[0]: fields_of(line.split(None, 1)[1]) for line in lines("form")}
    assert written == {form.name: form.fields for form in LEAF_FORMS}


def test_the_ledger_entries_are_those_of_the_schema():
    written = {}
    for line in lines("entry"):
        kind, name, layout = line.split(None, 2)
        written[int(kind)] = (name, HEADER + fields_of(layout))
    assert written == {kind: (form.name, form.fields) for kind, form in ENTRY_FORMS.items()}


def test_the_domain_bytes_and_tree_depths_are_those_of_the_schema():
    domains = {line.split()[0].upper(): bytes.fromhex(line.split()[1][2:]) for line in lines("domain")}
    assert domains == {k: v for k, v in vars(ledger.Domains).items() if k.isupper()}
    assert len(set(domains.values())) == len(domains) == 18
    depths = {line.split()[0]: int(line.split()[2]) for line in lines("tree")}
    assert depths == {
        "accounts": ledger.ACCOUNTS_DEPTH,
        "markets": ledger.MARKETS_DEPTH,
        "slots": ledger.SLOTS_DEPTH,
        "sessions": ledger.SESSIONS_DEPTH,
        "steps": ledger.LIST_DEPTH,
        "sequence": ledger.LIST_DEPTH,
    }


@pytest.mark.parametrize(
    ("name", "length"),
    {
        "account_leaf": 128,
        "position": 32,
        "slot_leaf": 64,
        "session_leaf": 64,
        "market_leaf": 192,
        "globals": 64,
        "deposit": 63,
        "withdraw": 69,
        "trade": 201,
        "price": 38,
        "funding": 33,
        "fee": 51,
        "key": 69,
        "liquidate": 54,
    }.items(),
)
def test_the_forms_are_as_long_as_the_reference_says(name, length):
    assert FORMS[name].length == length


@pytest.mark.parametrize("name", FORMS)
@given(draw=st.data())
def test_what_is_packed_unpacks_to_the_same_values(name, draw):
    form = FORMS[name]
    values = draw.draw(any_values(form))
    packed = form.pack(*values)
    assert len(packed) == form.length
    assert tuple(form.unpack(packed).values()) == values
    assert list(form.unpack(packed)) == [field for field, _, _ in form.fields]


@pytest.mark.parametrize("name", FORMS)
@given(draw=st.data())
def test_every_byte_string_of_the_right_length_is_some_value(name, draw):
    form = FORMS[name]
    packed = draw.draw(st.binary(min_size=form.length, max_size=form.length))
    assert form.pack(*form.unpack(packed).values()) == packed


@pytest.mark.parametrize("name", FORMS)
def test_a_value_outside_its_width_is_not_packed(name):
    form = FORMS[name]
    zeros = [bytes(bits // 8) if sign == "b" else 0 for _, sign, bits in form.fields]
    for place, (field, sign, bits) in enumerate(form.fields):
        high = 1 << (bits - 1 if sign == "i" else bits)
        wrong = [bytes(bits // 8 + 1)] if sign == "b" else [high, -high - 1 if sign == "i" else -1]
        for value in wrong:
            with pytest.raises(ValueError, match=field):
                form.pack(*zeros[:place], value, *zeros[place + 1 :])


@given(noise=st.binary(max_size=200))
def test_an_entry_of_unknown_kind_or_length_is_refused(noise):
    try:
        fields = decode_entry(noise)
    except Refusal as refusal:
        known = bool(noise) and noise[0] in ENTRY_FORMS
        assert refusal.reason is (Reason.RECORD_LENGTH_WRONG if known else Reason.TYPE_UNKNOWN)
    else:
        assert fields["kind"] == noise[0]


def test_a_form_of_broken_bytes_cannot_be_written_down():
    with pytest.raises(ValueError, match="crooked"):
        Form("crooked", "a u7, b u8")


def test_the_deposit_chain_hashes_number_subaccount_owner_and_amount():
    head, owner = b"\5" * 32, b"\6" * 20
    body = head + (7).to_bytes(8, "big") + (8).to_bytes(3, "big") + owner + (9).to_bytes(12, "big")
    assert next_deposit_head(head, 7, 8, owner, 9) == keccak(b"\x0d" + body)
