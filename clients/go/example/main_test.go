package main

import (
	"context"
	"testing"
	"time"

	pb "ipmhub.io/invitations/v1"
)

func TestPersonHasAccessAfterTheSevenSteps(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	member, err := walk(ctx, as("OWNER"), as("PERSON"))
	if err != nil {
		t.Fatal(err)
	}
	if member.GetAccount() != "accounts/"+env("PERSON_USERNAME") || member.GetRole() != pb.Role_CONTRIBUTOR {
		t.Errorf("%v", member)
	}
}
