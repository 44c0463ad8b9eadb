"""Records with arbitrary field values, and the same records as EIP-712 wallets see them."""

from hypothesis import strategies as st

from penstock.protocol.commands import CODECS, RECORD_TYPES, Record
from penstock.protocol.signing import Domain, Signer
from penstock.protocol.words import Atom, keccak

DOMAIN = Domain(31337, b"\x77" * 20)
SEPARATOR = DOMAIN.separator()
SIGNERS = sorted((Signer(keccak(bytes([i]))) for i in range(1, 6)), key=lambda signer: signer.address)

_DOMAIN_FIELDS = [
    {"name": "name", "type": "string"},
    {"name": "version", "type": "string"},
    {"name": "chainId", "type": "uint256"},
    {"name": "verifyingContract", "type": "address"},
]


def value_of(atom: Atom):
    """Any value of the atom, its extremes often."""
    if atom.name == "bool":
        return st.booleans()
    if atom.name in ("address", "bytes32"):
        return st.binary(min_size=atom.bits // 8, max_size=atom.bits // 8)
    least, most = (-(2 ** (atom.bits - 1)), 2 ** (atom.bits - 1) - 1) if atom.signed else (0, 2**atom.bits - 1)
    return st.one_of(st.integers(least, most), st.sampled_from([0, 1, least, most]))


def record_of(record_type: type):
    """Any record of one type."""
    return st.builds(record_type, **{name: value_of(atom) for name, atom in CODECS[record_type].fields})


def any_record():
    """Any record of any type."""
    return st.one_of([record_of(record_type) for record_type in RECORD_TYPES])


def typed_message(record: Record, domain: Domain = DOMAIN) -> dict:
    """What a wallet is asked to sign (eth_signTypedData_v4)."""
    codec = CODECS[type(record)]
    name = type(record).__name__
    fields = {field: getattr(record, field) for field, _ in codec.fields}
    return {
        "types": {
            "EIP712Domain": _DOMAIN_FIELDS,
            name: [{"name": field, "type": atom.name} for field, atom in codec.fields],
        },
        "primaryType": name,
        "domain": {
            "name": "Penstock",
            "version": "1",
            "chainId": domain.chain_id,
            "verifyingContract": "0x" + domain.vault.hex(),
        },
        "message": {f: "0x" + v.hex() if isinstance(v, bytes) else v for f, v in fields.items()},
    }


def example_of(record_type: type) -> Record:
    """One record of the type with a distinct small value in every field."""
    values = {}
    for place, (name, atom) in enumerate(CODECS[record_type].fields, 1):
        if atom.name == "bool":
            values[name] = bool(place & 1)
        elif atom.name in ("address", "bytes32"):
            values[name] = bytes([place]) * (atom.bits // 8)
        else:
            values[name] = place
    return record_type(**values)
