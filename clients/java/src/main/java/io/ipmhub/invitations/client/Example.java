package io.ipmhub.invitations.client;

import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import io.ipmhub.invitations.v1.AcceptInvitationRequest;
import io.ipmhub.invitations.v1.AccountServiceGrpc;
import io.ipmhub.invitations.v1.CreateAccountRequest;
import io.ipmhub.invitations.v1.CreateInvitationRequest;
import io.ipmhub.invitations.v1.GetMemberRequest;
import io.ipmhub.invitations.v1.Invitation;
import io.ipmhub.invitations.v1.InvitationServiceGrpc;
import io.ipmhub.invitations.v1.InvitationServiceGrpc.InvitationServiceBlockingStub;
import io.ipmhub.invitations.v1.ListAccountInvitationsRequest;
import io.ipmhub.invitations.v1.Member;
import io.ipmhub.invitations.v1.OfferMembershipRequest;
import io.ipmhub.invitations.v1.OrganizationServiceGrpc;
import io.ipmhub.invitations.v1.RequestAccessRequest;
import io.ipmhub.invitations.v1.Role;
import java.io.IOException;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;

/** Walks the seven steps of README, and shows what the service says to a mistake. */
public final class Example {
  static final String ORGANIZATION = "organizations/acme";
  private static final Pattern CODE = Pattern.compile("([0-9A-Z]{4}-){6}[0-9A-Z]{4}");

  private Example() {}

  public static void main(String[] arguments) throws IOException, InterruptedException {
    var owner = connect("OWNER");
    var person = connect("PERSON");
    try {
      var member = walk(owner, person, env("PERSON_USERNAME"), env("PERSON_EMAIL"));
      System.out.println(member.getName() + " is " + member.getRole());
      try {
        invitations(owner)
            .createInvitation(
                CreateInvitationRequest.newBuilder()
                    .setParent("acme")
                    .setInvitation(Invitation.newBuilder().setEmail("anna"))
                    .build());
      } catch (StatusRuntimeException error) {
        explain(Problem.of(error));
      }
    } finally {
      owner.shutdownNow();
      person.shutdownNow();
    }
  }

  static ManagedChannel connect(String who) {
    // In production: TlsChannelCredentials.create().
    return Invitations.connect(env("ADDRESS"), InsecureChannelCredentials.create(), () -> env(who + "_TOKEN"));
  }

  /** For one call, whose deadline begins now. */
  static InvitationServiceBlockingStub invitations(ManagedChannel channel) {
    return InvitationServiceGrpc.newBlockingStub(channel).withDeadlineAfter(10, TimeUnit.SECONDS);
  }

  static Member walk(ManagedChannel owner, ManagedChannel person, String username, String email)
      throws IOException, InterruptedException {
    System.out.println("1. an administrator invites " + email);
    invitations(owner)
        .createInvitation(
            CreateInvitationRequest.newBuilder()
                .setParent(ORGANIZATION)
                .setInvitation(Invitation.newBuilder().setEmail(email))
                .setRequestId(requestId())
                .build());

    System.out.println("2. the person creates the account " + username);
    AccountServiceGrpc.newBlockingStub(person)
        .withDeadlineAfter(10, TimeUnit.SECONDS)
        .createAccount(CreateAccountRequest.newBuilder().setAccountId(username).setRequestId(requestId()).build());

    System.out.println("3. the person requests access with the code of the email");
    var code = CODE.matcher(Mailbox.await("X-Envelope-To: " + email));
    if (!code.find()) {
      throw new IllegalStateException("the email holds no code");
    }
    invitations(person)
        .requestAccess(RequestAccessRequest.newBuilder().setCode(code.group()).setRequestId(requestId()).build());

    System.out.println("4. the organization is told");
    Mailbox.await("Subject: " + username + " requests access");

    System.out.println("5. an administrator offers a role");
    invitations(owner)
        .offerMembership(
            OfferMembershipRequest.newBuilder()
                .setParent(ORGANIZATION)
                .setUsername(username)
                .setEmail(email)
                .setRole(Role.CONTRIBUTOR)
                .setRequestId(requestId())
                .build());

    System.out.println("6. the person gets the organization invitation");
    Mailbox.await("Hello " + username + ",");

    System.out.println("7. the person accepts");
    var offers =
        invitations(person)
            .listAccountInvitations(ListAccountInvitationsRequest.newBuilder().setParent("accounts/me").build());
    for (var offer : offers.getInvitationsList()) {
      invitations(person)
          .acceptInvitation(
              AcceptInvitationRequest.newBuilder().setName(offer.getName()).setRequestId(requestId()).build());
    }
    return OrganizationServiceGrpc.newBlockingStub(owner)
        .withDeadlineAfter(10, TimeUnit.SECONDS)
        .getMember(GetMemberRequest.newBuilder().setName(ORGANIZATION + "/members/" + username).build());
  }

  private static void explain(Problem problem) {
    System.out.printf("%s (%s): %s%n", problem.reason(), problem.code(), problem.message());
    for (var field : problem.fields()) {
      System.out.printf("  %s: %s, %s%n", field.getField(), field.getReason(), field.getDescription());
    }
    problem.retryAfter().ifPresent(delay -> System.out.println("  wait " + delay));
  }

  /** However often a call is repeated with it, it is one change. */
  private static String requestId() {
    return UUID.randomUUID().toString();
  }

  static String env(String name) {
    var value = System.getenv("IPMHUB_" + name);
    if (value == null) {
      throw new IllegalStateException("IPMHUB_" + name + " is not set: see tests/clients/run");
    }
    return value;
  }
}
