package io.ipmhub.invitations.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.rpc.BadRequest.FieldViolation;
import io.grpc.Channel;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.ipmhub.invitations.v1.BatchCreateInvitationsRequest;
import io.ipmhub.invitations.v1.CreateInvitationRequest;
import io.ipmhub.invitations.v1.ErrorReason;
import io.ipmhub.invitations.v1.FieldReason;
import io.ipmhub.invitations.v1.GetOrganizationRequest;
import io.ipmhub.invitations.v1.Invitation;
import io.ipmhub.invitations.v1.Organization;
import io.ipmhub.invitations.v1.OrganizationServiceGrpc;
import io.ipmhub.invitations.v1.ResendInvitationRequest;
import io.ipmhub.invitations.v1.Role;
import io.ipmhub.invitations.v1.WatchEventsRequest;
import java.time.Duration;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** What CI checks, by tests/clients/run. */
class InvitationsTest {
  @Test
  void personHasAccessAfterTheSevenSteps() throws Exception {
    var username = Example.env("PERSON_USERNAME");
    var owner = Example.connect("OWNER");
    var person = Example.connect("PERSON");
    try {
      var member = Example.walk(owner, person, username, Example.env("PERSON_EMAIL"));
      assertEquals("accounts/" + username, member.getAccount());
      assertEquals(Role.CONTRIBUTOR, member.getRole());
    } finally {
      owner.shutdownNow();
      person.shutdownNow();
    }
  }

  @Test
  void problemNamesAllBadFields() {
    var owner = Example.connect("OWNER");
    try {
      var problem = problem(() -> Example.invitations(owner).createInvitation(creation("acme", "anna")));
      assertEquals(Status.Code.INVALID_ARGUMENT, problem.code());
      assertEquals(ErrorReason.FIELD_INVALID.name(), problem.reason());
      var malformed = FieldReason.FIELD_MALFORMED.name();
      assertEquals(
          Map.of("parent", malformed, "invitation.email", malformed),
          problem.fields().stream().collect(Collectors.toMap(FieldViolation::getField, FieldViolation::getReason)));
    } finally {
      owner.shutdownNow();
    }
  }

  @Test
  void problemSaysHowLongToWait() {
    var owner = Example.connect("OWNER");
    try {
      var email = UUID.randomUUID() + "@example.com";
      var invitation = Example.invitations(owner).createInvitation(creation(Example.ORGANIZATION, email));
      var again = ResendInvitationRequest.newBuilder().setName(invitation.getName()).build();
      var problem = problem(() -> Example.invitations(owner).resendInvitation(again));
      // grpc-java repeats a call of any code that is answered with grpc-retry-pushback-ms: then this is DEADLINE_EXCEEDED
      assertEquals(Status.Code.RESOURCE_EXHAUSTED, problem.code(), problem.message());
      assertEquals(ErrorReason.RESENT_TOO_SOON.name(), problem.reason());
      var wait = problem.retryAfter().orElseThrow();
      assertTrue(wait.toMillis() > 0 && wait.compareTo(Duration.ofMinutes(1)) <= 0, wait.toString());
    } finally {
      owner.shutdownNow();
    }
  }

  @Test
  void callOutlastsAnUnavailableService() {
    var address = Example.env("FLAKY_ADDRESS");
    Supplier<String> token = () -> Example.env("OWNER_TOKEN");
    var plain = InsecureChannelCredentials.create();
    var bare = Grpc.newChannelBuilder(address, plain).intercept(Invitations.bearer(token)).build();
    var channel = Invitations.connect(address, plain, token);
    try {
      assertEquals(Status.Code.UNAVAILABLE, problem(() -> organization(bare)).code());
      assertEquals(Example.ORGANIZATION, organization(channel).getName());
    } finally {
      bare.shutdownNow();
      channel.shutdownNow();
    }
  }

  @Test
  void eachRowOfABatchHasAResult() {
    var owner = Example.connect("OWNER");
    try {
      var email = UUID.randomUUID() + "@example.com";
      var batch =
          BatchCreateInvitationsRequest.newBuilder()
              .setParent(Example.ORGANIZATION)
              .addRequests(creation("", email))
              .addRequests(creation("", "anna"))
              .setRequestId(UUID.randomUUID().toString())
              .build();
      var results = Example.invitations(owner).batchCreateInvitations(batch).getResultsList();
      assertEquals(email, results.get(0).getInvitation().getEmail());
      var problem = Problem.of(StatusProto.toStatusRuntimeException(results.get(1).getStatus()));
      assertEquals(ErrorReason.FIELD_INVALID.name(), problem.reason());
      assertEquals("requests[1].invitation.email", problem.fields().get(0).getField());
    } finally {
      owner.shutdownNow();
    }
  }

  /** Streams end after a second here, each with two messages where nothing happens. */
  @Test
  void watchGoesOnAfterTheEndOfAStream() throws InterruptedException {
    var owner = Example.connect("OWNER");
    try {
      var quiet = new AtomicInteger();
      var name = new AtomicReference<String>();
      var request = WatchEventsRequest.newBuilder().setParent(Example.ORGANIZATION).setFilter("kind = INVITED");
      Watch.events(
          owner,
          request.build(),
          message -> {
            if (quiet.incrementAndGet() == 5) {
              var email = UUID.randomUUID() + "@example.com";
              name.set(Example.invitations(owner).createInvitation(creation(Example.ORGANIZATION, email)).getName());
            }
            return message.getEventsList().stream().noneMatch(event -> event.getInvitation().equals(name.get()));
          });
      var old = request.setResumeToken("x").build();
      assertEquals(
          ErrorReason.RESUME_TOKEN_INVALID.name(), problem(() -> Watch.events(owner, old, message -> true)).reason());
    } finally {
      owner.shutdownNow();
    }
  }

  private static CreateInvitationRequest creation(String parent, String email) {
    return CreateInvitationRequest.newBuilder()
        .setParent(parent)
        .setInvitation(Invitation.newBuilder().setEmail(email))
        .build();
  }

  private static Organization organization(Channel channel) {
    return OrganizationServiceGrpc.newBlockingStub(channel)
        .withDeadlineAfter(30, TimeUnit.SECONDS)
        .getOrganization(GetOrganizationRequest.newBuilder().setName(Example.ORGANIZATION).build());
  }

  private static Problem problem(Executable call) {
    return Problem.of(assertThrows(StatusRuntimeException.class, call));
  }
}
