// A client generated from the contract for JavaScript: asks an agent, follows messages, reads an error.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [address, key, generated] = process.argv.slice(2);
const load = createRequire(generated + "/");
const { createClient, ConnectError, Code } = await import(pathToFileURL(load.resolve("@connectrpc/connect")));
const { createGrpcTransport } = await import(pathToFileURL(load.resolve("@connectrpc/connect-node")));
const { CaxtonManagement } = await import(pathToFileURL(generated + "/gen/caxton/v1/management_pb.js"));

const client = createClient(CaxtonManagement, createGrpcTransport({ baseUrl: address }));
const options = { headers: { authorization: "Bearer " + key }, timeoutMs: 20000 };

const listed = await client.listAgents({}, options);
assert.deepEqual(listed.agents.map((agent) => agent.name), ["a"]);

const seen = [];
let open;
const opened = new Promise((done) => (open = done));
const watching = (async () => {
  const stop = new AbortController();
  const watch = client.watchMessages(
    { agent: "a" },
    { ...options, signal: stop.signal, onHeader: () => open() },
  );
  for await (const message of watch) {
    seen.push(message.id);
    if (seen.length === 2) break;
  }
  stop.abort();
})();
await opened;
const message = { performative: "request", receiver: [{ name: "a" }], body: { case: "content", value: "hello" } };
const answer = await client.sendMessage({ message, wait: "20s" }, options);
assert.deepEqual(answer.reply.body, { case: "content", value: "hello" });
await watching;
assert.deepEqual(seen, [answer.id, answer.reply.id]);

await assert.rejects(client.getAgent({ agent: "none" }, options), (error) => {
  assert.equal(ConnectError.from(error).code, Code.NotFound);
  return true;
});
await assert.rejects(client.listAgents({}, { timeoutMs: 20000 }), (error) => {
  assert.equal(ConnectError.from(error).code, Code.Unauthenticated);
  return true;
});
console.log("ok");
process.exit(0);
