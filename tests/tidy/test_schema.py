"""The schema, the records and the pages say the same; every reason is somebody's test."""

import re
from collections import Counter

import pytest

from penstock.protocol import ledger, receipts
from penstock.protocol.commands import CODECS, RECORD_TYPES
from penstock.protocol.reasons import Cause, Reason


def uncommented(text):
    return [line.partition("#")[0].rstrip() for line in text.splitlines() if line.partition("#")[0].strip()]


def said(word, text):
    return re.search(rf"\b{word}\b", text) is not None


@pytest.fixture(scope="module")
def reason_lines(checkout):
    lines = uncommented(checkout.text("schema/reasons.txt"))
    return [tuple(line.split(maxsplit=1)) for line in lines if not line.startswith("[")]


def test_the_message_schema_is_what_the_records_print(checkout):
    commands, heading, signed_by_operator = checkout.text("schema/messages.eip712").partition(
        "# Signed by the operator; never a command.\n"
    )
    assert heading
    assert uncommented(commands) == [CODECS[record].encode_type for record in RECORD_TYPES]
    assert uncommented(signed_by_operator) == [receipts.CODEC.encode_type]


def test_a_signed_receipt_is_as_long_as_the_schema_says(checkout):
    [line] = re.findall(r"^# receipt  (.*)$", checkout.text("schema/packed.txt"), re.MULTILINE)
    assert "eight words" in line and len(receipts.CODEC.fields) == 8
    assert 8 * 32 + sum(int(width) for width in re.findall(r"\bb(\d+)", line)) + 1 == receipts.WIRE


def test_the_packed_forms_are_what_the_ledger_module_packs(checkout):
    lines = [re.sub(r"\s+", " ", line) for line in uncommented(checkout.text("schema/packed.txt"))]
    header = ledger.ENTRY_HEADER
    forms = [f"form {form.name} {form.layout}" for form in ledger.LEAF_FORMS]
    entries = [
        f"entry {kind} {form.name} {form.layout.removeprefix(header)}" for kind, form in ledger.ENTRY_FORMS.items()
    ]
    assert [line for line in lines if line.startswith("form ")] == forms
    assert [line for line in lines if line.startswith("entry ")] == entries


def test_the_domain_bytes_are_those_of_the_schema(checkout):
    listed = re.findall(r"^domain (\w+)\s+0x(\w\w)", checkout.text("schema/packed.txt"), re.MULTILINE)
    assert len({byte for _, byte in listed}) == len(listed)
    assert {name.upper(): bytes.fromhex(byte) for name, byte in listed} == {
        name: value for name, value in vars(ledger.Domains).items() if name.isupper()
    }


def test_every_message_is_meant_by_the_spec_and_described_in_the_reference(checkout):
    spec = "\n".join(checkout.text(name) for name in checkout.under("src/penstock/spec/", ".py"))
    reference = "\n".join(checkout.text(name) for name in checkout.under("docs/reference/", ".md"))
    names = [record.__name__ for record in RECORD_TYPES]
    assert {
        "not in the spec": [name for name in names if not said(name, spec)],
        "not in docs/reference": [name for name in [*names, receipts.Receipt.__name__] if not said(name, reference)],
    } == {"not in the spec": [], "not in docs/reference": []}


def test_every_ledger_entry_is_described_in_the_reference(checkout):
    reference = "\n".join(checkout.text(name) for name in checkout.under("docs/reference/", ".md"))
    assert [form.name for form in ledger.ENTRY_FORMS.values() if not said(form.name, reference)] == []


def test_the_reasons_are_listed_in_the_order_of_their_checks(reason_lines):
    assert [name for name, _ in reason_lines] == [member.name for member in (*Reason, *Cause)]


def test_every_reason_is_one_sentence_of_its_own(reason_lines):
    sentences = Counter(sentence for _, sentence in reason_lines)
    assert [sentence for sentence, times in sentences.items() if times > 1] == []
    assert [sentence for sentence in sentences if not (sentence[0].isupper() or sentence[0].isdigit())] == []
    assert [sentence for sentence in sentences if not sentence.endswith(".")] == []


def test_every_reason_is_produced_by_a_test(checkout, reason_lines):
    tests = "\n".join(
        checkout.text(name) for name in checkout.under("tests/", ".py") if not name.startswith("tests/tidy/")
    )
    assert [name for name, _ in reason_lines if not said(name, tests)] == []
