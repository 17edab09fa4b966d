// OpenAI's and Anthropic's own packages for JavaScript, with no more changed than address and key.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const [base, key, packages] = process.argv.slice(2);
const require = createRequire(`${packages}/`);
const { default: OpenAI } = require("openai");
const { default: Anthropic } = require("@anthropic-ai/sdk");

const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const said = (content) => [{ role: "user", content }];
const fails = (work, kind, code) =>
  assert.rejects(work, (error) => {
    assert.equal(error.constructor, kind);
    assert.match(String(error), new RegExp(code));
    return true;
  });

async function chat(client) {
  const create = (text, more) =>
    client.chat.completions.create({ model: "helper", messages: said(text), ...more });
  const whole = await create("hello there");
  assert.equal(whole.choices[0].message.content, "hello there");
  assert.equal(whole.usage.total_tokens, 17);
  let text = "";
  for await (const chunk of await create("count 5", { stream: true }))
    text += chunk.choices[0]?.delta.content ?? "";
  assert.equal(text, "1 2 3 4 5 ");
  const tools = [{ type: "function", function: { name: "weather", parameters: schema } }];
  const asked = await create("tool Bonn", { tools });
  const [call] = asked.choices[0].message.tool_calls;
  assert.equal(call.function.arguments, '{"city":"Bonn"}');
  const answer = { role: "tool", tool_call_id: call.id, content: "sun" };
  const messages = [...said("tool Bonn"), asked.choices[0].message, answer];
  const told = await client.chat.completions.create({ model: "helper", messages, tools });
  assert.equal(told.choices[0].message.content, "answered sun");
  const streamed = client.chat.completions.stream({ model: "helper", messages: said("tool Bonn"), tools });
  const final = await streamed.finalChatCompletion();
  assert.equal(final.choices[0].message.tool_calls[0].function.name, "weather");
  await fails(() => create("fail CX-7007"), OpenAI.RateLimitError, "CX-7007");
  await fails(() => create("fail CX-7008", { stream: true }), OpenAI.InternalServerError, "CX-7008");
  await fails(() => create("x", { model: "gpt-5" }), OpenAI.NotFoundError, "CX-2020");
  await fails(() => create("x", { n: 2 }), OpenAI.BadRequestError, "CX-1022");
  await fails(async () => {
    for await (const _ of await create("break CX-7010", { stream: true }));
  }, OpenAI.APIError, "CX-7010|broke off");
  const listed = await client.models.list();
  assert.deepEqual(listed.data.map((it) => it.id), ["helper"]);
}

async function responses(client) {
  const create = (input, more) => client.responses.create({ model: "helper", input, ...more });
  const first = await create("one");
  assert.equal(first.output_text, "one");
  const second = await create("recall", { previous_response_id: first.id });
  assert.equal(second.output_text, "system= history=one|one");
  let text = "";
  let last;
  for await (const event of await create("count 5", { stream: true })) {
    if (event.type === "response.output_text.delta") text += event.delta;
    last = event;
  }
  assert.equal(text, "1 2 3 4 5 ");
  assert.equal(last.type, "response.completed");
  const final = await client.responses.stream({ model: "helper", input: "think" }).finalResponse();
  assert.equal(final.output_text, "done");
  const tools = [{ type: "function", name: "weather", parameters: schema, strict: false }];
  const asked = await create("tool Bonn", { tools });
  const call = asked.output.find((it) => it.type === "function_call");
  const output = { type: "function_call_output", call_id: call.call_id, output: "sun" };
  const told = await create([output], { previous_response_id: asked.id, tools });
  assert.equal(told.output_text, "answered sun");
  await client.responses.delete(first.id);
  await fails(() => client.responses.retrieve(first.id), OpenAI.NotFoundError, "CX-7022");
}

async function messages(client) {
  const body = (text, more) => ({ model: "helper", max_tokens: 100, messages: said(text), ...more });
  const create = (text, more) => client.messages.create(body(text, more));
  const whole = await create("hello there");
  assert.equal(whole.content[0].text, "hello there");
  const final = await client.messages.stream(body("think")).finalMessage();
  assert.deepEqual(final.content.map((it) => it.type), ["thinking", "text"]);
  const tools = [{ name: "weather", input_schema: schema }];
  const asked = await create("tool Bonn", { tools });
  const call = asked.content.at(-1);
  assert.deepEqual(call.input, { city: "Bonn" });
  const streamed = await client.messages.stream(body("tool Bonn", { tools })).finalMessage();
  assert.deepEqual(streamed.content.at(-1).input, { city: "Bonn" });
  const result = { type: "tool_result", tool_use_id: call.id, content: "sun" };
  const history = [
    ...said("tool Bonn"),
    { role: "assistant", content: asked.content },
    { role: "user", content: [result] },
  ];
  const told = await client.messages.create({ ...body("", { tools }), messages: history });
  assert.equal(told.content[0].text, "answered sun");
  const counted = await client.messages.countTokens({ model: "helper", messages: said("four words are here") });
  assert.equal(counted.input_tokens, 9);
  await fails(() => create("fail CX-7007"), Anthropic.RateLimitError, "CX-7007");
  await fails(() => create("x", { model: "claude" }), Anthropic.NotFoundError, "CX-2020");
  await fails(async () => {
    for await (const _ of await create("break CX-7010", { stream: true }));
  }, Anthropic.APIError, "CX-7010");
  const listed = await client.models.list();
  assert.deepEqual(listed.data.map((it) => it.id), ["helper"]);
}

const openai = new OpenAI({ baseURL: `${base}/openai/v1`, apiKey: key, maxRetries: 0 });
await chat(openai);
await responses(openai);
await messages(new Anthropic({ baseURL: `${base}/anthropic`, apiKey: key, maxRetries: 0 }));
const bad = new OpenAI({ baseURL: `${base}/openai/v1`, apiKey: "cx_key_0_0", maxRetries: 0 });
await fails(() => bad.models.list(), OpenAI.AuthenticationError, "CX-4001");
console.log("ok");
