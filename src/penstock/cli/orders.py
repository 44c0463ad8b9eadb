"""By hand: what an order would do, place, cancel, withdraw. Decimals become price units and size units here."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import typer

from penstock.cli.output import print_json, print_pairs, refuse, refuse_for
from penstock.cli.queries import DEFAULT_URL, AsJson, Url, accounts, ask
from penstock.participants.client import GatewayClient, GatewayError
from penstock.participants.session import Session
from penstock.protocol.commands import BUY, GOOD_TIL_CANCELLED, IMMEDIATE_OR_CANCEL, SELL, Record
from penstock.protocol.signing import CURVE_ORDER, Signer
from penstock.simulation.accounts import guest

orders = typer.Typer(help="Signed orders and withdrawals by hand.", no_args_is_help=True)
Subaccount = Annotated[int | None, typer.Option(help="Subaccount; default: the guest's.")]
Key = Annotated[
    Path | None,
    typer.Option(
        help="File with a private key in hex. Default: the guest's PUBLISHED DEVELOPMENT KEY.",
        exists=True, dir_okay=False,
    ),
]  # fmt: skip
Slot = Annotated[int, typer.Option(help="Slot that holds the order.", min=16, max=4095)]
_DECIMAL = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
Outcome = dict[str, Any]
Say = Callable[[Outcome], str]
"""An accepted outcome as a person wants it."""
Build = Callable[[GatewayClient, Session], Awaitable[tuple[Record, Say]]]
"""The record to sign, and how to tell what became of it."""


@orders.command("place")
def place(
    instrument: Annotated[str, typer.Argument(help="As `penstock market list` names it.")],
    side: Annotated[str, typer.Argument(help="buy or sell.")],
    amount: Annotated[str, typer.Argument(help="In coin.")],
    price: Annotated[str, typer.Argument(help="In USD; nothing fills at a worse one.")],
    slot: Slot = 4000,
    immediate: Annotated[bool, typer.Option("--ioc", help="Immediate or cancel.")] = False,
    post_only: Annotated[bool, typer.Option("--post-only", help="Refused if it would trade at once.")] = False,
    reduce_only: Annotated[bool, typer.Option("--reduce-only", help="Never opens or grows a position.")] = False,
    subaccount: Subaccount = None,
    key: Key = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Place an order: INSTRUMENT buy|sell AMOUNT (coin) PRICE (USD). On an occupied slot it replaces."""
    if side not in ("buy", "sell"):
        raise typer.BadParameter(f"side {side!r}: buy or sell")

    async def build(client: GatewayClient, session: Session) -> tuple[Record, Say]:
        listed = await client.call("public/get_instrument", {"instrument_name": instrument})
        order = session.place(
            slot,
            listed["instrument_id"],
            BUY if side == "buy" else SELL,
            to_units("price", price, listed["price_unit"]),
            to_units("amount", amount, listed["size_unit"]),
            time_in_force=IMMEDIATE_OR_CANCEL if immediate else GOOD_TIL_CANCELLED,
            post_only=post_only,
            reduce_only=reduce_only,
        )
        return order, lambda outcome: f"slot {slot}: {filled(outcome, order.size, listed)}"

    send(build, subaccount, key, url, as_json)


@orders.command("cancel")
def cancel(
    slot: Slot = 4000,
    subaccount: Subaccount = None,
    key: Key = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Cancel the order in a slot."""

    async def build(_: GatewayClient, session: Session) -> tuple[Record, Say]:
        return session.cancel(slot), lambda _: f"cancelled the order in slot {slot}"

    send(build, subaccount, key, url, as_json)


@orders.command("cancel-all")
def cancel_all(subaccount: Subaccount = None, key: Key = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Kill every order of the subaccount."""

    async def build(_: GatewayClient, session: Session) -> tuple[Record, Say]:
        return session.cancel_all(), lambda _: "cancelled every order"

    send(build, subaccount, key, url, as_json)


@orders.command("withdraw")
def withdraw(
    amount: Annotated[str, typer.Argument(help="In USDC.")],
    subaccount: Subaccount = None,
    key: Key = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Withdraw AMOUNT of USDC: `penstock account claim` takes it out once the batch that holds it is final."""

    async def build(_: GatewayClient, session: Session) -> tuple[Record, Say]:
        return session.withdraw(to_units("amount", amount, "0.000001")), lambda _: f"withdrew {amount} USDC"

    send(build, subaccount, key, url, as_json)


@accounts.command("what-if")
def what_if(
    subaccount: Annotated[int, typer.Argument(help="Whose account; all of it is public.")],
    instrument: Annotated[str, typer.Argument(help="As `penstock market list` names it.")],
    buy: Annotated[str | None, typer.Option(help="As if so much were bought, in coin.")] = None,
    sell: Annotated[str | None, typer.Option(help="As if so much were sold, in coin.")] = None,
    price: Annotated[str | None, typer.Option(help="At which price, in USD; default: the mark.")] = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Equity, margins and liquidation price an act would leave, by the engine's own rules. Sends no order."""
    if buy is not None and sell is not None:
        raise typer.BadParameter("--buy and --sell: one of them, or none for the account as it is")
    listed = ask(url, "public/get_instrument", {"instrument_name": instrument})
    asked: dict[str, Any] = {"subaccount": subaccount, "instrument_name": instrument}
    for name, amount, sign in (("buy", buy, 1), ("sell", sell, -1)):
        if amount is not None:
            asked["size"] = sign * to_units(name, amount, listed["size_unit"])
    if price is not None:
        asked["price"] = to_units("price", price, listed["price_unit"])
    found = ask(url, "penstock/what_if", asked)
    (print_json if as_json else print_pairs)(found)


def filled(outcome: Outcome, size: int, listed: dict[str, Any]) -> str:
    """How much filled of an order of `size` (size units), and at which average price, in coin and USD."""
    amount, price = (Decimal(listed[unit]) for unit in ("size_unit", "price_unit"))
    done, wanted = ((units * amount).normalize() for units in (outcome["filled"], size))
    if not outcome["filled"]:
        return f"filled 0 of {wanted:f}"
    average = (Decimal(str(outcome["average_price"])) * price).normalize()
    return f"filled {done:f} of {wanted:f} at {average:f} on average"


def to_units(name: str, text: str, unit: object) -> int:
    """A decimal as a whole number of units. Raises typer.BadParameter; never rounds."""
    if not _DECIMAL.fullmatch(text):
        raise typer.BadParameter(f"{name} {text!r}: a decimal number, such as 0.01, of at most 20 digits")
    units = Decimal(text) / Decimal(str(unit))
    if units != units.to_integral_value() or units <= 0:
        raise typer.BadParameter(f"{name} {text!r}: a positive multiple of {unit}")
    return int(units)


def send(build: Build, subaccount: int | None, key: Path | None, url: str, as_json: bool) -> None:
    """Sign what `build` returns, send it, print the outcome. Exits with 1 and the reason when refused."""
    trader = guest()
    signer = Signer(read_key(key)) if key else trader.owner()
    number = trader.subaccount if subaccount is None else subaccount
    try:
        answer, say = asyncio.run(_send(build, number, signer, url))
    except (GatewayError, ValueError) as error:
        raise refuse(str(error)) from error
    except (aiohttp.ClientError, OSError) as error:
        raise refuse(f"no venue answers at {url}: {error}") from error
    if as_json:
        print_json(answer)
    outcomes = answer.get("outcomes", [])
    reason = answer.get("refused") or next((o["reason"] for o in outcomes if o["reason"]), None)
    if reason:
        raise refuse_for(reason)
    if not as_json:
        typer.echo(f"sequence {answer['sequence']:,}: {say(outcomes[0])}")


def read_key(path: Path) -> bytes:
    """A private key, 32 bytes, from a file of hex. Raises typer.BadParameter; never says what is in the file."""
    try:
        secret = bytes.fromhex(path.read_text().strip().removeprefix("0x"))
    except ValueError as error:
        raise typer.BadParameter(f"{path}: not hex") from error
    except OSError as error:
        raise typer.BadParameter(str(error)) from error
    if len(secret) != 32:
        raise typer.BadParameter(f"{path}: {len(secret)} bytes, a key has 32")
    if not 0 < int.from_bytes(secret, "big") < CURVE_ORDER:
        raise typer.BadParameter(f"{path}: a key is a number from 1 to the order of secp256k1 less 1")
    return secret


async def _send(build: Build, subaccount: int, signer: Signer, url: str) -> tuple[Outcome, Say]:
    async with await GatewayClient.connect(url) as client:
        domain = await client.call("penstock/get_domain")
        session = Session(client, bytes.fromhex(domain["separator"].removeprefix("0x")), subaccount, signer)
        record, say = await build(client, session)
        answer: Outcome = await client.call("penstock/submit", {"envelope": "0x" + session.seal(record).hex()})
        return answer, say
