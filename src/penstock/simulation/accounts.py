"""Who plays a recording: accounts of the published development mnemonic. DEVELOPMENT KEYS ONLY.

Everybody knows these keys ("test test test test test test test test test test test junk", path
m/44'/60'/0'/0/i). They exist so that demos and tests need no setup. Never send them anything of value.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from penstock.protocol.signing import Signer

_OWNER_KEYS: Final = (
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",  # DEVELOPMENT KEYS ONLY: 0 to 19
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
    "47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
    "8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba",
    "92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e",
    "4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356",
    "dbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97",
    "2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6",
    "f214f2b2cd398c806f84e317254e0f0b801d0643303237d97a22a48e01628897",
    "701b615bbdfb9de65240bc28bd21bbc0d996645a3dd57e7b12bc2bdf6f192c82",
    "a267530f49f8280200edf313ee7af6b827f2a8bce2897751d06a843f644967b1",
    "47c99abed3324a2707c28affff1267e45918ec8c3f20b8aa892e8b065d2942dd",
    "c526ee95bf44d8fc405a158bb884d9d1238d99f0612e9f33d006bb0789009aaa",
    "8166f546bab6da521a8369cab06c5d2b9e46670292d85c875ee9ec20e84ffb61",
    "ea6c44ac03bff858b476bba40716402b03e41b8e97e276d1baec7c37d42484a0",
    "689af8efa8c651a91ad287602527f3af2fe9f6501a7ac4b061667b5a93e037fd",
    "de9be858da4a475276426320d5e9262ecfc3ba460bfac56360bfa6c4c28b4ee0",
    "df57089febbacf7ba0bc227dafbffa9fc08a93fdc68e1e42411a14efcf23656e",
)
_SESSION_KEYS: Final = (
    "dae4671006c60a3619556ace98eca6f6e092948d05b13070a27ac492a4fba419",  # DEVELOPMENT KEYS ONLY: 100 to 114
    "13986e078393fca89aedc2ecd014df01dfbff153434c04b2e38cfedcbef710f7",
    "7382cc0c1dd9fc4ff87ed969fafac4c040ebd4890d0b8fa35781524df5b15476",
    "360e8f096c6aaec3c922df1a82a7b954b69b42bdc20a6b71b2f50438c13d2ec5",
    "956840865a0d252ee192c683c48befc5d8432aa7b334be6cb79133cfacfcda1a",
    "9dece36dc7cb98e2e521e85efa7417d68744f00ab93caf70ec39dc3d6b16d916",
    "c69422615b990ce3dbed91d6ed41e378ff92f0ebf23b8d18bf3db912c6797fa1",
    "bb78950939f8a5d5c0d3225d4d38cbfd7eace2c2b8347fa8ca97726cd10e486a",
    "42e75fe4e54a2126d34a7e302d8dff04d888dbd434a6c690cfc2e1e3d9499c10",
    "b479c6ebcce0347b5a9335f52519198307f01a7c4917e6b1e93e123a77e74aff",
    "9e4e3ca5a15203ef569824c74164789921d372c12b83f1aeba7d4e096a8338fd",
    "3659cf616cb9eff3ecdd1ce36221a3744df6deb907007dc2ad4330dc66aa2d13",
    "23fe537a715500e8edf9a949d1a5894fd5296a257b412e6f7e598b22bc62b060",
    "f1a9dd9e1f43e6832b9950520b8fe73203d14f171cb5b07dceb0d3090878045f",
    "2130940937fb474f9a6ac3ea114536c5d693ae1f918bec1e33e98de810db312e",
)
_MORE_OWNER_KEYS: Final = (
    "eaa861a9a01391ed3d587d8a5a84ca56ee277629a8b02c22093a419bf240e65d",  # DEVELOPMENT KEYS ONLY: 20 to 31
    "c511b2aa70776d4ff1d376e8537903dae36896132c90b91d52c1dfbae267cd8b",
    "224b7eb7449992aac96d631d9677f7bf5888245eef6d6eeda31e62d2f29a83e4",
    "4624e0802698b9769f5bdb260a3777fbd4941ad2901f5966b854f953497eec1b",
    "375ad145df13ed97f8ca8e27bb21ebf2a3819e9e0a06509a812db377e533def7",
    "18743e59419b01d1d846d97ea070b5a3368a3e7f6f0242cf497e1baac6972427",
    "e383b226df7c8282489889170b0f68f66af6459261f4833a781acd0804fafe7a",
    "f3a6b71b94f5cd909fb2dbb287da47badaa6d8bcdc45d595e2884835d8749001",
    "4e249d317253b9641e477aba8dd5d8f1f7cf5250a5acadd1229693e262720a19",
    "233c86e887ac435d7f7dc64979d7758d69320906a0d340d2b6518b0fd20aa998",
    "85a74ca11529e215137ccffd9c95b2c72c5fb0295c973eb21032e823329b3d2d",
    "ac8698a440d33b866b6ffe8775621ce1a4e6ebd04ab7980deb97b3d997fc64fb",
)
_DEPLOYER, _OPERATOR, _FIRST_ORACLE, _FIRST_TRADER = 0, 1, 2, 5
_GUARDIAN, _GOVERNOR = 18, 19
_FIRST_DATED, _FIRST_DATED_SESSION = 14, 9
MAKER: Final = "maker"
TAKER: Final = "taker"
GUEST: Final = "guest"
DATED_BASES: Final = ("BTC", "ETH")
_GUEST_PLACE: Final = 8
MORE_MAKERS: Final = MappingProxyType({"BTC_USDC-PERPETUAL": 12, "ETH_USDC-PERPETUAL": 8})
"""The recorded books reach 5,170 levels a side; an account may have 1,024 open orders."""


def development_key(number: int) -> bytes:
    """Account `number` of the published development mnemonic, 32 bytes. DEVELOPMENT KEYS ONLY.

    Raises ValueError for a number that is none of those kept here.
    """
    keys = _OWNER_KEYS + _MORE_OWNER_KEYS
    if not 0 <= number < len(keys):
        raise ValueError(f"development key is {number}, wants 0 to {len(keys) - 1}")
    return bytes.fromhex(keys[number])


class Trader(Struct, frozen=True):
    """One subaccount that plays a part in one market: its owner's wallet key and its session key, 32 bytes each."""

    role: str
    instrument: str
    subaccount: int
    owner_key: bytes
    session_key: bytes

    def owner(self) -> Signer:
        """Signs withdrawals, grants and mass cancels."""
        return Signer(self.owner_key)

    def session(self) -> Signer:
        """Signs orders and cancels, slots 16 to 4,095."""
        return Signer(self.session_key)


class Accounts(Struct, frozen=True):
    """Everybody in a replayed world, by development key (32 bytes each)."""

    deployer: bytes
    operator: bytes
    oracles: tuple[bytes, ...]
    traders: tuple[Trader, ...]

    def of(self, instrument: str, role: str) -> list[Trader]:
        """The traders of one part in one market."""
        return [t for t in self.traders if t.instrument == instrument and t.role == role]


def development_accounts(
    instruments: tuple[str, ...] = ("BTC_USDC-PERPETUAL", "ETH_USDC-PERPETUAL"),
    *,
    makers: int = 2,
    takers: int = 2,
    first_subaccount: int = 1,
    more_makers: Mapping[str, int] = MappingProxyType({}),
) -> Accounts:
    """Deployer 0, operator 1, oracles 2 to 4, then traders from 5 on: per market its makers, then its takers.

    Subaccounts are numbered from `first_subaccount` in that order: make their deposits in the order of
    `.traders`. `more_makers` a market come behind the guest, with owners of their own (20 to 31, the same in every
    market) and the session key of the market's first maker. Raises ValueError when there are more than 15 traders.
    """
    parts = [(name, role) for name in instruments for role in [MAKER] * makers + [TAKER] * takers]
    if len(parts) > len(_SESSION_KEYS):
        raise ValueError(f"{len(parts)} traders, but only {len(_SESSION_KEYS)} development accounts")
    owners = [bytes.fromhex(key) for key in _OWNER_KEYS]
    traders = tuple(
        Trader(role, name, first_subaccount + i, owners[_FIRST_TRADER + i], bytes.fromhex(_SESSION_KEYS[i]))
        for i, (name, role) in enumerate(parts)
    )
    subaccount = first_subaccount + max(len(parts), _GUEST_PLACE) + 1
    for name in instruments:
        first = next(t for t in traders if (t.role, t.instrument) == (MAKER, name))
        count = more_makers.get(name, 0)
        traders += tuple(
            replace(first, subaccount=subaccount + i, owner_key=bytes.fromhex(_MORE_OWNER_KEYS[i]))
            for i in range(count)
        )
        subaccount += count
    return Accounts(owners[_DEPLOYER], owners[_OPERATOR], tuple(owners[_FIRST_ORACLE:_FIRST_TRADER]), traders)


def local_accounts(instruments: tuple[str, ...] = tuple(MORE_MAKERS)) -> Accounts:
    """The accounts that a local venue funds and a replay plays: enough makers to show every recorded level."""
    return development_accounts(instruments, more_makers=MORE_MAKERS)


def makers_of(instrument: str) -> int:
    """How many makers a local venue has in a market."""
    return len(local_accounts((instrument,)).of(instrument, MAKER))


def guest() -> Trader:
    """Whoever sits at the keyboard: subaccount 9, funded beside the default eight traders, played by nobody."""
    owner, session = _OWNER_KEYS[_FIRST_TRADER + _GUEST_PLACE], _SESSION_KEYS[_GUEST_PLACE]
    return Trader(GUEST, "", _GUEST_PLACE + 1, bytes.fromhex(owner), bytes.fromhex(session))


def dated_traders() -> tuple[Trader, ...]:
    """Who trades futures and options in a demo: per coin, which they name for instrument, a maker and a taker.

    They come behind everybody else and have an owner each; one account may hold 32 positions, so a coin is enough.
    """
    first = max(trader.subaccount for trader in local_accounts().traders) + 1
    parts = [(base, role) for base in DATED_BASES for role in (MAKER, TAKER)]
    return tuple(
        Trader(
            role, base, first + i, bytes.fromhex(_OWNER_KEYS[_FIRST_DATED + i]),
            bytes.fromhex(_SESSION_KEYS[_FIRST_DATED_SESSION + i]),
        )
        for i, (base, role) in enumerate(parts)
    )  # fmt: skip


def roles() -> tuple[Signer, Signer]:
    """The guardian and the governor of a local venue."""
    return Signer(bytes.fromhex(_OWNER_KEYS[_GUARDIAN])), Signer(bytes.fromhex(_OWNER_KEYS[_GOVERNOR]))


def everybody() -> list[Trader]:
    """All traders a local venue funds, by subaccount: eight, the guest, the makers' further subaccounts, and those of
    futures and options."""
    return sorted([*local_accounts().traders, guest(), *dated_traders()], key=lambda trader: trader.subaccount)
