"""Signing and sending by hand: place, cancel, withdraw. Decimals become price units and size units here."""

import asyncio
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import typer

from penstock.cli.output import print_json, refuse
from penstock.cli.queries import DEFAULT_URL, Url
from penstock.participants.client import GatewayClient, GatewayError
from penstock.participants.session import Session
from penstock.protocol.commands import BUY, GOOD_TIL_CANCELLED, IMMEDIATE_OR_CANCEL, SELL, Record
from penstock.protocol.signing import Signer
from penstock.simulation.accounts import guest

orders = typer.Typer(help="Signed orders and withdrawals by hand.", no_args_is_help=True)
Subaccount = Annotated[int | None, typer.Option(help="Subaccount; default: the guest's.")]
Key = Annotated[
    Path | None,
    typer.Option(help="File with a private key in hex. Default: the guest's PUBLISHED DEVELOPMENT KEY.", exists=True),
]
Slot = Annotated[int, typer.Option(help="Slot that holds the order.", min=16, max=4095)]
_DECIMAL = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
Build = Callable[[GatewayClient, Session], Any]


@orders.command("place")
def place(
    instrument: str,
    side: str,
    amount: str,
    price: str,
    slot: Slot = 4000,
    immediate: Annotated[bool, typer.Option("--ioc", help="Immediate or cancel.")] = False,
    post_only: Annotated[bool, typer.Option("--post-only")] = False,
    reduce_only: Annotated[bool, typer.Option("--reduce-only")] = False,
    subaccount: Subaccount = None,
    key: Key = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Place an order: INSTRUMENT buy|sell AMOUNT (coin) PRICE (USD). On an occupied slot it replaces."""
    if side not in ("buy", "sell"):
        raise typer.BadParameter(f"side {side!r}: buy or sell")

    async def build(client: GatewayClient, session: Session) -> Record:
        listed = await client.call("public/get_instrument", {"instrument_name": instrument})
        return session.place(
            slot,
            listed["instrument_id"],
            BUY if side == "buy" else SELL,
            to_units("price", price, listed["price_unit"]),
            to_units("amount", amount, listed["size_unit"]),
            time_in_force=IMMEDIATE_OR_CANCEL if immediate else GOOD_TIL_CANCELLED,
            post_only=post_only,
            reduce_only=reduce_only,
        )

    send(build, subaccount, key, url)


@orders.command("cancel")
def cancel(slot: Slot = 4000, subaccount: Subaccount = None, key: Key = None, url: Url = DEFAULT_URL) -> None:
    """Cancel the order in a slot."""

    async def build(_: GatewayClient, session: Session) -> Record:
        return session.cancel(slot)

    send(build, subaccount, key, url)


@orders.command("cancel-all")
def cancel_all(subaccount: Subaccount = None, key: Key = None, url: Url = DEFAULT_URL) -> None:
    """Kill every order of the subaccount."""

    async def build(_: GatewayClient, session: Session) -> Record:
        return session.cancel_all()

    send(build, subaccount, key, url)


@orders.command("withdraw")
def withdraw(amount: str, subaccount: Subaccount = None, key: Key = None, url: Url = DEFAULT_URL) -> None:
    """Withdraw AMOUNT of USDC: claimable on chain once the batch that holds it is final."""

    async def build(_: GatewayClient, session: Session) -> Record:
        return session.withdraw(to_units("amount", amount, "0.000001"))

    send(build, subaccount, key, url)


def to_units(name: str, text: str, unit: object) -> int:
    """A decimal as a whole number of units. Raises typer.BadParameter; never rounds."""
    if not _DECIMAL.fullmatch(text):
        raise typer.BadParameter(f"{name} {text!r}: a decimal number, such as 0.01, of at most 20 digits")
    units = Decimal(text) / Decimal(str(unit))
    if units != units.to_integral_value() or units <= 0:
        raise typer.BadParameter(f"{name} {text!r}: a positive multiple of {unit}")
    return int(units)


def send(build: Build, subaccount: int | None, key: Path | None, url: str) -> None:
    """Sign what `build` returns, send it, print the outcome. Exits with 1 and the reason when refused."""
    trader = guest()
    signer = Signer(read_key(key)) if key else trader.owner()
    number = trader.subaccount if subaccount is None else subaccount
    try:
        outcome = asyncio.run(_send(build, number, signer, url))
    except (GatewayError, ValueError) as error:
        raise refuse(str(error)) from error
    except (aiohttp.ClientError, OSError) as error:
        raise refuse(f"no venue answers at {url}: {error}") from error
    print_json(outcome)
    reason = outcome.get("refused") or next((o["reason"] for o in outcome.get("outcomes", []) if o["reason"]), None)
    if reason:
        raise refuse(f"refused: {reason}")


def read_key(path: Path) -> bytes:
    """A 32-byte private key from a file of hex. Raises typer.BadParameter."""
    try:
        secret = bytes.fromhex(path.read_text().strip().removeprefix("0x"))
    except ValueError as error:
        raise typer.BadParameter(f"{path}: not hex") from error
    if len(secret) != 32:
        raise typer.BadParameter(f"{path}: {len(secret)} bytes, a key has 32")
    return secret


async def _send(build: Build, subaccount: int, signer: Signer, url: str) -> dict[str, Any]:
    async with await GatewayClient.connect(url) as client:
        domain = await client.call("penstock/get_domain")
        session = Session(client, bytes.fromhex(domain["separator"].removeprefix("0x")), subaccount, signer)
        record = await build(client, session)
        result: dict[str, Any] = await client.call("penstock/submit", {"envelope": "0x" + session.seal(record).hex()})
        return result
