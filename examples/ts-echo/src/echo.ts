// The echo agent in TypeScript: it answers exactly as examples/echo does.
//
// It must never answer an answer, or two echoes would talk until a hop limit stops them.

import { send } from "caxton:agent/messaging@1.0.0";
import type { Message, Performative } from "caxton:agent/types@1.0.0";

/** The acts whose sender waits for something. */
const EXPECTS_ANSWER: ReadonlySet<Performative> = new Set<Performative>([
  "accept-proposal", "cancel", "cfp", "propagate", "propose", "proxy", "query-if", "query-ref",
  "request", "request-when", "request-whenever", "subscribe",
]);

// Not TextEncoder: an engine this small need not have it, and this text is ASCII.
const NOT_UNDERSTOOD = Uint8Array.from("an echo takes request and query-ref", (letter) =>
  letter.charCodeAt(0),
);

/**
 * An answer by FIPA's rules (SC00061): same conversation and protocol, `in-reply-to` what the other
 * has as `reply-with`, to `reply-to` where there is one, else to the sender.
 */
function reply(message: Message, performative: Performative, content: Uint8Array): Message {
  const sender = message.sender ? [message.sender] : [];
  return {
    performative,
    sender: undefined,
    receivers: message.replyTo.length > 0 ? message.replyTo : sender,
    replyTo: [],
    content,
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

export const behavior = {
  init(): void {},

  handle(message: Message): void {
    if (message.performative === "request" || message.performative === "query-ref") {
      const { language, encoding, ontology } = message;
      send({ ...reply(message, "inform", message.content), language, encoding, ontology });
    } else if (EXPECTS_ANSWER.has(message.performative)) {
      const answer = reply(message, "not-understood", NOT_UNDERSTOOD);
      if (answer.receivers.length > 0) {
        send(answer);
      }
    }
  },
};
