"""`penstock market list-contract`: a future or an option that a template foresees, by its name."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

import aiohttp
import typer

from penstock.cli.output import print_json, refuse, sentence_of
from penstock.cli.queries import DEFAULT_URL, AsJson, Url, markets, said, unanswered
from penstock.participants.client import GatewayClient, GatewayError
from penstock.protocol.commands import ListMarket
from penstock.protocol.instruments import CALL, EXPIRY_HOUR, FUTURE, NO_OPTION, OPTION, PUT
from penstock.protocol.signing import seal
from penstock.protocol.terms import Genesis
from penstock.venue.follower import ask_genesis

_OPTION_TYPES = {"C": CALL, "P": PUT}


@markets.command("list-contract")
def list_contract(
    name: Annotated[str, typer.Argument(help="Such as BTC_USDC-27MAR27 or BTC_USDC-27MAR27-100000-C.")],
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """List a contract that one of the venue's templates foresees. A poke: nobody signs, and it costs nothing."""
    try:
        answer = asyncio.run(_list(name, url))
    except GatewayError as error:
        raise refuse(said(error)) from error
    except (aiohttp.ClientError, OSError) as error:
        raise refuse(unanswered(url, error)) from error
    if as_json:
        print_json(answer)
    reason = answer.get("refused") or answer["outcomes"][0]["reason"]
    if reason:
        raise refuse(f"refused: {reason}: {sentence_of(reason)}")
    if not as_json:
        typer.echo(f"sequence {answer['sequence']:,}: listed {name}; it trades once the oracles have priced it")


def read_name(name: str, genesis: Genesis) -> ListMarket:
    """The poke that lists a contract of this name. Raises typer.BadParameter where no template has such contracts."""
    base, _, rest = name.partition("_USDC-")
    day, *option = rest.split("-")
    try:
        midnight = datetime.strptime(day, "%d%b%y").replace(tzinfo=UTC)
        strike = Decimal(option[0].replace("d", ".")) if option else Decimal(0)
        option_type = _OPTION_TYPES[option[1]] if option else NO_OPTION
    except (IndexError, InvalidOperation, KeyError, ValueError) as error:
        wanted = "COIN_USDC-DAY, such as BTC_USDC-27MAR27, for an option with -STRIKE-C or -STRIKE-P behind it"
        raise typer.BadParameter(f"name {name!r}: {wanted}") from error
    wanted_kind = OPTION if option else FUTURE
    for template in genesis.templates:
        if (template.terms.base, template.terms.kind) == (base, wanted_kind):
            units = strike / template.terms.price_unit
            if units == units.to_integral_value() and 0 <= units < 1 << 40:
                return ListMarket(template.template, int(midnight.timestamp()) + EXPIRY_HOUR, int(units), option_type)
            raise typer.BadParameter(f"name {name!r}: the strike is a multiple of {template.terms.price_unit} USD")
    bases = ", ".join(sorted({template.terms.base for template in genesis.templates})) or "none"
    raise typer.BadParameter(f"name {name!r}: the venue has templates for {bases}")


async def _list(name: str, url: str) -> dict[str, Any]:
    genesis = await ask_genesis(url)
    async with await GatewayClient.connect(url) as client:
        domain = await client.call("penstock/get_domain")
        separator = bytes.fromhex(domain["separator"].removeprefix("0x"))
        envelope = seal(separator, read_name(name, genesis), [])
        answer: dict[str, Any] = await client.call("penstock/submit", {"envelope": "0x" + envelope.hex()})
        return answer
