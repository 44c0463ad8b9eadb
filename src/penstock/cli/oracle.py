"""`penstock oracle run`, `status` and `dev-key`: one key of the price quorum, its sources, its peers."""

import asyncio
import errno
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from penstock.cli.demo import on_signals
from penstock.cli.oracle_log import DecisionLines, log_to_stderr
from penstock.cli.orders import read_key
from penstock.cli.output import REMARKS, print_json, print_pairs, print_table, refuse
from penstock.cli.queries import DEFAULT_URL, AsJson
from penstock.pricing.index import IndexRules
from penstock.pricing.marks import Volatility
from penstock.protocol.quantities import PPM
from penstock.protocol.signing import Signer
from penstock.protocol.terms import Genesis
from penstock.simulation.accounts import development_key
from penstock.simulation.oracle_run import OracleConfig, run_oracle
from penstock.simulation.recorded_sources import recorded_sources
from penstock.simulation.recording import RecordingError
from penstock.simulation.replay_run import sample_folder
from penstock.venue.follower import ask_genesis
from penstock.venue.journal import JournalError
from penstock.venue.oracle.endpoint import Endpoint, ask_status
from penstock.venue.oracle.exchange import ExchangeMissing, ExchangeSource
from penstock.venue.oracle.rules import OracleRules
from penstock.venue.oracle.sources import FixedSource, Source
from penstock.venue.oracle.volatility import Smiles, flat_in_time
from penstock.venue.oracle.volatility import surfaces as stated_surfaces
from penstock.venue.recovery import read_genesis
from penstock.venue.sequencer import NodeStopped

oracles = typer.Typer(help="Oracles: the quorum that publishes prices.", no_args_is_help=True)
_VOLATILITY_FORM = "BASE=VOLATILITY,…, a √year, 0.01 to 5 (0.55 is 55 %): BTC=0.55,ETH=0.70"
_SOURCE_FORMS = "recording[:FOLDER], ccxt:EXCHANGE:BTC=BTC/USD,ETH=ETH/USD, or fixed:NAME:BTC=60000,ETH=3000"

Volatilities = Annotated[
    str | None, typer.Option("--volatility", help=f"Price options of these bases: {_VOLATILITY_FORM}.")
]
Skew = Annotated[float, typer.Option(help="∂volatility/∂ln(K/F) at the money, of every base in --volatility.")]
Curvature = Annotated[float, typer.Option(help="∂²volatility/∂ln(K/F)² at the money, of every base in --volatility.")]
SurfacesFile = Annotated[
    Path | None,
    typer.Option(
        "--surfaces",
        help='JSON of smiles by expiry in years: {"BTC": {"expiries": […], "at_the_money": […], "skew": […], '
        '"curvature": […]}}.',
        exists=True,
        dir_okay=False,
    ),
]
ContractsEvery = Annotated[
    float,
    typer.Option(
        help="Seconds of venue time between prices of a dated contract; the same at every oracle.", min=0.05, max=30
    ),
]
ListEvery = Annotated[
    float, typer.Option(help="Seconds between questions which contracts are listed.", min=0.05, max=60)
]
OptionTolerance = Annotated[
    float,
    typer.Option(
        help="How far another's option mark may be from the own one to be signed, as a fraction of the index.",
        min=0.000001,
        max=0.1,
    ),
]
ClocksApart = Annotated[
    float,
    typer.Option(help="Seconds that venue time may be off this machine's clock; else no contract is priced.", min=1),
]


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
    volatility: Volatilities = None,
    skew: Skew = 0.0,
    curvature: Curvature = 0.0,
    surfaces: SurfacesFile = None,
    contracts_every: ContractsEvery = 2.0,
    list_every: ListEvery = 5.0,
    option_tolerance: OptionTolerance = 0.002,
    clocks_apart: ClocksApart = 60.0,
    seconds: Annotated[
        float | None, typer.Option(help="End by itself after so long; default: Ctrl-C.", min=0.1)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each decision as one line of JSON.")] = False,
) -> None:
    """Run one oracle: look at the sources, propose prices in its turn, sign what the others propose if it agrees."""
    log_to_stderr()
    signer = Signer(read_key(key_file))
    rules = OracleRules(
        index=IndexRules(least=least, agreeing=2, stale_after=stale_after), every=every, farthest=farthest,
        contracts_every=contracts_every, list_every=list_every, clocks_apart=clocks_apart,
        option_tolerance_ppm=round(option_tolerance * PPM),
    )  # fmt: skip
    config = OracleConfig(venue=venue, peers=tuple(peer or ()), host=host, port=port, rules=rules)
    for url in config.peers:
        if not url.startswith(("http://", "https://")):
            raise typer.BadParameter(f"peer {url!r}: http://HOST:PORT")
    volatilities = read_surfaces(volatility, skew, curvature, surfaces)
    sources = read_sources(source, rules.source_timeout)
    if len(sources) < least:
        raise refuse(f"{len(sources)} sources given, --least wants {least} live: no price could ever be published")
    try:
        asyncio.run(_run(config, signer, home, sources, volatilities, seconds, as_json))
    except (JournalError, NodeStopped, OSError, ValueError) as error:
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        said = f"port {port} is taken: choose another with --port, or 0 for any" if taken else str(error)
        raise refuse(f"oracle: {said}") from error


@oracles.command("dev-key")
def dev_key(
    number: Annotated[
        int, typer.Argument(help="Its number: 2 to 4 are the oracles of a development venue.", metavar="N")
    ],
    as_json: AsJson = False,
) -> None:
    """Print published development key N in hex, for --key-file. Everybody knows it: never for a venue of value."""
    try:
        secret = development_key(number)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    address = "0x" + Signer(secret).address.hex()
    warning = f"UNSAFE: published development key {number}, {address}: everybody knows it, never send it anything"
    REMARKS.print(warning, markup=False, highlight=False, soft_wrap=True)
    if as_json:
        print_json({"number": number, "address": address, "key": secret.hex(), "unsafe": True})
    else:
        typer.echo(secret.hex())


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


def read_surfaces(stated: str | None, skew: float, curvature: float, file: Path | None) -> dict[str, Volatility]:
    """The surface of each base, from `--volatility` and from a file. Raises typer.BadParameter naming what is wrong."""
    smiles: dict[str, Smiles] = {}
    if file is not None:
        try:
            smiles = msgspec.json.decode(file.read_bytes(), type=dict[str, Smiles])
        except (msgspec.MsgspecError, UnicodeDecodeError, OSError) as error:
            raise typer.BadParameter(f"surfaces {file}: {error}") from error
    for part in [] if stated is None else stated.split(","):
        base, _, number = part.partition("=")
        try:
            volatility = float(number)
        except ValueError:
            volatility = math.nan
        if not base or not 0 < volatility < math.inf:
            raise typer.BadParameter(f"volatility {part!r}: {_VOLATILITY_FORM}")
        if base in smiles:
            raise typer.BadParameter(f"volatility {part!r}: {base} is stated twice")
        smiles[base] = flat_in_time(volatility, skew, curvature)
    if stated is None and (skew or curvature):
        raise typer.BadParameter("skew and curvature belong to --volatility")
    try:
        return stated_surfaces(smiles)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


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
    volatilities: Mapping[str, Volatility],
    seconds: float | None,
    as_json: bool,
) -> None:
    genesis = await _genesis(config.venue, home)
    _check_bases(genesis, volatilities)
    signatures = 1 + len(config.peers)
    if signatures < genesis.oracle_threshold:
        _remark(
            f"{len(config.peers)} peers given, the venue wants {genesis.oracle_threshold} signatures under a price: "
            "this oracle signs for others, and never publishes itself (--peer)"
        )
    stop = asyncio.Event()
    on_signals(stop.set)
    if seconds is not None:
        asyncio.get_running_loop().call_later(seconds, stop.set)

    def started(endpoint: Endpoint) -> None:
        _remark(f"oracle 0x{signer.address.hex()} listens at {endpoint.url}")

    found = await run_oracle(
        config, signer, genesis, sources, stop, volatilities=volatilities, started=started,
        listener=DecisionLines().print if as_json else None,
    )  # fmt: skip
    if not as_json:
        print_table(
            "decisions", ["market", "outcome", "reason", "count"], [list(row.values()) for row in found["counts"]]
        )


async def _genesis(venue: str, home: Path | None) -> Genesis:
    """From the home, or from the venue. Raises typer.Exit when no venue answers."""
    if home is not None:
        return read_genesis(home)
    try:
        return await ask_genesis(venue)
    except ConnectionError as error:
        raise refuse(f"oracle: no venue answers at {venue} (--venue)") from error


def _check_bases(genesis: Genesis, volatilities: Mapping[str, Volatility]) -> None:
    """Raises typer.Exit for a volatility of a base that the venue does not have."""
    listed = [*genesis.markets, *(template.terms for template in genesis.templates)]
    bases = sorted({terms.base for terms in listed})
    unknown = sorted(set(volatilities) - set(bases))
    if unknown:
        raise refuse(f"oracle: volatility of {', '.join(unknown)}: the venue has only {', '.join(bases)}")


def _remark(text: str) -> None:
    REMARKS.print(text, markup=False, highlight=False, soft_wrap=True)
