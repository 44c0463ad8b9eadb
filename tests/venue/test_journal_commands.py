"""`penstock journal`, beside the node that writes it and after it."""

import json

import msgspec
from typer.testing import CliRunner

from penstock.cli.main import app

from .harness import GENESIS, running


def said(*words):
    shown = CliRunner().invoke(app, ["journal", *words])
    assert shown.exit_code == 0, shown.output
    return json.loads(shown.stdout)


async def test_the_journal_is_verified_and_shown_beside_a_running_node(tmp_path):
    (tmp_path / "genesis.json").write_bytes(msgspec.json.encode(GENESIS))
    home = ("--home", str(tmp_path), "--json")
    async with running(tmp_path) as node:
        last, root = node.sequencer.sequence, node.engine.engine_root()
        found = said("verify", *home)
        assert (found["sequence"], found["engine_root"]) == (last, "0x" + root.hex())
        stored = found["journal"]
        assert (stored["format"], stored["segments"], stored["epochs"]) == (2, 1, 1)
        assert stored["acknowledged_sequence"] == last and stored["acknowledged_group"] == stored["groups"]
        groups = said("show", "--groups", *home)
        assert (groups[0]["first_sequence"], groups[-1]["last_sequence"]) == (1, last)
        assert groups[-1]["group_hash"] == stored["last_group_hash"]
        rows = said("show", "--from", "2", "--limit", "2", *home)
        assert [row["sequence"] for row in rows] == [2, 3]


async def test_a_damaged_journal_is_refused_in_a_sentence_with_its_offset(tmp_path):
    (tmp_path / "genesis.json").write_bytes(msgspec.json.encode(GENESIS))
    async with running(tmp_path):
        pass
    segment = tmp_path / "journal" / "00000001.segment"
    content = bytearray(segment.read_bytes())
    content[600] ^= 1
    segment.write_bytes(content)
    for words in (["verify"], ["show"]):
        shown = CliRunner().invoke(app, ["journal", *words, "--home", str(tmp_path)])
        assert shown.exit_code == 1 and "damaged at byte 512" in shown.stderr
