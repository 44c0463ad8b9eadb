"""A client's book of receipts against an operator who lies in every way it can."""

import json

import pytest
from msgspec.structs import replace

from penstock.participants.receipt_file import BookDamaged, BookForeign, Venue
from penstock.participants.receipts import FaultKind, ReceiptBook, check_book
from penstock.protocol.commands import CancelOrder
from penstock.protocol.receipts import NO_RECEIPT, SignedReceipt, receipt_root, sign_receipt
from penstock.protocol.signing import Domain, Signer, seal
from penstock.venue.receipts import Issuer

SEPARATOR = Domain(31337, b"\x77" * 20).separator()
OPERATOR, STRANGER, TRADER = (Signer(bytes([n]) * 32) for n in (0x0F, 0x0E, 0x11))
VENUE = Venue(SEPARATOR, OPERATOR.address)


def envelope(sequence):
    return seal(SEPARATOR, CancelOrder(1, 16, sequence, 0), [TRADER])


def messages(first, count, at=0):
    return [(s, at + 10 * s, envelope(s)) for s in range(first, first + count)]


def told(wire):
    return "0x" + wire.hex()


class Operator:
    """Issues groups of given sizes, and answers for messages in them as the gateway does."""

    def __init__(self, epoch=1, group=0, previous=NO_RECEIPT, first=1, at=0):
        self.issuer = Issuer(OPERATOR, SEPARATOR, epoch, group, previous)
        self.next, self.at = first, at

    def issue(self, *sizes):
        issued = []
        for size in sizes:
            issued.append(self.issuer.issue(messages(self.next, size, self.at)))
            self.next += size
        return issued

    def reply(self, issued, sequence, **changes):
        index = issued.index(sequence)
        path = ["0x" + s.hex() for s in issued.path(index)]
        whole = {"group": issued.receipt.group, "index": index, "path": path, "signed": told(issued.wire)}
        return whole | changes


@pytest.fixture(params=["in memory", "on disk"])
def book(request, tmp_path):
    heard = []
    if request.param == "in memory":
        book = ReceiptBook(*astuple(VENUE), on_fault=heard.append)
    else:
        book = ReceiptBook.open(tmp_path / "book", *astuple(VENUE), on_fault=heard.append)
    yield book
    assert heard == book.faults, "the callback was told of each"
    if request.param == "on disk":
        book.close()
        again = ReceiptBook.open(tmp_path / "book", *astuple(VENUE))
        again.close()
        checked = check_book(tmp_path / "book", VENUE)
        assert [f.kind for f in again.faults] == [f.kind for f in checked.faults] == [f.kind for f in book.faults]
        assert (again.head, again.known_groups, again.replies) == (book.head, book.known_groups, book.replies)
        evidence = [json.loads(path.read_text()) for path in (tmp_path / "book").glob("evidence-*.json")]
        proofs = [f for f in book.faults if len(f.receipts) > 1]
        assert sorted(e["sentence"] for e in evidence) == sorted(f.sentence for f in proofs)
        assert {wire for e in evidence for wire in e["receipts"]} == {told(w) for f in proofs for w in f.receipts}


def astuple(venue):
    return venue.separator, venue.operator


def follow(book, *issued):
    for one in issued:
        book.follow(told(one.wire))


def kinds(book):
    return [fault.kind for fault in book.faults]


def altered(issued, **changes):
    """The operator signs something else in the receipt's place."""
    return sign_receipt(SEPARATOR, replace(issued.receipt, **changes), OPERATOR)


def hear(book, signed):
    return book.follow(told(signed.encode()))


def acknowledge(book, operator, issued, sequence, sent=None, time=None, **changes):
    time = operator.at + 10 * sequence if time is None else time
    return book.acknowledged(sent or envelope(sequence), sequence, time, operator.reply(issued, sequence, **changes))


def test_an_honest_operator_leaves_no_fault(book):
    operator = Operator()
    for issued in operator.issue(1, 5, 32, 3):
        follow(book, issued)
        for sequence in range(issued.receipt.first_sequence, issued.receipt.last_sequence + 1):
            assert acknowledge(book, operator, issued, sequence).receipt == issued.receipt
    assert book.faults == []
    assert (book.head.group, book.known_groups, book.receipts, book.replies) == (4, 4, 4, 41)
    assert book.get(2).receipt.group == 2


def test_replies_alone_are_enough_to_prove_acknowledgements(book):
    operator = Operator()
    _, second, _, fourth = operator.issue(2, 4, 6, 8)
    assert acknowledge(book, operator, fourth, 15)
    assert acknowledge(book, operator, fourth, 16, signed=None), "the signed receipt comes once"
    assert acknowledge(book, operator, second, 3)
    assert book.faults == [] and book.head is None


def test_the_same_receipts_again_are_no_matter(book):
    issued = Operator().issue(2, 2, 2)
    follow(book, *issued, *issued)
    assert book.faults == [] and book.receipts == 3


def test_a_receipt_of_another_key_is_forged(book):
    first, second = Operator().issue(2, 2)
    follow(book, first)
    assert hear(book, sign_receipt(SEPARATOR, second.receipt, STRANGER)) is None
    named = sign_receipt(SEPARATOR, second.receipt, STRANGER).signature
    assert hear(book, SignedReceipt(second.receipt, OPERATOR.address + named[20:])) is None
    assert kinds(book) == [FaultKind.FORGED, FaultKind.FORGED]
    assert book.head == first.receipt
    follow(book, second)
    assert len(book.faults) == 2, "the true one still links"


def test_an_acknowledgement_with_a_forged_receipt_proves_nothing(book):
    operator = Operator()
    [issued] = operator.issue(3)
    forged = told(sign_receipt(SEPARATOR, issued.receipt, STRANGER).encode())
    assert acknowledge(book, operator, issued, 2, signed=forged) is None
    assert kinds(book) == [FaultKind.FORGED, FaultKind.MISSING_RECEIPT]


@pytest.mark.parametrize("said", [None, 5, "0x", "0x00", "0xzz", [], {}, "0x" + "00" * 341, "0x" + "ff" * 341])
def test_what_is_no_receipt_is_a_fault_and_no_exception(book, said):
    assert book.follow(said) is None
    assert kinds(book) in ([FaultKind.MALFORMED], [FaultKind.FORGED])


@pytest.mark.parametrize("said", [5, "0x", [], {}, {"group": 1}, {"group": -1, "index": 0, "path": [1]}])
def test_a_reply_whose_receipt_does_not_read_is_a_fault_and_no_exception(book, said):
    assert book.acknowledged(envelope(1), 1, 10, said) is None
    assert kinds(book) == [FaultKind.MALFORMED]
    assert book.faults[0].sequence == 1


def test_an_acknowledgement_without_a_receipt_is_a_fault(book):
    operator = Operator()
    [issued] = operator.issue(3)
    assert book.acknowledged(envelope(2), 2, 20, None) is None
    assert acknowledge(book, operator, issued, 2, signed=None) is None
    assert kinds(book) == [FaultKind.MISSING_RECEIPT, FaultKind.MISSING_RECEIPT]
    assert [fault.sequence for fault in book.faults] == [2, 2]


def test_a_wrong_path_another_envelope_or_another_time_proves_nothing(book):
    operator = Operator()
    first, second = operator.issue(8, 8)
    other = ["0x" + s.hex() for s in first.path(3)]
    assert acknowledge(book, operator, first, 3, path=other) is None
    assert acknowledge(book, operator, first, 3, path=other[:-1]) is None
    assert acknowledge(book, operator, first, 3, path=["nonsense"] * 3) is None
    assert acknowledge(book, operator, first, 3, sent=envelope(4)) is None
    assert acknowledge(book, operator, first, 3, sent=b"no envelope") is None
    assert acknowledge(book, operator, first, 3, sent=b"no envelope" * 9) is None
    assert acknowledge(book, operator, first, 3, time=31) is None
    assert kinds(book) == [FaultKind.WRONG_PATH] * 7
    assert acknowledge(book, operator, second, 9)


def test_two_messages_that_changed_places_are_seen_by_both_senders(book):
    operator = Operator()
    swapped = [(1, 10, envelope(2)), (2, 20, envelope(1))]
    issued = operator.issuer.issue(swapped)
    assert acknowledge(book, operator, issued, 1) is None
    assert acknowledge(book, operator, issued, 2) is None
    assert kinds(book) == [FaultKind.WRONG_PATH] * 2


@pytest.mark.parametrize(
    ("sequence", "time", "changes"),
    [
        (3, 30, {"index": 1}),
        (3, 30, {"group": 2}),
        (9, 80, {}),
        (3, 90, {}),
        (3, -1, {}),
        (8, 79, {}),
        (-5, 30, {"index": -6}),
    ],
)
def test_a_place_that_the_group_does_not_have_is_a_fault(book, sequence, time, changes):
    operator = Operator()
    [issued] = operator.issue(8)
    said = operator.reply(issued, min(max(sequence, 1), 8)) | {"index": sequence - 1} | changes
    assert book.acknowledged(envelope(3), sequence, time, said) is None
    assert kinds(book) == [FaultKind.WRONG_PLACE]


def test_a_group_that_the_channel_skips_is_missing(book):
    issued = Operator().issue(*[2] * 9)
    follow(book, issued[0], issued[2], issued[6])
    assert kinds(book) == [FaultKind.MISSING_GROUP] * 2
    assert "without group 2" in book.faults[0].sentence
    assert "without groups 4 to 6" in book.faults[1].sentence
    follow(book, issued[1], issued[7])
    assert len(book.faults) == 2, "what comes late still fits"


def test_two_receipts_for_one_group_are_evidence(book):
    honest, follower = Operator().issue(4, 4)
    follow(book, honest)
    lie = altered(honest, root=receipt_root([bytes(32)] * 4))
    assert hear(book, lie) == lie
    [fault] = book.faults
    assert (fault.kind, fault.group) == (FaultKind.DOUBLE, 1)
    assert fault.receipts == (honest.wire, lie.encode())
    hear(book, lie)
    follow(book, follower)
    assert len(book.faults) == 1, "said again it is the same lie, and the chain of what came first goes on"


def test_a_double_that_comes_with_a_reply_is_seen_and_its_own_path_holds(book):
    one, two = Operator(), Operator()
    [honest], [lie] = one.issue(4), two.issue(5)
    follow(book, honest)
    assert acknowledge(book, two, lie, 5).receipt == lie.receipt
    assert kinds(book) == [FaultKind.DOUBLE]


def test_two_groups_with_one_sequence_are_evidence(book):
    first, second, third = Operator().issue(4, 4, 4)
    follow(book, first, second)
    again = altered(third, first_sequence=8)
    hear(book, again)
    [fault] = book.faults
    assert (fault.kind, fault.receipts) == (FaultKind.DOUBLE, (second.wire, again.encode()))
    assert "both have sequence 8" in fault.sentence


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"previous": bytes(32)}, FaultKind.BROKEN_LINK),
        ({"previous": b"\x01" * 32}, FaultKind.BROKEN_LINK),
        ({"first_sequence": 10, "last_sequence": 13}, FaultKind.BROKEN_LINK),
        ({"epoch": 2}, FaultKind.WRONG_EPOCH),
        ({"epoch": 5}, FaultKind.WRONG_EPOCH),
        ({"time": 79, "deadline": 79 + 3_600_000_000}, FaultKind.TIME_WENT_BACK),
        ({"deadline": 5}, FaultKind.UNSOUND),
        ({"last_sequence": 8}, FaultKind.UNSOUND),
    ],
)
def test_a_receipt_that_cannot_follow_the_last_is_a_fault_of_its_own_name(book, changes, kind):
    operator = Operator(epoch=3)
    first, second, third = operator.issue(4, 4, 4)
    follow(book, first, second)
    hear(book, altered(third, **changes))
    assert kind in kinds(book)
    assert book.faults[-1].receipts[-1] == altered(third, **changes).encode()


def test_a_restart_whose_first_receipt_continues_the_last_is_no_fault(book):
    before = Operator()
    issued = before.issue(3, 3)
    after = Operator(2, before.issuer.group, before.issuer.previous, before.next)
    follow(book, *issued, *after.issue(2, 2))
    assert book.faults == [] and (book.head.epoch, book.head.group) == (2, 4)


def test_a_restart_that_forgets_the_chain_is_a_fault(book):
    before = Operator()
    follow(book, *before.issue(3, 3))
    forgetful = Operator(2, first=before.next)
    follow(book, *forgetful.issue(2))
    assert kinds(book) == [FaultKind.DOUBLE]
    assert book.faults[0].group == 1


def test_a_restart_that_forgets_the_chain_is_seen_by_a_book_that_began_later(book):
    before = Operator()
    follow(book, before.issue(3, 3, 3)[2])
    forgetful = Operator(2, first=before.next)
    follow(book, *forgetful.issue(2))
    assert set(kinds(book)) == {FaultKind.BROKEN_LINK, FaultKind.WRONG_EPOCH, FaultKind.TIME_WENT_BACK}


def test_a_restart_that_takes_sequences_back_is_evidence(book):
    before = Operator()
    issued = before.issue(3, 3)
    follow(book, *issued)
    rolled_back = Operator(2, 1, issued[0].receipt.hash(), 4, at=1_000)
    [lie] = rolled_back.issue(1)
    follow(book, lie)
    [fault] = book.faults
    assert (fault.kind, fault.receipts) == (FaultKind.DOUBLE, (issued[1].wire, lie.wire))


def test_what_the_venue_does_not_show_can_be_noted_by_who_asked(book):
    book.lost(7, "it says not found")
    book.silent()
    assert kinds(book) == [FaultKind.MISSING_GROUP, FaultKind.MISSING_RECEIPT]


def test_a_book_is_for_one_operator_of_one_venue(tmp_path):
    ReceiptBook.open(tmp_path, *astuple(VENUE)).close()
    with pytest.raises(BookForeign):
        ReceiptBook.open(tmp_path, SEPARATOR, STRANGER.address)
    with pytest.raises(BookForeign):
        ReceiptBook.open(tmp_path, bytes(32), OPERATOR.address)


@pytest.mark.parametrize(
    ("separator", "operator", "said"),
    [
        ("0x" + SEPARATOR.hex(), OPERATOR.address, "separator: 32 bytes are wanted, not a str"),
        (SEPARATOR[:31], OPERATOR.address, "separator: 32 bytes are wanted, not 31 bytes"),
        (SEPARATOR, None, "operator: 20 bytes are wanted, not a NoneType"),
    ],
)
def test_a_book_for_what_is_no_venue_is_refused_before_there_is_a_file(tmp_path, separator, operator, said):
    with pytest.raises(ValueError, match=said):
        ReceiptBook.open(tmp_path / "book", separator, operator)
    assert not (tmp_path / "book").exists()


def test_a_line_that_a_crash_cut_off_is_dropped_and_any_other_damage_is_named(tmp_path):
    issued = Operator().issue(1, 1, 1)
    book = ReceiptBook.open(tmp_path, *astuple(VENUE))
    follow(book, *issued)
    book.close()
    path = tmp_path / "book.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines)[:-20])
    assert check_book(path, VENUE).last_group == 2, "beside a client that is writing it"
    book = ReceiptBook.open(tmp_path, *astuple(VENUE))
    assert book.head.group == 2
    follow(book, issued[2])
    book.close()
    assert path.read_bytes() == b"".join(lines)
    for damaged in (b"{}\n", b"nonsense\n", b'{"what":1}\n', b'{"reply":5}\n', b'{"fault":{}}\n', b"[1]\n", b"\xff\n"):
        path.write_bytes(b"".join([*lines[:2], damaged, *lines[2:]]))
        with pytest.raises(BookDamaged, match="line 3"):
            check_book(tmp_path, VENUE)
        with pytest.raises(BookDamaged, match="line 3"):
            ReceiptBook.open(tmp_path, *astuple(VENUE))
    path.write_bytes(lines[1])
    with pytest.raises(BookDamaged, match="line 1"):
        ReceiptBook.open(tmp_path, *astuple(VENUE))


def test_a_check_trusts_no_line_of_the_file(tmp_path):
    operator = Operator()
    issued = operator.issue(2, 2)
    book = ReceiptBook.open(tmp_path, *astuple(VENUE))
    follow(book, issued[0])
    acknowledge(book, operator, issued[0], 1)
    book.close()
    with (tmp_path / "book.jsonl").open("a") as file:
        forged = sign_receipt(SEPARATOR, issued[1].receipt, STRANGER).encode()
        file.write(json.dumps({"group": told(forged)}) + "\n")
    checked = check_book(tmp_path, VENUE)
    assert (checked.receipts, checked.replies, checked.first_group, checked.last_group) == (1, 1, 1, 1)
    assert [fault.kind for fault in checked.faults] == [FaultKind.FORGED]
    assert check_book(tmp_path, Venue(SEPARATOR, STRANGER.address)).faults[0].kind is FaultKind.FORGED


def test_a_disk_that_takes_no_more_is_a_fault_and_the_checks_go_on(tmp_path):
    first, second, third = Operator().issue(1, 1, 1)
    book = ReceiptBook.open(tmp_path, *astuple(VENUE))
    follow(book, first)
    book._file._file.close()
    book._file._file = open("/dev/full", "ab", buffering=0)  # noqa: SIM115
    follow(book, second, altered_pair(third))
    assert kinds(book) == [FaultKind.NOT_KEPT, FaultKind.UNSOUND]


def altered_pair(issued):
    """The same, signed with a deadline that no group has."""
    signed = altered(issued, deadline=1)
    return type(issued)(signed.receipt, signed.encode(), issued.levels)


def test_only_so_many_receipts_are_at_hand(monkeypatch, tmp_path):
    monkeypatch.setattr("penstock.participants.receipts.KEPT", 4)
    issued = Operator().issue(*[1] * 12)
    book = ReceiptBook.open(tmp_path, *astuple(VENUE))
    follow(book, *issued)
    book.close()
    assert 4 <= book.known_groups <= 8 and book.get(12) and book.faults == []
    checked = check_book(tmp_path, VENUE)
    assert (checked.first_group, checked.last_group, checked.faults) == (1, 12, ())
