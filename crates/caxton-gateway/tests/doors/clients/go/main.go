// A client generated from the contract for Go: asks an agent, follows messages, reads an error.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	caxton "caxton.test/client/gen/caxton/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

func check(good bool, what ...any) {
	if !good {
		fmt.Fprintln(os.Stderr, what...)
		os.Exit(1)
	}
}

func main() {
	address, key := os.Args[1], os.Args[2]
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(err == nil, err)
	client := caxton.NewCaxtonManagementClient(connection)
	stranger, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	known := metadata.AppendToOutgoingContext(stranger, "authorization", "Bearer "+key)

	listed, err := client.ListAgents(known, &caxton.ListAgentsRequest{})
	check(err == nil && len(listed.Agents) == 1 && listed.Agents[0].Name == "a", listed, err)

	watch, err := client.WatchMessages(known, &caxton.WatchMessagesRequest{Agent: "a"})
	check(err == nil, err)
	_, err = watch.Header()
	check(err == nil, err)
	content := "hello"
	answer, err := client.SendMessage(known, &caxton.SendMessageRequest{
		Wait: "20s",
		Message: &caxton.MessageDraft{
			Performative: "request",
			Receiver:     []*caxton.AgentId{{Name: "a"}},
			Body:         &caxton.MessageDraft_Content{Content: content},
		},
	})
	check(err == nil && answer.Reply.GetContent() == content, answer, err)
	for _, id := range []string{answer.Id, answer.Reply.Id} {
		message, err := watch.Recv()
		check(err == nil && message.Id == id, message, err)
	}

	_, err = client.GetAgent(known, &caxton.GetAgentRequest{Agent: "none"})
	told := status.Convert(err)
	check(told.Code() == codes.NotFound, err)
	reason := ""
	for _, detail := range told.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			reason = info.Domain + " " + info.Reason
		}
	}
	check(reason == "caxton CX-2020", reason)
	_, err = client.ListAgents(stranger, &caxton.ListAgentsRequest{})
	check(status.Code(err) == codes.Unauthenticated, err)
	fmt.Println("ok")
}
