"""OpenAI's and Anthropic's own packages for Python, with no more changed than address and key."""

import sys

import anthropic
import openai
from anthropic import Anthropic
from openai import OpenAI

base, key = sys.argv[1:3]
TOOL = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def raises(kind, work, code):
    try:
        work()
    except kind as error:
        # The exact kind, with our code in it and an id to ask about.
        assert type(error) is kind, type(error)
        assert code in str(error), error
        assert error.request_id, error
    else:
        raise AssertionError(f"no {kind}")


def said(text):
    return [{"role": "user", "content": text}]


def chat(client):
    create = client.chat.completions.create
    whole = create(model="helper", messages=said("hello there"))
    assert whole.choices[0].message.content == "hello there", whole
    assert whole.choices[0].finish_reason == "stop"
    assert whole.usage.total_tokens == 17, whole.usage
    assert create(model="helper", messages=said("length")).choices[0].finish_reason == "length"
    options = {"include_usage": True}
    chunks = list(create(model="helper", messages=said("count 5"), stream=True, stream_options=options))
    text = "".join(it.choices[0].delta.content or "" for it in chunks if it.choices)
    assert text == "1 2 3 4 5 ", text
    assert chunks[-1].usage.completion_tokens == 5 and not chunks[-1].choices
    with client.chat.completions.stream(model="helper", messages=said("count 3")) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.content == "1 2 3 "
    function = {"name": "weather", "parameters": TOOL}
    tools = [{"type": "function", "function": function}]
    asked = create(model="helper", messages=said("tool Bonn"), tools=tools)
    (call,) = asked.choices[0].message.tool_calls
    assert (call.function.name, call.function.arguments) == ("weather", '{"city":"Bonn"}')
    assert asked.choices[0].finish_reason == "tool_calls"
    calls = {}
    for chunk in create(model="helper", messages=said("tool Bonn"), tools=tools, stream=True):
        for part in chunk.choices[0].delta.tool_calls or []:
            calls.setdefault(part.index, []).append(part)
    assert "".join(it.function.arguments for it in calls[0]) == '{"city":"Bonn"}'
    history = said("tool Bonn") + [asked.choices[0].message]
    history.append({"role": "tool", "tool_call_id": call.id, "content": "sun"})
    told = create(model="helper", messages=history, tools=tools)
    assert told.choices[0].message.content == "answered sun", told
    straight = create(model="demo/any", messages=said("hello parrot"))
    assert straight.choices[0].message.content == "hello parrot"


def chat_errors(client):
    create = client.chat.completions.create

    def ask(text, **more):
        return lambda: create(model="helper", messages=said(text), **more)

    raises(openai.NotFoundError, lambda: create(model="gpt-5", messages=said("x")), "CX-2020")
    raises(openai.BadRequestError, ask("x", n=2), "CX-1022")
    raises(openai.RateLimitError, ask("fail CX-7007"), "CX-7007")
    raises(openai.RateLimitError, ask("fail CX-7007", stream=True), "CX-7007")
    raises(openai.InternalServerError, ask("fail CX-7008"), "CX-7008")
    bad = OpenAI(base_url=f"{base}/openai/v1", api_key="cx_key_0_0", max_retries=0)
    raises(openai.AuthenticationError, lambda: bad.models.list(), "CX-4001")
    try:
        for _ in create(model="helper", messages=said("break CX-7010"), stream=True):
            pass
    except openai.APIError as error:
        assert error.code == "CX-7010", error
    else:
        raise AssertionError("a stream that broke was whole")


def responses(client):
    create = client.responses.create
    first = create(model="helper", input="one")
    assert first.output_text == "one" and first.status == "completed", first
    assert first.usage.input_tokens == 12
    second = create(model="helper", input="recall", previous_response_id=first.id)
    assert second.output_text == "system= history=one|one", second.output_text
    assert client.responses.retrieve(first.id).output_text == "one"
    client.responses.delete(first.id)
    raises(openai.NotFoundError, lambda: client.responses.retrieve(first.id), "CX-7022")
    events = list(create(model="helper", input="think", stream=True))
    numbers = [it.sequence_number for it in events]
    assert numbers == list(range(len(events))), numbers
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == "done"
    assert events[-1].response.output[0].summary[0].text == "let me see"
    with client.responses.stream(model="helper", input="count 3") as stream:
        for _ in stream:
            pass
        assert stream.get_final_response().output_text == "1 2 3 "
    tools = [{"type": "function", "name": "weather", "parameters": TOOL, "strict": False}]
    asked = create(model="helper", input="tool Bonn", tools=tools)
    (call,) = [it for it in asked.output if it.type == "function_call"]
    assert call.arguments == '{"city":"Bonn"}'
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "sun"}
    told = create(model="helper", input=[output], previous_response_id=asked.id, tools=tools)
    assert told.output_text == "answered sun", told
    raises(openai.RateLimitError, lambda: create(model="helper", input="fail CX-7007"), "CX-7007")


def models(client):
    assert [it.id for it in client.models.list()] == ["helper"]
    assert client.models.retrieve("helper").owned_by == "default"
    raises(openai.NotFoundError, lambda: client.models.retrieve("nobody"), "CX-2020")


def messages(client):
    def create(text, **more):
        return client.messages.create(model="helper", max_tokens=100, messages=said(text), **more)

    whole = create("hello there")
    assert whole.content[0].text == "hello there" and whole.stop_reason == "end_turn", whole
    assert (whole.usage.input_tokens, whole.usage.cache_read_input_tokens) == (10, 2)
    with client.messages.stream(model="helper", max_tokens=100, messages=said("think")) as stream:
        assert "".join(stream.text_stream) == "done"
        final = stream.get_final_message()
    assert [it.type for it in final.content] == ["thinking", "text"], final
    assert final.content[0].thinking == "let me see" and final.usage.output_tokens == 5
    kinds = [it.type for it in create("hi", stream=True)]
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop", kinds
    tools = [{"name": "weather", "input_schema": TOOL}]
    asked = create("tool Bonn", tools=tools)
    call = asked.content[-1]
    assert (call.type, call.name, call.input) == ("tool_use", "weather", {"city": "Bonn"})
    with client.messages.stream(
        model="helper", max_tokens=100, messages=said("tool Bonn"), tools=tools
    ) as stream:
        assert stream.get_final_message().content[-1].input == {"city": "Bonn"}
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "sun"}
    history = said("tool Bonn") + [
        {"role": "assistant", "content": asked.content},
        {"role": "user", "content": [result]},
    ]
    told = client.messages.create(model="helper", max_tokens=9, messages=history, tools=tools)
    assert told.content[0].text == "answered sun", told
    counted = client.messages.count_tokens(model="helper", messages=said("four words are here"))
    assert counted.input_tokens == 9, counted
    assert [it.id for it in client.models.list()] == ["helper"]
    raises(anthropic.RateLimitError, lambda: create("fail CX-7007"), "CX-7007")
    raises(anthropic.RateLimitError, lambda: list(create("fail CX-7007", stream=True)), "CX-7007")
    absent = lambda: client.messages.create(model="claude", max_tokens=1, messages=said("x"))
    raises(anthropic.NotFoundError, absent, "CX-2020")
    bad = Anthropic(base_url=f"{base}/anthropic", api_key="cx_key_0_0", max_retries=0)
    raises(anthropic.AuthenticationError, lambda: bad.models.list(), "CX-4001")
    try:
        for _ in create("break CX-7010", stream=True):
            pass
    except anthropic.APIError as error:
        assert "CX-7010" in str(error), error
    else:
        raise AssertionError("a stream that broke was whole")


client = OpenAI(base_url=f"{base}/openai/v1", api_key=key, max_retries=0)
for part in (chat, chat_errors, responses, models):
    part(client)
chat(OpenAI(base_url=f"{base}/v1/", api_key=key, max_retries=0))
messages(Anthropic(base_url=f"{base}/anthropic", api_key=key, max_retries=0))
messages(Anthropic(base_url=f"{base}/anthropic/", auth_token=key, max_retries=0))
print("ok")
