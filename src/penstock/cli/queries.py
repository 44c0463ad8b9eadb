"""Asking a running venue: accounts, markets, batches. Each command is one call of the public API."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

import aiohttp
import typer

from penstock.cli.output import print_json, print_pairs, print_table, refuse
from penstock.participants.client import GatewayClient, GatewayError

DEFAULT_URL = "http://127.0.0.1:8420"
Url = Annotated[str, typer.Option(envvar="PENSTOCK_URL", help="Where the gateway listens.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

accounts = typer.Typer(help="Subaccounts: all of it is public.", no_args_is_help=True)
markets = typer.Typer(help="Instruments, books and trades of a running venue.", no_args_is_help=True)
Instrument = Annotated[str, typer.Argument(help="As `market list` names it.")]
batches = typer.Typer(help="Batches on chain.", no_args_is_help=True)


@accounts.command("show")
def show_account(subaccount: int, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Cash, equity, margins, positions and orders of one subaccount."""
    account = ask(url, "penstock/get_subaccount", {"subaccount": subaccount})
    if as_json:
        print_json(account)
        return
    print_pairs({name: value for name, value in account.items() if not isinstance(value, list)})
    for name in ("positions", "orders", "sessions"):
        rows = account.get(name) or []
        if rows:
            print_table(name, list(rows[0]), [list(row.values()) for row in rows])


@markets.command("list")
def list_markets(
    kind: Annotated[str, typer.Option(help="future (perpetuals too), option or any.")] = "any",
    currency: Annotated[str, typer.Option(help="Coin, such as BTC, or any.")] = "any",
    expired: Annotated[bool, typer.Option("--expired", help="Those whose time is over instead.")] = False,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """The listed instruments: state, end (UTC), ticks, smallest amounts and fees."""
    found = ask(url, "public/get_instruments", {"currency": currency, "kind": kind, "expired": expired})
    if as_json:
        print_json(found)
        return
    columns = ["instrument_name", "state", "tick_size", "min_trade_amount", "maker_commission", "taker_commission"]
    rows = [[row["instrument_name"], _end_of(row), *(row[c] for c in columns[1:])] for row in found]
    print_table("instruments", ["instrument_name", "ends", *columns[1:]], rows)


@markets.command("settlements")
def show_settlements(
    instrument: Instrument,
    count: Annotated[int, typer.Option(help="How many, 1 to 1000.")] = 10,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """What became of the positions of a market that has ended, newest first: sizes in coin, profit in USDC."""
    found = ask(url, "public/get_last_settlements_by_instrument", {"instrument_name": instrument, "count": count})
    if as_json:
        print_json(found)
        return
    columns = ["subaccount", "position", "index_price", "mark_price", "profit_loss", "timestamp"]
    print_table(instrument, columns, [[row[c] for c in columns] for row in found["settlements"]])


@markets.command("show")
def show_market(instrument: Instrument, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """State, prices and open interest of one instrument; of an option also its implied volatility and Greeks."""
    found = ask(url, "public/ticker", {"instrument_name": instrument})
    (print_json if as_json else print_pairs)(found)


@markets.command("book")
def show_book(
    instrument: Instrument,
    depth: Annotated[int, typer.Option(help="Levels a side, 1 to 1000.")] = 10,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """The best levels of one book, asks above bids: prices in USD, amounts in coin."""
    book = ask(url, "public/get_order_book", {"instrument_name": instrument, "depth": depth})
    if as_json:
        print_json(book)
        return
    rows = [("", price, amount) for price, amount in reversed(book["asks"])]
    rows += [(amount, price, "") for price, amount in book["bids"]]
    print_table(f"{instrument}  mark {book['mark_price']}  index {book['index_price']}", ["bid", "price", "ask"], rows)


@markets.command("trades")
def show_trades(
    instrument: Instrument,
    count: Annotated[int, typer.Option(help="How many, 1 to 1000.")] = 10,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """The newest trades of one market, newest first; the direction is the taker's, times are venue time."""
    found = ask(url, "public/get_last_trades_by_instrument", {"instrument_name": instrument, "count": count})
    if as_json:
        print_json(found)
        return
    columns = ["trade_id", "timestamp", "direction", "price", "amount"]
    print_table(instrument, columns, [[row[c] for c in columns] for row in found["trades"]])


@batches.command("list")
def list_batches(
    count: Annotated[int, typer.Option(help="How many.")] = 10, url: Url = DEFAULT_URL, as_json: AsJson = False
) -> None:
    """The newest batches, newest first."""
    found = ask(url, "penstock/get_batches", {"count": count})
    if as_json:
        print_json(found)
        return
    columns = ["number", "first_sequence", "last_sequence", "entries", "gas", "status", "settlement_root"]
    print_table("batches", columns, [[row[c] for c in columns] for row in found])


def _end_of(instrument: dict[str, Any]) -> str:
    if instrument["settlement_period"] == "perpetual":
        return "–"
    return f"{datetime.fromtimestamp(instrument['expiration_timestamp'] / 1_000, UTC):%Y-%m-%d %H:%M}"


def ask(url: str, method: str, parameters: dict[str, Any]) -> Any:
    """One call. Exits with 1 and the venue's reason when it refuses or does not answer."""
    try:
        return asyncio.run(_ask(url, method, parameters))
    except GatewayError as error:
        raise refuse(f"{method}: {error}") from error
    except (aiohttp.ClientError, OSError) as error:
        raise refuse(f"no venue answers at {url}: {error}") from error


async def _ask(url: str, method: str, parameters: dict[str, Any]) -> Any:
    async with await GatewayClient.connect(url) as client:
        return await client.call(method, parameters)
