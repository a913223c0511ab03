package io.ipmhub.invitations.client;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What the service says with an error.
 *
 * @param reason for programs: a name of ErrorReason, and empty where the error did not come from the service
 * @param metadata names the resources
 * @param fields all bad fields of the request; the reason of each is a name of FieldReason
 * @param retryAfter how long to wait, where waiting helps
 */
public record Problem(
    Status.Code code,
    String message,
    String reason,
    Map<String, String> metadata,
    List<BadRequest.FieldViolation> fields,
    Optional<Duration> retryAfter) {

  /** Reads the error of a call. */
  public static Problem of(StatusRuntimeException error) {
    var info = ErrorInfo.getDefaultInstance();
    var bad = BadRequest.getDefaultInstance();
    var retryAfter = Optional.<Duration>empty();
    try {
      for (Any detail : StatusProto.fromThrowable(error).getDetailsList()) {
        if (detail.is(ErrorInfo.class)) {
          info = detail.unpack(ErrorInfo.class);
        } else if (detail.is(BadRequest.class)) {
          bad = detail.unpack(BadRequest.class);
        } else if (detail.is(RetryInfo.class)) {
          var delay = detail.unpack(RetryInfo.class).getRetryDelay();
          retryAfter = Optional.of(Duration.ofSeconds(delay.getSeconds(), delay.getNanos()));
        }
      }
    } catch (InvalidProtocolBufferException broken) {
      throw new IllegalArgumentException("the details of the error are broken", broken);
    }
    var status = error.getStatus();
    return new Problem(
        status.getCode(),
        status.getDescription(),
        info.getReason(),
        info.getMetadataMap(),
        bad.getFieldViolationsList(),
        retryAfter);
  }
}
