// Calls an agent in the four ways a program outside does: ask and wait, ask now and read the answer
// later, follow an answer as it comes, and read an error.
//
// `gen` is generated from the server's contract; the README above says how.

import { setTimeout as pause } from "node:timers/promises";

import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";

import { ExternalAgentRouter } from "./gen/caxton/v1/external_pb.js";
import { ErrorInfoSchema } from "./gen/google/rpc/error_details_pb.js";

// gRPC sets no deadline by itself: a call to a server that is silent would never end.
const DEADLINE_MS = 30_000;
const POLL_PAUSE_MS = 100;

const question = { agent: "echo", body: { case: "content", value: "hello" }, timeout: "20s" };

async function main() {
  const server = setting("CAXTON_SERVER");
  const key = setting("CAXTON_API_KEY");
  const connection = new Http2SessionManager(server);
  const transport = createGrpcTransport({
    baseUrl: server,
    sessionManager: connection,
    defaultTimeoutMs: DEADLINE_MS,
    interceptors: [
      (next) => (request) => {
        request.header.set("authorization", `Bearer ${key}`);
        return next(request);
      },
    ],
  });
  const router = createClient(ExternalAgentRouter, transport);
  try {
    await ask(router);
    await submitAndPoll(router);
    await follow(router);
    await router.invokeAgent({ agent: "nobody" }).catch((error) => console.log("error:", describe(error)));
  } finally {
    // An open connection keeps the process alive.
    connection.abort();
  }
}

function setting(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

async function ask(router) {
  const answer = await router.invokeAgent(question);
  console.log("answer:", answer.reply.body.value);
}

async function submitAndPoll(router) {
  // The job is over when its own time is, so the loop ends even where the agent never answers.
  let job = await router.createJob(question);
  // Polling is for a program with other work meanwhile. One that only waits follows `watchJob`.
  while (["submitted", "running"].includes(job.state)) {
    await pause(POLL_PAUSE_MS);
    job = await router.getJob({ job: job.id });
  }
  const result = job.error ? `${job.error.code}: ${job.error.detail}` : job.reply?.body.value;
  console.log("job:", job.state, result ?? "");
}

async function follow(router) {
  for await (const event of router.streamInvocation(question)) {
    // What the agent says on its way, and in the last event its answer.
    const said = event.message ?? event.response?.reply;
    console.log(...["stream:", event.state, said?.body.value].filter(Boolean));
  }
}

// The server's code and its words; gRPC's own code where the server was not reached.
function describe(error) {
  if (!(error instanceof ConnectError)) return error.message;
  const [info] = error.findDetails(ErrorInfoSchema);
  return `${info?.reason ?? Code[error.code]}: ${error.rawMessage}`;
}

main().catch((error) => {
  console.error(describe(error));
  process.exitCode = 1;
});
