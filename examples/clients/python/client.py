"""Calls an agent in the four ways a program outside does: ask and wait, ask now and read the answer
later, follow an answer as it comes, and read an error.

The package `caxton` is generated from the server's contract; the README above says how.
"""

import os
import sys
import time
from urllib.parse import urlsplit

import grpc
from google.rpc import error_details_pb2, status_pb2

from caxton.v1 import external_pb2, external_pb2_grpc

# gRPC sets no deadline by itself: a call to a server that is silent would never end.
DEADLINE_S = 30
POLL_PAUSE_S = 0.1


def main():
    try:
        server, key = os.environ["CAXTON_SERVER"], os.environ["CAXTON_API_KEY"]
    except KeyError as missing:
        sys.exit(f"{missing.args[0]} is not set")
    call = {"metadata": [("authorization", f"Bearer {key}")], "timeout": DEADLINE_S}
    with connect(server) as channel:
        router = external_pb2_grpc.ExternalAgentRouterStub(channel)
        try:
            ask(router, call)
            submit_and_poll(router, call)
            follow(router, call)
        except grpc.RpcError as error:
            sys.exit(describe(error))
        try:
            router.InvokeAgent(external_pb2.InvokeAgentRequest(agent="nobody"), **call)
        except grpc.RpcError as error:
            print("error:", describe(error))


def connect(server):
    url = urlsplit(server)
    if url.scheme not in ("http", "https"):
        sys.exit(f"CAXTON_SERVER is no address such as http://127.0.0.1:7070: {server}")
    if url.scheme == "https":
        return grpc.secure_channel(url.netloc, grpc.ssl_channel_credentials())
    return grpc.insecure_channel(url.netloc)


def ask(router, call):
    question = external_pb2.InvokeAgentRequest(agent="echo", content="hello", timeout="20s")
    answer = router.InvokeAgent(question, **call)
    print("answer:", answer.reply.content)


def submit_and_poll(router, call):
    # The job is over when its own time is, so the loop ends even where the agent never answers.
    question = external_pb2.CreateJobRequest(agent="echo", content="hello", timeout="20s")
    job = router.CreateJob(question, **call)
    # Polling is for a program with other work meanwhile. One that only waits follows `WatchJob`.
    while job.state in ("submitted", "running"):
        time.sleep(POLL_PAUSE_S)
        job = router.GetJob(external_pb2.GetJobRequest(job=job.id), **call)
    if job.HasField("error"):
        print("job:", job.state, f"{job.error.code}: {job.error.detail}")
    else:
        print("job:", job.state, job.reply.content)


def follow(router, call):
    question = external_pb2.InvokeAgentRequest(agent="echo", content="hello", timeout="20s")
    for event in router.StreamInvocation(question, **call):
        # What the agent says on its way, and in the last event its answer.
        said = event.message.content or event.response.reply.content
        print(f"stream: {event.state} {said}".rstrip(), flush=True)


def describe(error):
    """The server's code and its words; gRPC's own code where the server was not reached."""
    code = error.code().name
    details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    info = error_details_pb2.ErrorInfo()
    for detail in status_pb2.Status.FromString(details).details:
        if detail.Unpack(info):
            code = info.reason
    return f"{code}: {error.details()}"


if __name__ == "__main__":
    main()
