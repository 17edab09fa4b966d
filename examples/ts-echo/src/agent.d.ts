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
