"""By hand: what an order would do, place, cancel, withdraw. Decimals become price units and size units here."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import typer
from typer.core import TyperCommand

from penstock.cli.output import plain, print_json, print_pairs, refuse, sentence_of
from penstock.cli.queries import DEFAULT_URL, AsJson, Url, accounts, ask, in_usdc, said, unanswered
from penstock.participants.client import GatewayClient, GatewayError
from penstock.participants.session import Session
from penstock.protocol.commands import BUY, GOOD_TIL_CANCELLED, IMMEDIATE_OR_CANCEL, SELL, Record
from penstock.protocol.quantities import ORDER_SIZE_BITS, POSITION_BITS, PRICE_BITS, WITHDRAWN_BITS
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
_DECIMAL = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
_NEGATIVE = re.compile(r"-\.?[0-9].*")
Outcome = dict[str, Any]


async def _by_the_list(reason: str) -> str:
    return sentence_of(reason)


@dataclass(frozen=True)
class Act:
    """The record to sign, an accepted outcome as a person wants it, and a refusal's reason in a sentence."""

    record: Record
    say: Callable[[Outcome], str]
    why: Callable[[str], Awaitable[str]] = _by_the_list


Build = Callable[[GatewayClient, Session], Awaitable[Act]]


class TakesNumbers(TyperCommand):
    """A negative number is an argument, to be refused as a number and not as an option that there is not."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See click.Command."""
        ctx.ignore_unknown_options = any(map(_NEGATIVE.fullmatch, args))
        return super().parse_args(ctx, args)


@orders.command("place", cls=TakesNumbers)
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
    """Place an order: INSTRUMENT buy|sell AMOUNT (coin) PRICE (USD). On an occupied slot it replaces.

    With --json `filled` is in size units and `average_price` in price units, as `public/get_instrument` names them.
    """
    if side not in ("buy", "sell"):
        raise typer.BadParameter(f"side {side!r}: buy or sell")

    async def build(client: GatewayClient, session: Session) -> Act:
        listed = await client.call("public/get_instrument", {"instrument_name": instrument})
        tick, lot = (plain(listed[step]) for step in ("tick_size", "min_trade_amount"))

        async def why(reason: str) -> str:
            if reason in ("PRICE_OFF_TICK", "SIZE_OFF_LOT"):
                return f"{sentence_of(reason)} (tick {tick} USD, lot {lot} {listed['base_currency']})"
            shown = " `penstock account what-if` shows what it would leave." if reason == "MARGIN_TOO_LOW" else ""
            return sentence_of(reason) + shown

        order = session.place(
            slot,
            listed["instrument_id"],
            BUY if side == "buy" else SELL,
            to_units("price", price, listed["price_unit"], PRICE_BITS, "USD", tick),
            to_units("amount", amount, listed["size_unit"], ORDER_SIZE_BITS, listed["base_currency"], lot),
            time_in_force=IMMEDIATE_OR_CANCEL if immediate else GOOD_TIL_CANCELLED,
            post_only=post_only,
            reduce_only=reduce_only,
        )
        return Act(order, lambda outcome: f"slot {slot}: {filled(outcome, order.size, listed)}", why)

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

    async def build(_: GatewayClient, session: Session) -> Act:
        return Act(session.cancel(slot), lambda _: f"cancelled the order in slot {slot}")

    send(build, subaccount, key, url, as_json)


@orders.command("cancel-all")
def cancel_all(subaccount: Subaccount = None, key: Key = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Kill every order of the subaccount."""

    async def build(_: GatewayClient, session: Session) -> Act:
        return Act(session.cancel_all(), lambda _: "cancelled every order")

    send(build, subaccount, key, url, as_json)


@orders.command("withdraw", cls=TakesNumbers)
def withdraw(
    amount: Annotated[str, typer.Argument(help="In USDC.")],
    subaccount: Subaccount = None,
    key: Key = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Withdraw AMOUNT of USDC: `penstock account claim` takes it out once the batch that holds it is final."""
    units = to_units("amount", amount, "0.000001", WITHDRAWN_BITS, "USDC")

    async def build(client: GatewayClient, session: Session) -> Act:
        async def why(reason: str) -> str:
            if reason == "PRICE_STALE":
                return "A position is in a market without a fresh price: withdraw after its next price, or close it."
            if reason != "AMOUNT_ABOVE_WITHDRAWABLE":
                return sentence_of(reason)
            account = await client.call("penstock/get_subaccount", {"subaccount": session.subaccount})
            cash, equity, margin = (Decimal(account[name]) for name in ("cash", "equity", "initial_margin"))
            most = max(Decimal(0), min(cash, equity - margin))
            return f"{sentence_of(reason)} By this account {most} USDC is withdrawable."

        return Act(session.withdraw(units), lambda _: f"withdrew {amount} USDC", why)

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
            asked["size"] = sign * to_units(name, amount, listed["size_unit"], POSITION_BITS, listed["base_currency"])
    if price is not None:
        asked["price"] = to_units("price", price, listed["price_unit"], PRICE_BITS, "USD")
    found = ask(url, "penstock/what_if", asked)
    if as_json:
        print_json(found)
        return
    liquidated_at = found["liquidation_price"]
    print_pairs(in_usdc(found) | {"liquidation_price": liquidated_at and f"{liquidated_at} USD"})


def filled(outcome: Outcome, size: int, listed: dict[str, Any]) -> str:
    """How much filled of an order of `size` (size units), and at which average price, in coin and USD."""
    amount, price = (Decimal(listed[unit]) for unit in ("size_unit", "price_unit"))
    done, wanted = ((units * amount).normalize() for units in (outcome["filled"], size))
    if not outcome["filled"]:
        return f"filled 0 of {wanted:f}"
    average = (Decimal(str(outcome["average_price"])) * price).normalize()
    return f"filled {done:f} of {wanted:f} at {average:f} on average"


def to_units(name: str, text: str, unit: object, bits: int, said_in: str, step: str | None = None) -> int:
    """A decimal as a whole number of units, of at most `bits` bits. Raises typer.BadParameter, saying what it is
    `said_in` and naming the market's own `step` where it is coarser than the unit; never rounds."""
    if not _DECIMAL.fullmatch(text):
        raise typer.BadParameter(f"{name} {text!r}: a decimal number, such as 0.01, of at most 20 digits")
    units = Decimal(text) / Decimal(str(unit))
    if units != units.to_integral_value() or units <= 0:
        raise typer.BadParameter(f"{name} {text!r}: a positive multiple of {step or unit}")
    if units >= 1 << bits:
        most = ((1 << bits) - 1) * Decimal(str(unit))
        raise typer.BadParameter(f"{name} {text!r}: at most {most:f} {said_in}")
    return int(units)


def send(build: Build, subaccount: int | None, key: Path | None, url: str, as_json: bool) -> None:
    """Sign what `build` returns, send it, print the outcome. Exits with 1 and the reason when refused."""
    trader = guest()
    signer = Signer(read_key(key)) if key else trader.owner()
    number = trader.subaccount if subaccount is None else subaccount
    try:
        answer, act, reason, why = asyncio.run(_send(build, number, signer, url))
    except GatewayError as error:
        raise refuse(said(error)) from error
    except ValueError as error:
        raise refuse(str(error)) from error
    except (aiohttp.ClientError, OSError) as error:
        raise refuse(unanswered(url, error)) from error
    if as_json:
        print_json(answer)
    if reason:
        raise refuse(f"refused: {reason}: {why}")
    if not as_json:
        typer.echo(f"sequence {answer['sequence']:,}: {act.say(answer['outcomes'][0])}")


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


async def _send(build: Build, subaccount: int, signer: Signer, url: str) -> tuple[Outcome, Act, str | None, str]:
    """What was answered to which act; the reason where it was refused, and its sentence."""
    async with await GatewayClient.connect(url) as client:
        domain = await client.call("penstock/get_domain")
        session = Session(client, bytes.fromhex(domain["separator"].removeprefix("0x")), subaccount, signer)
        act = await build(client, session)
        answer: Outcome = await client.call("penstock/submit", {"envelope": "0x" + session.seal(act.record).hex()})
        reason = answer.get("refused") or next((o["reason"] for o in answer["outcomes"] if o["reason"]), None)
        return answer, act, reason, await act.why(reason) if reason else ""
