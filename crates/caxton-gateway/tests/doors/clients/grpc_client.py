"""A client generated from the contract: asks an agent, follows messages, and reads an error."""

import sys

import grpc
from google.rpc import error_details_pb2, status_pb2

from caxton.v1 import agents_pb2, management_pb2_grpc, messages_pb2

address, key = sys.argv[1:]
metadata = (("authorization", "Bearer " + key),)
with grpc.insecure_channel(address) as channel:
    client = management_pb2_grpc.CaxtonManagementStub(channel)
    listed = client.ListAgents(agents_pb2.ListAgentsRequest(), metadata=metadata, timeout=20)
    assert [agent.name for agent in listed.agents] == ["a"], listed

    watch = client.WatchMessages(
        messages_pb2.WatchMessagesRequest(agent="a"), metadata=metadata, timeout=20
    )
    watch.initial_metadata()
    draft = messages_pb2.MessageDraft(performative="request", content="hello")
    draft.receiver.add(name="a")
    answer = client.SendMessage(
        messages_pb2.SendMessageRequest(message=draft, wait="20s"), metadata=metadata, timeout=20
    )
    assert answer.reply.content == "hello", answer
    seen = [next(watch).id, next(watch).id]
    assert seen == [answer.id, answer.reply.id], (seen, answer)
    watch.cancel()

    try:
        client.GetAgent(agents_pb2.GetAgentRequest(agent="none"), metadata=metadata, timeout=20)
        raise SystemExit("an agent that is not there was found")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND, error
        trailers = dict(error.trailing_metadata())
        status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
        info = error_details_pb2.ErrorInfo()
        assert any(detail.Unpack(info) for detail in status.details), status
        assert (info.reason, info.domain) == ("CX-2020", "caxton"), info

    try:
        client.ListAgents(agents_pb2.ListAgentsRequest(), timeout=20)
        raise SystemExit("a stranger was let in")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAUTHENTICATED, error
print("ok")
