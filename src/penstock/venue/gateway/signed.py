"""Signed records over the WebSocket: a binary frame `tag u64 ‖ envelope` in, a text frame with the outcomes out."""

from functools import partial
from typing import Any, Final

import msgspec

from penstock.protocol.quantities import MAX_ENVELOPE
from penstock.protocol.reasons import Reason
from penstock.venue.gateway.consumer import Consumer
from penstock.venue.gateway.units import hexed
from penstock.venue.outcomes import FOLLOWING, Answer, Declined, Recorded
from penstock.venue.receipts import Issuer
from penstock.venue.sequencer import Sequencer

TAG: Final = 8
MOST_FLYING: Final = 2_048
"""Commands of one connection that wait for their outcome; one client cannot fill the venue's queue."""


def take(sequencer: Sequencer, consumer: Consumer, frame: bytes) -> None:
    """Submit one binary frame; the reply follows, at once for a refusal, when durable for an outcome."""
    if len(frame) < TAG:
        consumer.send(_declined(None, Reason.MESSAGE_TRUNCATED))
        return
    tag = int.from_bytes(frame[:TAG], "big")
    if len(frame) > TAG + MAX_ENVELOPE:
        consumer.send(_declined(tag, Reason.MESSAGE_TOO_LARGE))
        return
    if consumer.flying >= MOST_FLYING:
        consumer.send(_encode({"tag": tag} | _unavailable("queue full")))
        return
    consumer.flying += 1
    sequencer.submit(frame[TAG:], partial(_reply, sequencer.issuer, consumer, tag))


def shown(answer: Answer, issuer: Issuer | None = None, consumer: Consumer | None = None) -> dict[str, Any]:
    """An answer as the reply frame and `penstock/submit` tell it, with its receipt where a node issues them.

    A `consumer` that was told of the receipt's group last is not sent the signed receipt again.
    """
    if isinstance(answer, Recorded):
        recorded = {"sequence": answer.sequence, "time": answer.time, "outcomes": answer.outcomes}
        return recorded if issuer is None else recorded | {"receipt": _shown_receipt(issuer, answer.sequence, consumer)}
    if isinstance(answer, Declined):
        return {"refused": answer.reason.name, "message": sentence(answer.reason)}
    return _unavailable(answer.reason)


def sentence(reason: Reason) -> str:
    """The reason's name as words; `schema/reasons.txt` has the full sentence."""
    return reason.name.replace("_", " ").capitalize() + "."


def _shown_receipt(issuer: Issuer, sequence: int, consumer: Consumer | None) -> dict[str, Any] | None:
    issued = issuer.find(sequence)
    if issued is None:
        return None
    index, group = issued.index(sequence), issued.receipt.group
    receipt: dict[str, Any] = {"group": group, "index": index, "path": [hexed(s) for s in issued.path(index)]}
    if consumer is None or consumer.group != group:
        receipt["signed"] = hexed(issued.wire)
    if consumer is not None:
        consumer.group = group
    return receipt


def _reply(issuer: Issuer | None, consumer: Consumer, tag: int, answer: Answer) -> None:
    consumer.flying -= 1
    consumer.send(_encode({"tag": tag} | shown(answer, issuer, consumer)))


def _declined(tag: int | None, reason: Reason) -> bytes:
    return _encode({"tag": tag} | shown(Declined(reason)))


def _unavailable(reason: str) -> dict[str, Any]:
    where = "to the node that is followed here" if reason == FOLLOWING else "again later"
    return {"unavailable": reason, "message": f"Not executed. Send the same envelope {where}."}


_encode: Final = msgspec.json.Encoder().encode
