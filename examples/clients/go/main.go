// Command client calls an agent in the four ways a program outside does: ask and wait, ask now and
// read the answer later, follow an answer as it comes, and read an error.
//
// What lies in gen is generated from the server's contract; the README above says how.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	caxton "caxton.example/client/gen/caxton/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	// gRPC sets no deadline by itself: a call to a server that is silent would never end.
	deadline  = 30 * time.Second
	pollPause = 100 * time.Millisecond
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, describe(err))
		os.Exit(1)
	}
}

func run() error {
	server, key := os.Getenv("CAXTON_SERVER"), os.Getenv("CAXTON_API_KEY")
	if server == "" || key == "" {
		return errors.New("CAXTON_SERVER or CAXTON_API_KEY is not set")
	}
	connection, err := connect(server)
	if err != nil {
		return err
	}
	defer connection.Close()
	router := caxton.NewExternalAgentRouterClient(connection)
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+key)

	for _, way := range []func(context.Context, caxton.ExternalAgentRouterClient) error{ask, submitAndPoll, follow} {
		if err := way(ctx, router); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	if _, err := router.InvokeAgent(ctx, &caxton.InvokeAgentRequest{Agent: "nobody"}); err != nil {
		fmt.Println("error:", describe(err))
	}
	return nil
}

func connect(server string) (*grpc.ClientConn, error) {
	address, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	var transport credentials.TransportCredentials
	switch address.Scheme {
	case "http":
		transport = insecure.NewCredentials()
	case "https":
		transport = credentials.NewTLS(&tls.Config{})
	default:
		return nil, fmt.Errorf("CAXTON_SERVER is no address such as http://127.0.0.1:7070: %s", server)
	}
	return grpc.NewClient(address.Host, grpc.WithTransportCredentials(transport))
}

func ask(ctx context.Context, router caxton.ExternalAgentRouterClient) error {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	answer, err := router.InvokeAgent(ctx, question())
	if err != nil {
		return err
	}
	fmt.Println("answer:", answer.GetReply().GetContent())
	return nil
}

func submitAndPoll(ctx context.Context, router caxton.ExternalAgentRouterClient) error {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	job, err := router.CreateJob(ctx, &caxton.CreateJobRequest{
		Agent:   "echo",
		Body:    &caxton.CreateJobRequest_Content{Content: "hello"},
		Timeout: "20s",
	})
	if err != nil {
		return err
	}
	// The job is over when its own time is, so the loop ends even where the agent never answers.
	// Polling is for a program with other work meanwhile. One that only waits follows WatchJob.
	for job.State == "submitted" || job.State == "running" {
		time.Sleep(pollPause)
		job, err = router.GetJob(ctx, &caxton.GetJobRequest{Job: job.Id})
		if err != nil {
			return err
		}
	}
	if failure := job.Error; failure != nil {
		fmt.Printf("job: %s %s: %s\n", job.State, failure.Code, failure.Detail)
	} else {
		fmt.Println("job:", job.State, job.GetReply().GetContent())
	}
	return nil
}

func follow(ctx context.Context, router caxton.ExternalAgentRouterClient) error {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	stream, err := router.StreamInvocation(ctx, question())
	if err != nil {
		return err
	}
	for {
		event, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		// What the agent says on its way, and in the last event its answer.
		said := event.GetMessage().GetContent() + event.GetResponse().GetReply().GetContent()
		fmt.Println(strings.TrimSpace("stream: " + event.State + " " + said))
	}
}

func question() *caxton.InvokeAgentRequest {
	return &caxton.InvokeAgentRequest{
		Agent:   "echo",
		Body:    &caxton.InvokeAgentRequest_Content{Content: "hello"},
		Timeout: "20s",
	}
}

// describe gives the server's code and its words; gRPC's own code where the server was not reached.
func describe(err error) string {
	told, ok := status.FromError(err)
	if !ok {
		return err.Error()
	}
	code := told.Code().String()
	for _, detail := range told.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			code = info.Reason
		}
	}
	return code + ": " + told.Message()
}
