// What this agent uses of `wit/agent.wit`, as the component model's JavaScript mapping has it:
// names in camelCase, enums as strings, absent options as undefined, results as thrown errors.

declare module "caxton:agent/types@1.0.0" {
  export type Performative =
    | "accept-proposal" | "agree" | "cancel" | "cfp" | "confirm" | "disconfirm" | "failure"
    | "inform" | "inform-if" | "inform-ref" | "not-understood" | "propagate" | "propose" | "proxy"
    | "query-if" | "query-ref" | "refuse" | "reject-proposal" | "request" | "request-when"
    | "request-whenever" | "subscribe";

  export interface AgentId {
    name: string;
    addresses: string[];
    resolvers: string[];
  }

  export interface UserParameter {
    name: string;
    value: string;
  }

  export interface Message {
    performative: Performative;
    sender: AgentId | undefined;
    receivers: AgentId[];
    replyTo: AgentId[];
    content: Uint8Array;
    language: string | undefined;
    encoding: string | undefined;
    ontology: string | undefined;
    protocol: string | undefined;
    conversationId: string | undefined;
    replyWith: string | undefined;
    inReplyTo: string | undefined;
    replyByUs: bigint | undefined;
    userParameters: UserParameter[];
  }
}

declare module "caxton:agent/messaging@1.0.0" {
  import type { Message } from "caxton:agent/types@1.0.0";

  /** Queues a message and returns its id; throws what the server refused. */
  export function send(message: Message): string;
}

declare module "caxton:agent/tools@1.0.0" {
  /** A function that this agent may call; schemas are JSON. */
  export interface Function {
    /** The full name: `tool.function`, or `tool` where both are the same. */
    name: string;
    description: string;
    inputSchema: string;
    outputSchema: string | undefined;
    /** It changes something, instead of only looking. */
    acts: boolean;
    repeatable: boolean;
  }

  export type Content =
    | { tag: "text"; val: string }
    | { tag: "image"; val: { mediaType: string; data: Uint8Array } };

  export interface Answer {
    content: Content[];
    /** JSON, as the output schema says. */
    structured: string | undefined;
    /** The tool says that it failed; its content says how. */
    failed: boolean;
  }

  /** The functions this agent may call. */
  export function list(): Function[];

  /** One of them, by its full name, or `agent:NAME`. */
  export function describe(name: string): Function;

  /** Calls one and waits, `timeoutMs` at most (0: as agent.toml says). The arguments are JSON. */
  export function call(name: string, args: string, timeoutMs: number): Answer;
}
