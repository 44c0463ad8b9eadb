"""The bench measures what it says: its streams are real, and its report has the shape others read. Nothing is timed."""

from collections import Counter

import msgspec
import pytest
from bench.frames import batches, cancel, place, split
from bench.instruments import listed
from bench.machine import Machine
from bench.plan import QUICK
from bench.pricing import measure_pricing, options_of
from bench.report import KEYS, BenchFailed, Report, require, rows_json
from bench.sealed import seal_stream
from bench.spec import SpecRun
from bench.stream import COMMANDS_A_PRICE, KINDS, PRICE, SHARES, Parameters, generate
from bench.survey import Survey, entries_of
from bench.world import MARKS, START, World

from penstock.protocol.commands import BUY, GOOD_TIL_CANCELLED, CancelOrder, PlaceOrder
from penstock.protocol.instruments import FUTURE, OPTION, PERPETUAL
from penstock.protocol.quantities import ANY_FILL, MICRO, NO_DEADLINE
from penstock.protocol.signing import Verified, hash_record, verify
from penstock.protocol.wire import decode_message, encode_command, encode_message, encode_written

SMALL = Parameters(accounts=60, target=150, commands=3_000)
WIDE = Parameters(accounts=60, target=1_500, commands=3_000, instruments=64)
SIGNER = b"\x11" * 20
YEAR = 31_536_000


@pytest.fixture(scope="module", params=[SMALL, WIDE], ids=["2 instruments", "64 instruments"])
def stream(request):
    return generate(request.param)


@pytest.fixture(scope="module")
def spec_run(stream):
    """The spec after the whole stream, and what it said."""
    spec = SpecRun(stream.parameters.world().genesis, stream.setup)
    return spec, list(spec.apply(stream.timed))


def test_rows_have_the_six_keys_and_the_share_of_the_limit_that_is_reached():
    report = Report(Machine.here(), 0.0)
    report.row("apply", 500.0, 2_000.0, "target", "commands/s")
    [row] = msgspec.json.decode(rows_json(report))
    assert tuple(row) == KEYS == ("stage", "ours", "limit", "limit_name", "unit", "ratio")
    assert row == dict(zip(KEYS, ("apply", 500.0, 2_000.0, "target", "commands/s", 0.25), strict=True))


def test_a_run_that_is_not_what_it_should_be_fails():
    with pytest.raises(BenchFailed, match="the ledger sums to 1"):
        require(False, "the ledger sums to 1")


def test_frames_are_those_of_the_wire():
    order = PlaceOrder(
        7, 20, START + 3, NO_DEADLINE, 1, BUY, 299_000, 50, ANY_FILL, GOOD_TIL_CANCELLED, False, False, 1_000
    )
    message = encode_message(Verified(order, hash_record(order), (SIGNER,)))
    assert place(3, START + 3, SIGNER, 7, 20, 1, BUY, 299_000, 50) == encode_command(3, START + 3, message)
    gone = CancelOrder(7, 20, START + 4, NO_DEADLINE)
    message = encode_message(Verified(gone, hash_record(gone), (SIGNER,)))
    assert cancel(4, START + 4, SIGNER, 7, 20) == encode_command(4, START + 4, message)


def test_batches_are_the_same_commands(stream):
    found = batches(stream.timed, 700)
    assert [sum(1 for _ in split(batch)) for batch in found] == [700, 700, 700, 700, 200]
    assert b"".join(found) == stream.timed


def test_a_stream_is_the_same_every_time_and_another_with_another_seed(stream):
    assert generate(stream.parameters) == stream
    assert generate(msgspec.structs.replace(stream.parameters, seed=2)).timed != stream.timed


def test_the_mix_is_the_one_of_the_workload(stream):
    kinds = Counter(stream.kinds)
    assert kinds.pop(PRICE) == stream.parameters.commands // COMMANDS_A_PRICE
    for kind, share in enumerate(SHARES):
        assert abs(kinds[kind] / stream.parameters.commands - share) < 0.02, KINDS[kind]


def test_the_spec_takes_the_stream_and_trades_as_the_twin_does(stream, spec_run):
    spec, said = spec_run
    survey = Survey()
    for applied in said:
        survey.read(applied)
    assert survey.commands == stream.parameters.commands
    assert survey.refused_commands == []
    assert survey.trades == stream.trades
    books = [0] * len(stream.resting)
    for account in spec.state.accounts.values():
        for order in account.orders.values():
            books[order.market] += 1
    assert tuple(books) == stream.resting


def test_money_and_positions_sum_to_what_was_deposited(spec_run):
    state = spec_run[0].state
    cash, sizes = 0, Counter()
    for account in state.accounts.values():
        cash += account.cash
        for market, position in account.positions.items():
            cash -= position.entry
            sizes[market] += position.size
    assert cash + sum(market.fees for market in state.markets.values()) == state.deposited
    assert set(sizes.values()) == {0}


def test_the_books_stay_at_their_size():
    assert all(abs(resting / SMALL.target - 1) < 0.25 for resting in generate(SMALL).resting)


def test_the_books_of_64_instruments_share_the_orders_by_popularity():
    resting = generate(WIDE).resting
    for rank, orders in enumerate(resting[:4], 1):
        assert abs(orders / (0.2925 * rank**-1.2 * WIDE.target) - 1) < 0.25
    assert all(resting)


def test_everybody_opens_both_perpetuals_and_14_to_20_other_contracts():
    opened = SpecRun(WIDE.world().genesis, generate(msgspec.structs.replace(WIDE, target=0, commands=0)).setup)
    traders = [account for number, account in opened.state.accounts.items() if number]
    assert {len(account.positions) for account in traders} == set(range(16, 23))
    assert all({0, 1} <= account.positions.keys() for account in traders)
    assert any(position.size < 0 for account in traders for market, position in account.positions.items() if market > 7)


def test_64_instruments_are_2_perpetuals_6_futures_and_56_options_that_outlive_the_stream():
    markets = listed(64, MARKS)
    assert Counter(terms.kind for terms in markets) == {PERPETUAL: 2, FUTURE: 6, OPTION: 56}
    assert [terms.market for terms in markets] == list(range(64))
    assert len({terms.identity() for terms in markets}) == len({terms.name for terms in markets}) == 64
    assert all(terms.expiry > START // MICRO + YEAR for terms in markets if terms.kind != PERPETUAL)
    World(2, 64).genesis.check()


@pytest.mark.parametrize("instruments", [0, 3, 65])
def test_a_stream_over_another_number_of_instruments_is_refused(instruments):
    with pytest.raises(ValueError, match=rf"instruments is {instruments}, wants 2 or 64"):
        generate(Parameters(accounts=2, target=1, commands=1, instruments=instruments))


def test_the_entries_of_applied_frames_are_found(spec_run):
    spec, said = spec_run
    assert list(entries_of(b"".join(said))) == [encode_written(entry) for entry in spec.entries]


def test_a_sealed_stream_verifies_to_its_frames():
    sealed = seal_stream(generate(Parameters(accounts=10, target=20, commands=60)), {3: 2})
    separator = World(10).separator
    assert [verify(separator, envelope) for envelope in sealed.envelopes] == [
        decode_message(message) for _, _, message in split(sealed.timed)
    ]
    signers = {signer for envelope in sealed.greetings for signer in verify(separator, envelope).signers}
    assert signers >= {signer for envelope in sealed.envelopes for signer in verify(separator, envelope).signers}
    assert [len(verify(separator, envelope).members) for envelope in sealed.bundles[3]] == [3, 3]


def test_the_pricing_stages_check_their_peers_and_have_a_row_each():
    report = Report(Machine.here(), 0.0)
    measure_pricing(msgspec.structs.replace(QUICK, options=200, looped=40, surfaces=1), report)
    assert [row.stage for row in report.rows] == [
        "prices with Greeks", "prices with Greeks, beside vollib", "implied vols",
        "implied vols, beside vollib", "surfaces",
    ]  # fmt: skip
    assert all(row.ours > 0 and row.limit > 0 for row in report.rows)


def test_the_options_are_the_same_every_time_and_both_puts_and_calls():
    options = options_of(200)
    assert options.first(200) == options_of(200).first(200)
    assert options.first(200) != options_of(200, seed=2).first(200)
    assert 50 < options.is_call.sum() < 150
