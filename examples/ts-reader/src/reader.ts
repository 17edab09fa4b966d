// An agent that calls a tool, in TypeScript: it answers as examples/reader does in Rust. It shows the three
// ends of a call: an answer, a failure in the tool's own terms, and an error of the server's, with its code.

import { send } from "caxton:agent/messaging@1.0.0";
import { call, describe, list } from "caxton:agent/tools@1.0.0";
import type { Content } from "caxton:agent/tools@1.0.0";
import type { Message, Performative } from "caxton:agent/types@1.0.0";

/** What counts, where a request names nothing else. */
const COUNT = "wordcount.count";
/** How a request begins that names a function: its arguments are the lines after the first. */
const CALL = "call ";

/** What a host's interface throws: `payload` is the interface's `error`. */
interface Thrown {
  payload?: { code: string; message: string };
}

/** The function a request is about, and its arguments. */
function wanted(text: string): [string, string] {
  if (!text.startsWith(CALL)) {
    return [COUNT, JSON.stringify({ text })];
  }
  const rest = text.slice(CALL.length);
  const end = rest.indexOf("\n");
  return end < 0 ? [rest.trim(), "{}"] : [rest.slice(0, end).trim(), rest.slice(end + 1)];
}

function textOf(content: Content[]): string {
  return content.map((part) => (part.tag === "text" ? part.val : "")).join("");
}

function read(text: string): [Performative, string] {
  const [name, args] = wanted(text);
  const answer = call(name, args, 0);
  return [answer.failed ? "failure" : "inform", textOf(answer.content)];
}

/** A line for each function this agent may call, as each describes itself. */
function offered(): [Performative, string] {
  const lines = list().map(({ name }) => `${name}: ${describe(name).description}`);
  return ["inform", lines.join("\n")];
}

/** What is said, or why not: what a tool does is a value here, and never ends the agent. */
function said(work: () => [Performative, string]): [Performative, string] {
  try {
    return work();
  } catch (thrown) {
    const error = (thrown as Thrown).payload;
    return ["failure", error ? `${error.code}: ${error.message}` : String(thrown)];
  }
}

/** An answer by FIPA's rules (SC00061). */
function reply(message: Message, performative: Performative, text: string): Message {
  const sender = message.sender ? [message.sender] : [];
  return {
    performative,
    sender: undefined,
    receivers: message.replyTo.length > 0 ? message.replyTo : sender,
    replyTo: [],
    content: encode(text),
    language: undefined,
    encoding: undefined,
    ontology: undefined,
    protocol: message.protocol,
    conversationId: message.conversationId,
    replyWith: undefined,
    inReplyTo: message.replyWith,
    replyByUs: undefined,
    userParameters: [],
  };
}

// UTF-8 by hand: an engine this small need not have TextEncoder.

/** Throws where the bytes are no UTF-8. */
function decode(bytes: Uint8Array): string {
  const escaped = Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, "0")}`);
  return decodeURIComponent(escaped.join(""));
}

function encode(text: string): Uint8Array {
  const bytes: number[] = [];
  const escaped = encodeURIComponent(text);
  for (let at = 0; at < escaped.length; at += 1) {
    if (escaped[at] === "%") {
      bytes.push(parseInt(escaped.slice(at + 1, at + 3), 16));
      at += 2;
    } else {
      bytes.push(escaped.charCodeAt(at));
    }
  }
  return Uint8Array.from(bytes);
}

export const behavior = {
  init(): void {},

  handle(message: Message): void {
    if (message.performative === "request") {
      send(reply(message, ...said(() => read(decode(message.content)))));
    } else if (message.performative === "query-ref") {
      send(reply(message, ...said(offered)));
    }
  },
};
