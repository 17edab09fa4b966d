"""The echo agent in Python: it answers exactly as examples/echo does.

It must never answer an answer, or two echoes would talk until a hop limit stops them.
"""

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import messaging
from wit_world.imports.types import Error, Message, Performative

# The acts whose sender waits for something.
EXPECTS_ANSWER = {
    Performative.ACCEPT_PROPOSAL,
    Performative.CANCEL,
    Performative.CFP,
    Performative.PROPAGATE,
    Performative.PROPOSE,
    Performative.PROXY,
    Performative.QUERY_IF,
    Performative.QUERY_REF,
    Performative.REQUEST,
    Performative.REQUEST_WHEN,
    Performative.REQUEST_WHENEVER,
    Performative.SUBSCRIBE,
}

NOT_UNDERSTOOD = b"an echo takes request and query-ref"


def reply(message: Message, performative: Performative, content: bytes) -> Message:
    """An answer by FIPA's rules (SC00061).

    Same conversation and protocol, `in-reply-to` what the other has as `reply-with`, to `reply-to`
    where there is one, else to the sender.
    """
    sender = [message.sender] if message.sender else []
    return Message(
        performative=performative,
        sender=None,
        receivers=message.reply_to or sender,
        reply_to=[],
        content=content,
        language=None,
        encoding=None,
        ontology=None,
        protocol=message.protocol,
        conversation_id=message.conversation_id,
        reply_with=None,
        in_reply_to=message.reply_with,
        reply_by_us=None,
        user_parameters=[],
    )


def answer(message: Message) -> Message | None:
    """What this message is answered with."""
    if message.performative in (Performative.REQUEST, Performative.QUERY_REF):
        echo = reply(message, Performative.INFORM, message.content)
        echo.language = message.language
        echo.encoding = message.encoding
        echo.ontology = message.ontology
        return echo
    refusal = reply(message, Performative.NOT_UNDERSTOOD, NOT_UNDERSTOOD)
    if message.performative in EXPECTS_ANSWER and refusal.receivers:
        return refusal
    return None


class Behavior(exports.Behavior):
    """What the server calls."""

    def init(self) -> None:
        pass

    def handle(self, message: Message) -> None:
        echo = answer(message)
        if echo is None:
            return
        try:
            messaging.send(echo)
        except Err as refused:
            error: Error = refused.value
            raise Err(f"{error.code} {error.message}") from None
