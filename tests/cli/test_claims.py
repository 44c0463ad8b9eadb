"""Out of the vault from the command line: prove, keep the proof, claim."""

import asyncio
import json

import pytest
from typer.testing import CliRunner

from penstock.cli.claims import check_chain
from penstock.cli.main import app
from penstock.settlement.exits import ClaimRefused
from penstock.settlement.rpc import Rpc
from penstock.simulation.accounts import guest
from penstock.simulation.up import Up
from venue.harness import running


async def run(*words, exit_code=0):
    shown = await asyncio.to_thread(CliRunner().invoke, app, [str(word) for word in words])
    assert shown.exit_code == exit_code, shown.output
    assert "Traceback" not in shown.output
    return shown.stdout, shown.stderr.replace("\n", " ")


@pytest.mark.needs_node
async def test_a_withdrawal_is_proved_kept_and_claimed_once(tmp_path):
    said = []
    up = Up(0, tmp_path / "home", "spec", said.append)
    going = asyncio.create_task(up.run())
    while not any(line.startswith("open ") for line in said):
        assert not going.done(), going.exception()
        await asyncio.sleep(0.1)
    url, number = said[-1].removeprefix("open "), guest().subaccount
    rpc = "http://" + said[0].removeprefix("chain: anvil on ").partition(",")[0]
    try:
        await run("order", "withdraw", "12.5", "--url", url)
        await asyncio.sleep(3)
        proof, _ = await run("account", "prove", number, "--json", "--url", url)
        assert list(json.loads(proof))[:2] == ["subaccount", "leaf"]
        assert "siblings                     [0x" in (await run("account", "prove", number, "--url", url))[0]
        kept = tmp_path / "proof.json"
        kept.write_text(proof)
        claim = ["account", "claim", number, "--rpc", rpc, "--url", url]
        found = json.loads((await run(*claim, "--proof", kept, "--json"))[0])
        assert (found["paid"], found["owner"]) == ("12.500000", "0x" + guest().owner().address.hex())
        assert "vault: nothing to claim" in (await run(*claim, "--proof", kept, exit_code=1))[1]
        kept.write_text(proof.replace('"subaccount": 9', '"subaccount": 8'))
        assert "of subaccount 8" in (await run(*claim, "--proof", kept, exit_code=1))[1]
        kept.write_text("[]")
        assert "prove --json" in (await run(*claim, "--proof", kept, exit_code=2))[1]
        key = tmp_path / "poor.key"
        key.write_text("07" * 32)
        await run("order", "withdraw", "1", "--url", url)
        await asyncio.sleep(3)
        assert "claim: " in (await run(*claim, "--key-file", key, exit_code=1))[1]
    finally:
        up.stop.set()
        await going


async def test_a_gateway_taken_for_a_chain_is_said_not_to_be_one(tmp_path):
    async with running(tmp_path) as node:
        for url in (node.url, node.url + "api/v2"):
            with pytest.raises(ClaimRefused, match=f"^{url} is not a chain's JSON-RPC$"):
                await asyncio.to_thread(check_chain, Rpc.to(url), url)


async def test_no_chain_is_a_refusal_with_its_address(tmp_path):
    _, why = await run(
        "account", "claim", "9", "--rpc", "http://127.0.0.1:9", "--url", "http://127.0.0.1:9", exit_code=1
    )
    assert "http://127.0.0.1:9" in why
