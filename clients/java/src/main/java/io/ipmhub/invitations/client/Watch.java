package io.ipmhub.invitations.client;

import io.grpc.Channel;
import io.grpc.Context;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.ipmhub.invitations.v1.OrganizationServiceGrpc;
import io.ipmhub.invitations.v1.WatchEventsRequest;
import io.ipmhub.invitations.v1.WatchEventsResponse;
import java.time.Duration;
import java.util.Set;
import java.util.function.Predicate;

/** An organization's events, over as many streams as it takes. */
public final class Watch {
  /** The next stream would fail the same way. */
  private static final Set<Status.Code> FINAL =
      Set.of(
          Status.Code.INVALID_ARGUMENT,
          Status.Code.OUT_OF_RANGE,
          Status.Code.FAILED_PRECONDITION,
          Status.Code.UNIMPLEMENTED,
          Status.Code.UNAUTHENTICATED,
          Status.Code.PERMISSION_DENIED,
          Status.Code.NOT_FOUND);

  private Watch() {}

  /**
   * Gives each message to {@code wantsMore}, until it wants no more. Each stream goes on after the newest token. Throws
   * an error that the next stream would give again.
   */
  public static void events(Channel channel, WatchEventsRequest first, Predicate<WatchEventsResponse> wantsMore)
      throws InterruptedException {
    var request = first.toBuilder();
    var wait = 0L;
    while (true) {
      var told = 0L;
      var stream = Context.current().withCancellation();
      var before = stream.attach();
      try {
        var messages = OrganizationServiceGrpc.newBlockingStub(channel).watchEvents(request.build());
        while (messages.hasNext()) {
          var message = messages.next();
          wait = 0;
          if (!message.getResumeToken().isEmpty()) {
            request.setResumeToken(message.getResumeToken()).setSendInitial(false);
          }
          if (!wantsMore.test(message)) {
            return;
          }
        }
      } catch (StatusRuntimeException error) {
        if (FINAL.contains(error.getStatus().getCode())) {
          throw error;
        }
        told = Problem.of(error).retryAfter().map(Duration::toMillis).orElse(0L);
      } finally {
        stream.detach(before);
        stream.cancel(null);
      }
      Thread.sleep(Math.max(wait, told));
      wait = Math.min(Math.max(2 * wait, 500), 5000);
    }
  }
}
