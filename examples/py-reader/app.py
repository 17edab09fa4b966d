"""An agent that calls a tool, in Python: it answers as examples/reader does in Rust.

It shows the three ends of a call: an answer, a failure in the tool's own terms, and an error of the
server's, which has a code.
"""

import json
from collections.abc import Callable

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import messaging, tools
from wit_world.imports.tool_types import Content_Text
from wit_world.imports.types import Message, Performative

# What counts, where a request names nothing else.
COUNT = "wordcount.count"
# How a request begins that names a function: its arguments are the lines after the first.
CALL = "call "

Said = tuple[Performative, str]


def wanted(text: str) -> tuple[str, str]:
    """The function a request is about, and its arguments."""
    if not text.startswith(CALL):
        return COUNT, json.dumps({"text": text})
    name, _, arguments = text.removeprefix(CALL).partition("\n")
    return name.strip(), arguments or "{}"


def read(text: str) -> Said:
    name, arguments = wanted(text)
    answer = tools.call(name, arguments, 0)
    told = "".join(it.value for it in answer.content if isinstance(it, Content_Text))
    return (Performative.FAILURE if answer.failed else Performative.INFORM), told


def offered() -> Said:
    """A line for each function this agent may call, as each describes itself."""
    names = [function.name for function in tools.list()]
    lines = [f"{name}: {tools.describe(name).description}" for name in names]
    return Performative.INFORM, "\n".join(lines)


def said(work: Callable[[], Said]) -> Said:
    """What is said, or why not: what a tool does is a value here, and never ends the agent."""
    try:
        return work()
    except Err as refused:
        return Performative.FAILURE, f"{refused.value.code}: {refused.value.message}"


def reply(message: Message, performative: Performative, text: str) -> Message:
    """An answer by FIPA's rules (SC00061)."""
    sender = [message.sender] if message.sender else []
    return Message(
        performative=performative,
        sender=None,
        receivers=message.reply_to or sender,
        reply_to=[],
        content=text.encode(),
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


class Behavior(exports.Behavior):
    """What the server calls."""

    def init(self) -> None:
        pass

    def handle(self, message: Message) -> None:
        if message.performative == Performative.REQUEST:
            told = said(lambda: read(message.content.decode()))
        elif message.performative == Performative.QUERY_REF:
            told = said(offered)
        else:
            return
        messaging.send(reply(message, *told))
