"""A wallet of one key: transactions that others can read, and claims as the vault's ABI has them."""

import eth_account
import pytest
from coincurve import PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from penstock.protocol.signing import address_of
from penstock.settlement.contract import Contract
from penstock.settlement.contracts import Library
from penstock.settlement.exits import CLAIM_TYPES, Claim, claim_payload, read_claim
from penstock.settlement.rpc import Rpc
from penstock.settlement.wallet import sign_transaction

CLAIM = Claim(9, b"\x01" * 160, tuple(bytes([n]) * 32 for n in range(36)), b"\x02" * 32, b"\x03" * 32, b"\x04" * 32,
              b"\x05" * 32, 7)  # fmt: skip
TOLD = {
    "subaccount": 9,
    "leaf": "0x" + CLAIM.leaf.hex(),
    "siblings": ["0x" + sibling.hex() for sibling in CLAIM.siblings],
    "markets_root": "0x" + "02" * 32,
    "globals_hash": "0x" + "03" * 32,
    "deposit_head": "0x" + "04" * 32,
    "forced_head": "0x" + "05" * 32,
    "number": 7,
}


@given(
    st.binary(min_size=32, max_size=32).filter(lambda secret: 0 < int.from_bytes(secret, "big") < 1 << 255),
    st.integers(1, 1 << 40),
    st.tuples(*[st.integers(0, 1 << 60)] * 4),
    st.binary(max_size=300),
)
def test_a_signed_transaction_is_what_an_independent_implementation_makes_of_it(secret, chain_id, numbers, payload):
    nonce, tip, most, gas = numbers
    signed = sign_transaction(PrivateKey(secret), chain_id, nonce, tip, most, gas, b"\x77" * 20, payload)
    fields = {
        "type": 2, "chainId": chain_id, "nonce": nonce, "maxPriorityFeePerGas": tip, "maxFeePerGas": most, "gas": gas,
        "to": "0x" + "77" * 20, "value": 0, "data": payload, "accessList": [],
    }  # fmt: skip
    sender = eth_account.Account.recover_transaction(signed)
    assert sender.lower() == "0x" + address_of(PrivateKey(secret).public_key).hex()
    assert eth_account.Account.sign_transaction(fields, secret).raw_transaction == signed


def test_a_claim_is_sent_as_the_compiled_vault_takes_it_and_read_as_the_gateway_tells_it():
    vault = Contract(None, bytes(20), Library().artifact("Vault"))
    [entry] = [entry for entry in Library().artifact("Vault").abi if entry.get("name") == "claim"]
    inputs = [(argument["name"], argument["type"]) for argument in entry["inputs"]]
    assert inputs == list(zip(Claim.__struct_fields__, CLAIM_TYPES, strict=True))
    assert claim_payload(CLAIM) == vault.payload("claim", *(getattr(CLAIM, name) for name in Claim.__struct_fields__))
    assert read_claim(TOLD) == CLAIM


@pytest.mark.parametrize(
    ("field", "value"), [("subaccount", "9"), ("leaf", None), ("siblings", ["0xno"]), ("number", 1.5), ("leaf", 5)]
)
def test_a_proof_that_does_not_read_names_its_field(field, value):
    with pytest.raises(ValueError, match=f"^{field}: "):
        read_claim(TOLD | {field: value})


@pytest.mark.parametrize("url", ["127.0.0.1:8545", "ftp://host", "http://", "http://host:99999"])
def test_a_url_that_is_none_is_refused(url):
    with pytest.raises(ValueError):
        Rpc.to(url)
