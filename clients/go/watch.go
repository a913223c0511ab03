package invitations

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	pb "ipmhub.io/invitations/v1"
)

// Watch gives each message of WatchEvents to take, over as many streams as it takes: each goes on after the newest token.
// It ends with the error of take, or with one that the next stream would give again, such as UNAUTHENTICATED.
func Watch(ctx context.Context, conn grpc.ClientConnInterface, request *pb.WatchEventsRequest,
	take func(*pb.WatchEventsResponse) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	request = proto.CloneOf(request)
	var wait time.Duration
	for {
		stream, err := pb.NewOrganizationServiceClient(conn).WatchEvents(ctx, request)
		for err == nil {
			var message *pb.WatchEventsResponse
			if message, err = stream.Recv(); err != nil {
				break
			}
			wait = 0
			if token := message.GetResumeToken(); token != "" {
				request.ResumeToken, request.SendInitial = token, false
			}
			if err := take(message); err != nil {
				return err
			}
		}
		problem := ProblemOf(err)
		switch problem.Code {
		case codes.InvalidArgument, codes.OutOfRange, codes.FailedPrecondition, codes.Unimplemented,
			codes.Unauthenticated, codes.PermissionDenied, codes.NotFound:
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(max(wait, problem.RetryAfter)):
		}
		wait = min(max(2*wait, 500*time.Millisecond), 5*time.Second)
	}
}
