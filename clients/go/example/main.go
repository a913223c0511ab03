// Walks the seven steps of README, and shows what the service says to a mistake.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"regexp"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/credentials/insecure"

	"ipmhub.io/invitations"
	pb "ipmhub.io/invitations/v1"
)

const organization = "organizations/acme"

var codeOfEmail = regexp.MustCompile(`([0-9A-Z]{4}-){6}[0-9A-Z]{4}`)

func main() {
	// A deadline for the whole walk; a program sets one for each call.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	owner, person := as("OWNER"), as("PERSON")
	member, err := walk(ctx, owner, person)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(member.GetName(), "is", member.GetRole())
	_, err = owner.CreateInvitation(ctx, &pb.CreateInvitationRequest{
		Parent:     "acme",
		Invitation: &pb.Invitation{Email: "anna"},
	})
	explain(invitations.ProblemOf(err))
}

// caller has the methods of all services.
type caller struct {
	pb.InvitationServiceClient
	pb.OrganizationServiceClient
	pb.AccountServiceClient
}

func as(who string) caller {
	token := func(context.Context) (string, error) { return env(who + "_TOKEN"), nil }
	// In production: credentials.NewTLS(nil).
	conn, err := invitations.Connect(env("ADDRESS"), insecure.NewCredentials(), token)
	if err != nil {
		log.Fatal(err)
	}
	return caller{
		pb.NewInvitationServiceClient(conn),
		pb.NewOrganizationServiceClient(conn),
		pb.NewAccountServiceClient(conn),
	}
}

func walk(ctx context.Context, owner, person caller) (*pb.Member, error) {
	username, email := env("PERSON_USERNAME"), env("PERSON_EMAIL")

	fmt.Println("1. an administrator invites", email)
	if _, err := owner.CreateInvitation(ctx, &pb.CreateInvitationRequest{
		Parent:     organization,
		Invitation: &pb.Invitation{Email: email},
		RequestId:  uuid.NewString(), // however often the call is repeated, it is one invitation
	}); err != nil {
		return nil, err
	}
	fmt.Println("2. the person creates the account", username)
	if _, err := person.CreateAccount(ctx, &pb.CreateAccountRequest{
		AccountId: username,
		RequestId: uuid.NewString(),
	}); err != nil {
		return nil, err
	}
	fmt.Println("3. the person requests access with the code of the email")
	message, err := await(ctx, "X-Envelope-To: "+email)
	if err != nil {
		return nil, err
	}
	code := codeOfEmail.FindString(message)
	if _, err := person.RequestAccess(ctx, &pb.RequestAccessRequest{Code: code, RequestId: uuid.NewString()}); err != nil {
		return nil, err
	}
	fmt.Println("4. the organization is told")
	if _, err := await(ctx, "Subject: "+username+" requests access"); err != nil {
		return nil, err
	}
	fmt.Println("5. an administrator offers a role")
	if _, err := owner.OfferMembership(ctx, &pb.OfferMembershipRequest{
		Parent:    organization,
		Username:  username,
		Email:     email,
		Role:      pb.Role_CONTRIBUTOR,
		RequestId: uuid.NewString(),
	}); err != nil {
		return nil, err
	}
	fmt.Println("6. the person gets the organization invitation")
	if _, err := await(ctx, "Hello "+username+","); err != nil {
		return nil, err
	}
	fmt.Println("7. the person accepts")
	list, err := person.ListAccountInvitations(ctx, &pb.ListAccountInvitationsRequest{Parent: "accounts/me"})
	if err != nil {
		return nil, err
	}
	for _, invitation := range list.GetInvitations() {
		if _, err := person.AcceptInvitation(ctx, &pb.AcceptInvitationRequest{
			Name:      invitation.GetName(),
			RequestId: uuid.NewString(),
		}); err != nil {
			return nil, err
		}
	}
	return owner.GetMember(ctx, &pb.GetMemberRequest{Name: organization + "/members/" + username})
}

func explain(problem invitations.Problem) {
	fmt.Printf("%s (%s): %s\n", problem.Reason, problem.Code, problem.Message)
	for _, field := range problem.Fields {
		fmt.Printf("  %s: %s, %s\n", field.GetField(), field.GetReason(), field.GetDescription())
	}
	if problem.RetryAfter > 0 {
		fmt.Println("  wait", problem.RetryAfter)
	}
}

func env(name string) string {
	value, set := os.LookupEnv("IPMHUB_" + name)
	if !set {
		log.Fatalf("IPMHUB_%s is not set: see tests/clients/run", name)
	}
	return value
}
