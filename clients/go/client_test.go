package invitations_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"ipmhub.io/invitations"
	pb "ipmhub.io/invitations/v1"
)

var plain = insecure.NewCredentials()

func owner(context.Context) (string, error) { return os.Getenv("IPMHUB_OWNER_TOKEN"), nil }

func TestProblemNamesAllBadFields(t *testing.T) {
	service := pb.NewInvitationServiceClient(connect(t, "ADDRESS"))
	_, err := service.CreateInvitation(within(t, 10*time.Second), &pb.CreateInvitationRequest{
		Parent:     "acme",
		Invitation: &pb.Invitation{Email: "anna"},
	})
	problem := invitations.ProblemOf(err)
	if problem.Code != codes.InvalidArgument || problem.Reason != pb.ErrorReason_FIELD_INVALID.String() {
		t.Errorf("%+v", problem)
	}
	reasons := map[string]string{}
	for _, field := range problem.Fields {
		reasons[field.GetField()] = field.GetReason()
	}
	malformed := pb.FieldReason_FIELD_MALFORMED.String()
	if len(reasons) != 2 || reasons["parent"] != malformed || reasons["invitation.email"] != malformed {
		t.Errorf("fields: %v", reasons)
	}
}

func TestProblemSaysHowLongToWait(t *testing.T) {
	service, ctx := pb.NewInvitationServiceClient(connect(t, "ADDRESS")), within(t, 10*time.Second)
	invitation, err := service.CreateInvitation(ctx, &pb.CreateInvitationRequest{
		Parent:     "organizations/acme",
		Invitation: &pb.Invitation{Email: uuid.NewString() + "@example.com"},
		RequestId:  uuid.NewString(),
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = service.ResendInvitation(ctx, &pb.ResendInvitationRequest{Name: invitation.GetName()})
	problem := invitations.ProblemOf(err)
	if problem.Reason != pb.ErrorReason_RESENT_TOO_SOON.String() ||
		problem.RetryAfter <= 0 || problem.RetryAfter > time.Minute {
		t.Errorf("%+v", problem)
	}
}

func TestCallOutlastsAnUnavailableService(t *testing.T) {
	get := func(conn *grpc.ClientConn, ctx context.Context) error {
		request := &pb.GetOrganizationRequest{Name: "organizations/acme"}
		_, err := pb.NewOrganizationServiceClient(conn).GetOrganization(ctx, request)
		return err
	}
	bare, err := grpc.NewClient(env(t, "FLAKY_ADDRESS"),
		grpc.WithTransportCredentials(plain), grpc.WithPerRPCCredentials(invitations.Token(owner)))
	if err != nil {
		t.Fatal(err)
	}
	defer bare.Close()
	if err := get(bare, within(t, 30*time.Second)); invitations.ProblemOf(err).Code != codes.Unavailable {
		t.Errorf("without the policy: %v", err)
	}
	if err := get(connect(t, "FLAKY_ADDRESS"), within(t, 30*time.Second)); err != nil {
		t.Errorf("with the policy: %v", err)
	}
}

func TestEachRowOfABatchHasAResult(t *testing.T) {
	service := pb.NewInvitationServiceClient(connect(t, "ADDRESS"))
	email := uuid.NewString() + "@example.com"
	answer, err := service.BatchCreateInvitations(within(t, 10*time.Second), &pb.BatchCreateInvitationsRequest{
		Parent: "organizations/acme",
		Requests: []*pb.CreateInvitationRequest{
			{Invitation: &pb.Invitation{Email: email}},
			{Invitation: &pb.Invitation{Email: "anna"}},
		},
		RequestId: uuid.NewString(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if made := answer.GetResults()[0].GetInvitation(); made.GetEmail() != email {
		t.Errorf("%v", made)
	}
	problem := invitations.ProblemOf(status.ErrorProto(answer.GetResults()[1].GetStatus()))
	if problem.Reason != pb.ErrorReason_FIELD_INVALID.String() ||
		problem.Fields[0].GetField() != "requests[1].invitation.email" {
		t.Errorf("%+v", problem)
	}
}

// Streams end after a second here, each with two messages where nothing happens.
func TestWatchGoesOnAfterTheEndOfAStream(t *testing.T) {
	conn, ctx := connect(t, "ADDRESS"), within(t, 30*time.Second)
	done := errors.New("all has come")
	quiet, name := 0, ""
	err := invitations.Watch(ctx, conn, &pb.WatchEventsRequest{
		Parent: "organizations/acme",
		Filter: "kind = INVITED",
	}, func(message *pb.WatchEventsResponse) error {
		for _, event := range message.GetEvents() {
			if event.GetInvitation() == name {
				return done
			}
		}
		if quiet++; quiet != 5 {
			return nil
		}
		made, err := pb.NewInvitationServiceClient(conn).CreateInvitation(ctx, &pb.CreateInvitationRequest{
			Parent:     "organizations/acme",
			Invitation: &pb.Invitation{Email: uuid.NewString() + "@example.com"},
		})
		name = made.GetName()
		return err
	})
	if !errors.Is(err, done) {
		t.Error(err)
	}
	err = invitations.Watch(ctx, conn, &pb.WatchEventsRequest{Parent: "organizations/acme", ResumeToken: "x"}, nil)
	if problem := invitations.ProblemOf(err); problem.Reason != pb.ErrorReason_RESUME_TOKEN_INVALID.String() {
		t.Errorf("%+v", problem)
	}
}

func connect(t *testing.T, address string) *grpc.ClientConn {
	conn, err := invitations.Connect(env(t, address), plain, owner)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func within(t *testing.T, deadline time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	return ctx
}

func env(t *testing.T, name string) string {
	value, set := os.LookupEnv("IPMHUB_" + name)
	if !set {
		t.Fatalf("IPMHUB_%s is not set: run by tests/clients/run", name)
	}
	return value
}
