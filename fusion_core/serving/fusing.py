"""Calls of several clients in one pass of the network that they share."""

from __future__ import annotations

from collections.abc import Sequence

from fusion_core.engine import Engine
from fusion_core.engine.pair_engine import PreparedPair
from fusion_core.engine.together import run_together
from fusion_core.serving.refusal import refusal
from fusion_core.serving.session import EngineSession, Session
from fusion_core.transport.calls import Message


def fuses_with(session: Session | None, message: Message, device: str = "cuda") -> object | None:
    """Return what calls that can be fused together have in common; None for one that stays alone.

    They share the network, the size of the pictures and the kinds of cues. On a CPU several pairs
    take as long as one after the other, so that the last would only be late.

    Args:
        session: The call's.
        message: The call.
        device: Where together is quicker.
    """
    if not isinstance(session, EngineSession) or not isinstance(session.engine, Engine):
        return None
    if session.engine.uses_text or session.engine.uses_stream:
        return None  # texts are of different lengths, and every stream has frames before
    arrays, kinds = message.arrays, ("visible", "mask", "tokens")
    if session.engine.device != device or not {"visible", "thermal"} <= arrays.keys():
        return None
    shapes = [(name, arrays[name].shape) for name in kinds if name in arrays]
    return id(session.engine.network), tuple(shapes)


def fuse_calls(calls: Sequence[tuple[EngineSession, Message]]) -> list[Message]:
    """Return the answers to calls that have the same :func:`fuses_with`, in order.

    A call that cannot be read, or of which the network makes nothing of use, fails alone.
    """
    answers: dict[int, Message] = {}
    ready: list[tuple[int, Engine, PreparedPair]] = []
    for place, (session, message) in enumerate(calls):
        engine = session.engine
        assert isinstance(engine, Engine), "as fuses_with says"
        try:
            ready.append((place, engine, engine.prepare(*session.read(message))))
        except Exception as error:  # noqa: BLE001 - the others' calls go on
            answers[place] = refusal(message.number, error)
    try:
        made = run_together([(engine, pair) for _, engine, pair in ready]) if ready else []
    except Exception as error:  # noqa: BLE001 - their sessions go on
        return [refusal(message.number, error) for _, message in calls]
    for (place, engine, pair), (picture, network_ms) in zip(ready, made, strict=True):
        session, message = calls[place]
        revision = session.memory_revision()
        try:
            result = engine.finish(pair, picture, network_ms)
            answers[place] = session.answer(message, result, revision)
        except Exception as error:  # noqa: BLE001 - the others' results are sent
            answers[place] = refusal(message.number, error)
    return [answers[place] for place in range(len(calls))]
