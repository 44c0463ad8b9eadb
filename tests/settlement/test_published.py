"""The published bytes of a batch: what goes in comes out, and nothing else is taken for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.protocol.batch import Batch
from penstock.protocol.words import keccak
from penstock.settlement.published import (
    PublicationWrong,
    PublishedCommand,
    file_name,
    pack_published,
    read_published,
    unpack_published,
)

COMMANDS = st.lists(
    st.builds(
        PublishedCommand,
        st.integers(0, 2**64 - 1),
        st.integers(0, 2**64 - 1),
        st.binary(max_size=300),
        st.lists(st.tuples(st.binary(max_size=255), st.binary(min_size=32, max_size=32)), max_size=4).map(tuple),
    ),
    max_size=5,
)


def batch_of(packed, number=1, first=1, last=2):
    zero = bytes(32)
    return Batch(number, zero, zero, zero, zero, zero, keccak(packed), first, last, 0, 0, 0, zero, 0)


@given(COMMANDS)
def test_what_is_packed_is_unpacked(commands):
    assert unpack_published(pack_published(commands)) == commands


@given(COMMANDS, st.data())
def test_bytes_that_end_early_or_go_on_are_refused(commands, data):
    packed = pack_published(commands)
    with pytest.raises(PublicationWrong):
        unpack_published(packed + b"\0")
    with pytest.raises(PublicationWrong):
        unpack_published(packed[: data.draw(st.integers(0, len(packed) - 1))])


def test_a_batch_is_read_from_the_file_its_commitment_names(tmp_path):
    commands = [PublishedCommand(n, 10 * n, b"envelope", ((b"entry", bytes(32)),)) for n in (1, 2)]
    packed = pack_published(commands)
    path = tmp_path / file_name(1, packed)
    with pytest.raises(PublicationWrong, match="not there"):
        read_published(tmp_path, batch_of(packed))
    path.write_bytes(packed)
    assert read_published(tmp_path, batch_of(packed)) == commands
    with pytest.raises(PublicationWrong, match="sequence numbers"):
        read_published(tmp_path, batch_of(packed, last=3))
    path.write_bytes(packed[:-1] + bytes([packed[-1] ^ 1]))
    with pytest.raises(PublicationWrong, match="committed to"):
        read_published(tmp_path, batch_of(packed))
