"""Reading recordings: exact integers, exchange order, and errors that name file and line."""

import gzip
import hashlib
import lzma

import pytest

from penstock.simulation.recorded_book import RecordedBook
from penstock.simulation.recording import (
    BTC,
    ETH,
    SPOT_CLOCK_OFFSET_US,
    Depth,
    IndexPrice,
    Quote,
    RecordingError,
    Scale,
    Trade,
    load_file,
    load_recording,
)
from penstock.simulation.sample import make_sample

TRADE = b'5000 {"stream":"x@trade","data":{"e":"trade","E":9,"T":9,"p":"61800.30","q":"0.006","m":false}}\n'
QUOTE = b'6000 {"stream":"x@bookTicker","data":{"b":"1.5","B":"2","a":"1.60","A":"3.0","T":9,"E":9}}\n'
UNTIMED = b'7000 {"stream":"x@bookTicker","data":{"b":"1.5","B":"2","a":"1.6","A":"3"}}\n'
SCALE = Scale(1, 3)


def written(folder, *lines, name="x.gz"):
    path = folder / name
    path.write_bytes((gzip if name.endswith("gz") else lzma).compress(b"".join(lines)))
    return path


def test_the_sample_rebuilds_to_the_published_table(recording):
    expected = {
        "BTC_USDC-PERPETUAL": (6547, ((616_597, 148_600), (616_598, 98_100))),
        "ETH_USDC-PERPETUAL": (6581, ((268_138, 84_860), (268_139, 226_240))),
    }
    for name, (diffs, best) in expected.items():
        book = RecordedBook()
        for event in recording.events[name]:
            if not isinstance(event, Trade):
                book.apply(event)
            if isinstance(event, Depth) and book.ready:
                (bid, _), (ask, _) = book.depth_best()
                assert bid < ask
        assert (book.applied, book.gaps, book.depth_best()) == (diffs, 0, best)


def test_the_sample_holds_every_line_of_the_table_and_matches_its_checksums(recording, sample_folder):
    assert [len(events) for events in recording.events.values()] == [93_954, 74_655]
    for line in (sample_folder / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split()
        assert hashlib.sha256((sample_folder / name).read_bytes()).hexdigest() == digest


def test_a_trade_keeps_its_decimals_as_whole_units(tmp_path):
    assert load_file(written(tmp_path, TRADE), SCALE) == [Trade(9000, 618_003, 6, True)]


def test_trades_come_before_quotes_of_the_same_millisecond_and_else_the_file_order_holds(recording, tmp_path):
    later = QUOTE.replace(b'"B":"2"', b'"B":"4"')
    events = load_file(written(tmp_path, QUOTE, later, TRADE, TRADE, name="x.xz"), SCALE)
    assert [type(e) for e in events] == [Trade, Trade, Quote, Quote]
    assert [e.bid_size for e in events[2:]] == [2000, 4000]
    merged = list(recording.merged(recording.starts_at() + 1_000_000))
    times = [event.time_us for _, event in merged]
    assert times == sorted(times)
    assert {type(e) for _, e in merged} >= {Trade, Quote, Depth, IndexPrice}


def test_a_quote_without_exchange_time_is_moved_by_the_files_median_clock_offset(tmp_path):
    timed = QUOTE.replace(b"6000 ", b"6000000 ")  # received at 6,000 µs, sent at 9,000 µs
    assert load_file(written(tmp_path, timed, UNTIMED), SCALE)[0].time_us == 7 + 3000
    alone = load_file(written(tmp_path, UNTIMED), SCALE)
    assert alone[0].time_us == 7 + SPOT_CLOCK_OFFSET_US


def test_the_index_is_the_spot_mid_rounded_to_the_perpetuals_price_unit(recording):
    for market in (BTC, ETH):
        prices = recording.index[market.instrument]
        assert len(prices) > 1000
        perpetual = recording.events[market.instrument][1]
        assert abs(prices[0].price - perpetual.bid) < perpetual.bid / 500


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"7000 {broken\n", "line 3"),
        (b'7000 {"stream":"x@kline","data":{}}\n', "line 3: unknown stream"),
        (TRADE.replace(b"0.006", b"0.0061"), "line 3: 0.0061 is not a whole number"),
        (TRADE.replace(b"0.006", b"0.oo6"), "line 3"),
        (TRADE.replace(b'"p"', b'"x"'), "line 3: .*missing required field"),
        (b"soon {}\n", "line 3"),
    ],
)
def test_a_bad_line_is_named_with_its_file_and_number(tmp_path, line, complaint):
    path = written(tmp_path, TRADE, QUOTE, line)
    with pytest.raises(RecordingError, match=rf"x\.gz: {complaint}"):
        load_file(path, SCALE)


@pytest.mark.parametrize("name", ["x.gz", "x.xz"])
def test_a_truncated_file_is_named_and_not_taken_for_a_short_one(tmp_path, name):
    path = written(tmp_path, *[TRADE] * 2000, name=name)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(RecordingError, match=rf"{name}: unreadable after line \d+"):
        load_file(path, SCALE)


def test_a_missing_recording_and_a_foreign_suffix_are_refused_by_name(tmp_path):
    with pytest.raises(RecordingError, match="usdm_btcusdt_20240808: neither"):
        load_recording(tmp_path)
    with pytest.raises(RecordingError, match=r"notes\.txt"):
        load_file(tmp_path / "notes.txt", SCALE)


def test_the_sample_is_made_line_for_line_and_keeps_only_the_best_of_spot(tmp_path):
    source, target = tmp_path / "full", tmp_path / "sample"
    source.mkdir()
    for name in ("usdm_btcusdt_20240808", "usdm_ethusdt_20240808", "spot_btcusdt_20240808", "spot_ethusdt_20240808"):
        written(source, TRADE, UNTIMED, name=f"{name}.gz")
    sums = make_sample(source, target)
    assert lzma.decompress((target / "usdm_btcusdt_20240808.xz").read_bytes()) == TRADE + UNTIMED
    assert lzma.decompress((target / "spot_btcusdt_20240808.xz").read_bytes()) == UNTIMED
    assert set(sums) == {p.name for p in target.glob("*.xz")}
