"""Asking a running venue: accounts, markets, batches. Each command is one call of the public API."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import Annotated, Any, Final

import aiohttp
import typer

from penstock.cli.output import ABSENT, print_json, print_pairs, print_table, refuse, utc
from penstock.participants.client import GatewayClient, GatewayError
from penstock.protocol.commands import SCOPE_CANCEL, SCOPE_TRADE, SCOPE_WITHDRAW
from penstock.protocol.instruments import KIND_NAMES

NOT_FOUND: Final = 13_020
"""The gateway's code where there is no such instrument or subaccount."""
DIGITS: Final = Context(prec=8)
SCOPES: Final = {SCOPE_TRADE: "trade", SCOPE_CANCEL: "cancel", SCOPE_WITHDRAW: "withdraw"}
UNITS: Final = "prices in USD, amounts and volume in coin, volume_usd in USD, price_change in percent"
MONEY: Final = ("cash", "withdrawn", "equity", "initial_margin", "maintenance_margin")
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
    print_pairs(in_usdc({name: value for name, value in account.items() if name not in LISTS}))
    for name, (title, shown) in LISTS.items():
        rows = [shown(row) for row in account[name]]
        if rows:
            print_table(title, list(rows[0]), [list(row.values()) for row in rows])


def in_usdc(told: dict[str, Any]) -> dict[str, Any]:
    """The same with the unit behind each amount of money."""
    return {name: f"{value} USDC" if name in MONEY else value for name, value in told.items()}


def _position(told: dict[str, Any]) -> dict[str, Any]:
    """Its average price is its entry cost over its size; the mark is the price at which it has its profit."""
    size, entry, profit = (Decimal(told[name]) for name in ("size", "entry", "unrealised"))
    return {
        "instrument_name": told["instrument_name"],
        "size": told["size"],
        "average_price": f"{DIGITS.divide(entry, size):f}",
        "mark_price": f"{DIGITS.divide(entry + profit, size):f}",
        "unrealised": told["unrealised"],
        "unsettled_funding": told["unsettled_funding"],
    }


def _session(told: dict[str, Any]) -> dict[str, Any]:
    scopes = [name for bit, name in SCOPES.items() if told["scopes"] & bit]
    kinds = [name for kind, name in KIND_NAMES.items() if told["kinds"] & kind]
    return {
        "key": told["key"],
        "session": told["session"],
        "expires": f"{datetime.fromtimestamp(told['expiry'], UTC):%Y-%m-%d %H:%M:%S}",
        "slots": f"{told['slot_first']}–{told['slot_last']}",
        "scopes": "+".join(scopes),
        "underlyings": "all" if told["underlyings"] == (1 << 64) - 1 else f"{told['underlyings']:#x}",
        "kinds": "all" if told["kinds"] == (1 << 8) - 1 else "+".join(kinds),
        "revoked_at": told["revoked_at"] or None,
    }


LISTS: Final[dict[str, tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]]] = {
    "positions": ("positions: sizes in coin, prices in USD, the rest in USDC", _position),
    "orders": ("orders: prices in USD, amounts in coin", dict),
    "sessions": ("sessions: times in UTC", _session),
}


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
    if not found["settlements"] and ask(url, "public/get_instrument", {"instrument_name": instrument})["is_active"]:
        typer.echo(f"{instrument} has not ended")
        return
    columns = ["subaccount", "position", "index_price", "mark_price", "profit_loss", "time, UTC"]
    rows = [[*(row[c] for c in columns[:-1]), utc(row["timestamp"], fraction=True)] for row in found["settlements"]]
    print_table(f"{instrument}  positions in coin, prices in USD, profit in USDC", columns, rows)


@markets.command("show")
def show_market(instrument: Instrument, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """State, prices and open interest of one instrument; of an option also its implied volatility and Greeks."""
    found = ask(url, "public/ticker", {"instrument_name": instrument})
    if as_json:
        print_json(found)
    else:
        heard = f"{utc(found['timestamp'], fraction=True)} UTC" if found["timestamp"] else None
        print_pairs(found | {"timestamp": heard, "units": UNITS})


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
    columns = ["trade_id", "time, UTC", "direction", "price", "amount"]
    rows = [
        [row["trade_id"], utc(row["timestamp"], fraction=True), *(row[c] for c in columns[2:])]
        for row in found["trades"]
    ]
    print_table(f"{instrument}  prices in USD, amounts in coin", columns, rows)


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
        return ABSENT
    return utc(instrument["expiration_timestamp"])


def ask(url: str, method: str, parameters: dict[str, Any]) -> Any:
    """One call. Exits with 1 and the venue's reason when it refuses or does not answer."""
    try:
        return asyncio.run(_ask(url, method, parameters))
    except GatewayError as error:
        raise refuse(said(error)) from error
    except (aiohttp.ClientError, OSError) as error:
        raise refuse(unanswered(url, error)) from error


def said(error: GatewayError) -> str:
    """What the gateway refused, and where to look for what there is."""
    if error.code != NOT_FOUND:
        return str(error)
    return f"{error.reason}; see `penstock market list`" if error.param == "instrument_name" else str(error.reason)


def unanswered(url: str, error: Exception) -> str:
    """That nothing answers, once; why, where it is more than that nobody listens there."""
    cause = error.__cause__ or error
    nobody = isinstance(cause, aiohttp.ClientConnectorError | ConnectionRefusedError)
    return f"no venue answers at {url}" + ("" if nobody else f": {cause}")


async def _ask(url: str, method: str, parameters: dict[str, Any]) -> Any:
    async with await GatewayClient.connect(url) as client:
        return await client.call(method, parameters)
