"""Looking after a home from the command line: snapshots, backup, restore, doctor, follow."""

import asyncio
import json
import signal
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from penstock.cli.main import app
from venue.harness import Pen, running
from venue.test_snapshots import trade

runner = CliRunner()


@pytest.fixture
def home(tmp_path):
    async def make():
        async with running(tmp_path / "home") as node:
            await trade(node, Pen(), 30)

    asyncio.run(make())
    return tmp_path / "home"


def run(*words, exit_code=0):
    shown = runner.invoke(app, [str(word) for word in words])
    assert shown.exit_code == exit_code, shown.output
    assert "Traceback" not in shown.output
    return shown


def test_a_snapshot_is_taken_listed_and_loaded(home):
    taken = json.loads(run("snapshot", "take", "--home", home, "--json").stdout)
    [row] = json.loads(run("snapshot", "list", "--load", "--home", home, "--json").stdout)
    assert (row["sequence"], row["engine_root"], row["wrong"]) == (taken["sequence"], taken["engine_root"], "")
    assert taken["engine_root"] in run("snapshot", "take", "--home", home).stdout


def test_a_damaged_snapshot_is_listed_as_wrong_with_exit_code_one(home):
    taken = json.loads(run("snapshot", "take", "--home", home, "--json").stdout)
    with open(taken["file"], "r+b") as file:
        file.seek(200)
        file.write(b"\xff\xff")
    [row] = json.loads(run("snapshot", "list", "--home", home, "--json", exit_code=1).stdout)
    assert "wrong checksum" in row["wrong"]


def test_a_backup_is_restored_into_a_new_home_and_refused_by_a_used_one(home, tmp_path):
    kept = tmp_path / "kept.tar.gz"
    backed = json.loads(run("backup", kept, "--home", home, "--json").stdout)
    restored = json.loads(run("restore", kept, "--home", tmp_path / "new", "--json").stdout)
    assert restored["sequence"] == backed["sequence"]
    assert "there already" in run("backup", kept, "--home", home, exit_code=1).stderr
    assert "not empty" in run("restore", kept, "--home", home, exit_code=1).stderr
    kept.write_bytes(kept.read_bytes()[:500])
    assert "not a whole backup" in run("restore", kept, "--home", tmp_path / "other", exit_code=1).stderr


def test_the_doctor_says_good_and_wrong(home):
    found = {one["about"]: one["verdict"] for one in json.loads(run("doctor", "--home", home, "--json").stdout)}
    assert found["journal"] == found["lock"] == "good"
    (home / "journal" / "acknowledged").unlink()
    found = {one["about"]: one for one in json.loads(run("doctor", "--home", home, "--json", exit_code=1).stdout)}
    assert found["journal"]["verdict"] == "wrong" and "watermark is missing" in found["journal"]["seen"]
    assert "wrong" in run("doctor", "--home", home, exit_code=1).stdout


def test_a_folder_that_is_no_home_is_refused_by_every_command(tmp_path):
    for words in (["snapshot", "take"], ["snapshot", "list"], ["backup", tmp_path / "kept"], ["journal", "show"]):
        assert "genesis.json" in run(*words, "--home", tmp_path, exit_code=1).stderr.replace("\n", " ")
    assert run("doctor", "--home", tmp_path, exit_code=1)


def test_nobody_to_follow_is_a_refusal_with_the_address(tmp_path):
    shown = run("follow", "http://127.0.0.1:9", "--home", tmp_path / "follower", exit_code=1)
    assert "no journal feed at http://127.0.0.1:9" in shown.stderr.replace("\n", "")


def test_a_follower_is_a_process_that_catches_up_and_ends_on_a_signal(tmp_path):
    async def follow():
        async with running(tmp_path / "leader") as leader:
            await trade(leader, Pen(), 20)
            command = [sys.executable, "-m", "penstock", "follow", leader.url, "--port", "0", "--home"]
            follower = subprocess.Popen([*command, str(tmp_path / "follower")], stderr=subprocess.PIPE, text=True)
            try:
                while not (tmp_path / "follower" / "journal").exists() and follower.poll() is None:
                    await asyncio.sleep(0.05)
                await asyncio.sleep(1.5)
            finally:
                follower.send_signal(signal.SIGTERM)
                said = follower.communicate(timeout=20)[1]
            assert follower.returncode == 0, said
            assert "following" in said and "Traceback" not in said
            return leader.sequencer.durable_sequence

    expected, until = asyncio.run(follow()), time.monotonic() + 10
    verified = json.loads(run("journal", "verify", "--home", tmp_path / "follower", "--json").stdout)
    assert verified["sequence"] == expected and time.monotonic() < until
