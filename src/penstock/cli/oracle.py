"""`penstock oracle run` and `status`: one key of the price quorum, its sources, its peers."""

import asyncio
import logging
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from penstock.cli.demo import on_signals
from penstock.cli.orders import read_key
from penstock.cli.output import REMARKS, print_json, print_pairs, print_table, refuse
from penstock.cli.queries import DEFAULT_URL, AsJson
from penstock.pricing.index import IndexRules
from penstock.protocol.signing import Signer
from penstock.protocol.terms import Genesis
from penstock.simulation.oracle_run import OracleConfig, run_oracle
from penstock.simulation.recorded_sources import recorded_sources
from penstock.simulation.recording import RecordingError
from penstock.simulation.replay_run import sample_folder
from penstock.venue.follower import ask_genesis
from penstock.venue.journal import JournalError
from penstock.venue.oracle.decisions import Decision
from penstock.venue.oracle.endpoint import Endpoint, ask_status
from penstock.venue.oracle.exchange import ExchangeMissing, ExchangeSource
from penstock.venue.oracle.rules import OracleRules
from penstock.venue.oracle.sources import FixedSource, Source
from penstock.venue.recovery import read_genesis
from penstock.venue.sequencer import NodeStopped

oracles = typer.Typer(help="Oracles: the quorum that publishes prices.", no_args_is_help=True)
_SOURCE_FORMS = "recording[:FOLDER], ccxt:EXCHANGE:BTC=BTC/USD,ETH=ETH/USD, or fixed:NAME:BTC=60000,ETH=3000"


@oracles.callback()
def oracles_root() -> None:
    """Oracles: the quorum that publishes prices."""


@oracles.command("run")
def run(
    key_file: Annotated[
        Path,
        typer.Option("--key-file", help="File with this oracle's private key, in hex.", exists=True, dir_okay=False),
    ],
    source: Annotated[list[str], typer.Option("--source", "--sources", help=f"Repeat it: {_SOURCE_FORMS}.")],
    peer: Annotated[
        list[str] | None, typer.Option("--peer", "--peers", help="Another oracle's URL, http://HOST:PORT. Repeat it.")
    ] = None,
    venue: Annotated[str, typer.Option(envvar="PENSTOCK_URL", help="Where the venue's gateway listens.")] = DEFAULT_URL,
    home: Annotated[
        Path | None, typer.Option(help="A node's home, to take the genesis from instead of asking the venue.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on for the peers.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = 8430,
    every: Annotated[
        float, typer.Option(help="Seconds of venue time between prices; the same at every oracle.", min=0.05, max=60)
    ] = 1.0,
    least: Annotated[int, typer.Option(help="Sources that must be live; two of them must agree.", min=2)] = 3,
    stale_after: Annotated[float, typer.Option(help="Seconds after which a source's price is too old.", min=1)] = 180.0,
    farthest: Annotated[
        float, typer.Option(help="Largest distance, as a fraction, that is walked to from the venue's price.", min=0.01)
    ] = 0.5,
    seconds: Annotated[
        float | None, typer.Option(help="End by itself after so long; default: Ctrl-C.", min=0.1)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each decision as one line of JSON.")] = False,
) -> None:
    """Run one oracle: look at the sources, propose prices in its turn, sign what the others propose if it agrees."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    signer = Signer(read_key(key_file))
    rules = OracleRules(
        index=IndexRules(least=least, agreeing=2, stale_after=stale_after), every=every, farthest=farthest
    )
    config = OracleConfig(venue=venue, peers=tuple(peer or ()), host=host, port=port, rules=rules)
    for url in config.peers:
        if not url.startswith(("http://", "https://")):
            raise typer.BadParameter(f"peer {url!r}: http://HOST:PORT")
    sources = read_sources(source, rules.source_timeout)
    if len(sources) < least:
        raise refuse(f"{len(sources)} sources given, --least wants {least} live: no price could ever be published")
    try:
        asyncio.run(_run(config, signer, home, sources, seconds, as_json))
    except (JournalError, NodeStopped, OSError, ValueError) as error:
        raise refuse(f"oracle: {error}") from error


@oracles.command("status")
def status(
    url: Annotated[str, typer.Argument(help="The oracle, http://HOST:PORT.", metavar="URL")], as_json: AsJson = False
) -> None:
    """What an oracle sees and decided."""
    try:
        found = asyncio.run(ask_status(url))
    except ConnectionError as error:
        raise refuse(str(error)) from error
    if as_json:
        print_json(found)
        return
    print_pairs({"oracle": found["oracle"], "threshold": found["threshold"], "peers": ", ".join(found["peers"])})
    for name, market in found["markets"].items():
        print_pairs({name: (market["view"] or {"no view": market.get("detail", "not looked yet")})})
        if market.get("dropped"):
            print_pairs({"dropped": {one["name"]: one["flaw"] for one in market["dropped"]}})
    columns = ["market", "outcome", "reason", "count"]
    print_table("decisions", columns, [[row[column] for column in columns] for row in found["counts"]])


def read_sources(texts: Sequence[str], timeout: float) -> list[Source]:
    """The sources that the texts name. Raises typer.BadParameter, typer.Exit for a recording or exchange not there."""
    found: list[Source] = []
    for text in texts:
        kind, _, rest = text.partition(":")
        try:
            if kind == "recording":
                found += recorded_sources(Path(rest) if rest else sample_folder())
            elif kind == "ccxt":
                exchange, symbols = _named(text, rest)
                found.append(ExchangeSource(exchange, symbols, timeout=timeout))
            elif kind == "fixed":
                name, prices = _named(text, rest)
                found.append(FixedSource(name, {base: _price(text, price) for base, price in prices.items()}))
            else:
                raise typer.BadParameter(f"source {text!r}: one of {_SOURCE_FORMS}")
        except (RecordingError, ExchangeMissing, OSError) as error:
            raise refuse(f"source {text}: {error}") from error
    return found


def _named(text: str, rest: str) -> tuple[str, dict[str, str]]:
    name, _, listed = rest.partition(":")
    pairs = [part.partition("=") for part in listed.split(",")]
    if not name or not all(base and value for base, _, value in pairs):
        raise typer.BadParameter(f"source {text!r}: one of {_SOURCE_FORMS}")
    return name, {base: value for base, _, value in pairs}


def _price(text: str, price: str) -> float:
    try:
        value = float(price)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise typer.BadParameter(f"source {text!r}: {price!r} is no price above 0")
    return value


async def _run(
    config: OracleConfig,
    signer: Signer,
    home: Path | None,
    sources: Sequence[Source],
    seconds: float | None,
    as_json: bool,
) -> None:
    genesis: Genesis = await ask_genesis(config.venue) if home is None else read_genesis(home)
    stop = asyncio.Event()
    on_signals(stop.set)
    if seconds is not None:
        asyncio.get_running_loop().call_later(seconds, stop.set)

    def started(endpoint: Endpoint) -> None:
        REMARKS.print(f"oracle 0x{signer.address.hex()} listens at {endpoint.url}", highlight=False, soft_wrap=True)

    def say(decision: Decision) -> None:
        shown: dict[str, Any] = msgspec.to_builtins(decision)
        sys.stdout.buffer.write(msgspec.json.encode(shown) + b"\n")
        sys.stdout.buffer.flush()

    found = await run_oracle(config, signer, genesis, sources, stop, started=started, listener=say if as_json else None)
    if not as_json:
        print_table(
            "decisions", ["market", "outcome", "reason", "count"], [list(row.values()) for row in found["counts"]]
        )
