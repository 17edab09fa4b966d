"""Judges our requests and recorded streams by the types of the providers' own Python packages.

Reads one JSON object a line: {"dialect", "name", "request"} or {"dialect", "name", "events"}.
"""

import json
import sys

import pydantic
from anthropic.types import RawMessageStreamEvent
from anthropic.types.message_create_params import MessageCreateParamsStreaming
from openai.types.chat import ChatCompletionChunk
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from openai.types.responses import ResponseStreamEvent
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming
from typing_extensions import get_type_hints

REQUESTS = {
    "anthropic": MessageCreateParamsStreaming,
    "openai_chat": CompletionCreateParamsStreaming,
    "openai_responses": ResponseCreateParamsStreaming,
}
EVENTS = {
    "anthropic": RawMessageStreamEvent,
    "openai_chat": ChatCompletionChunk,
    "openai_responses": ResponseStreamEvent,
}

# Left out of the package's present types, since the newest models refuse them; the API takes them for
# those before.
OLDER = {"anthropic": {"temperature", "top_p"}}

adapters = {}


def judge(kind, value):
    if id(kind) not in adapters:
        adapters[id(kind)] = pydantic.TypeAdapter(kind)
    adapters[id(kind)].validate_python(value)


def main():
    faults = []
    count = 0
    for line in sys.stdin:
        item = json.loads(line)
        dialect, name = item["dialect"], item["name"]
        try:
            if "request" in item:
                kind = REQUESTS[dialect]
                judge(kind, item["request"])
                unknown = set(item["request"]) - set(get_type_hints(kind)) - OLDER.get(dialect, set())
                if unknown:
                    raise ValueError(f"unknown keys {unknown}")
                count += 1
            for event in item.get("events", []):
                judge(EVENTS[dialect], event)
                count += 1
        except Exception as error:  # noqa: BLE001: all faults are told together
            faults.append(f"{dialect} {name}: {str(error)[:2000]}")
    if faults:
        sys.exit("\n".join(faults))
    print(f"ok {count}")


main()
