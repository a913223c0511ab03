package io.ipmhub.invitations.client;

import com.google.gson.Gson;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ChannelCredentials;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.stub.MetadataUtils;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.function.Supplier;

/** Connects to the invitation service of IPMHub. The generated code is in io.ipmhub.invitations.v1. */
public final class Invitations {
  private Invitations() {}

  /**
   * A channel whose calls carry the token and are repeated by the retry policy. The token is asked for before each
   * call, so that it can be renewed. Give each call a deadline: until then, it waits for the service.
   */
  public static ManagedChannel connect(String address, ChannelCredentials credentials, Supplier<String> token) {
    return Grpc.newChannelBuilder(address, credentials)
        .intercept(bearer(token))
        .defaultServiceConfig(serviceConfig())
        .build();
  }

  static ClientInterceptor bearer(Supplier<String> token) {
    return new ClientInterceptor() {
      @Override
      public <Q, A> ClientCall<Q, A> interceptCall(MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
        var metadata = new Metadata();
        metadata.put(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + token.get());
        return MetadataUtils.newAttachHeadersInterceptor(metadata).interceptCall(method, options, next);
      }
    };
  }

  @SuppressWarnings("unchecked")
  private static Map<String, ?> serviceConfig() {
    var file = Invitations.class.getResourceAsStream("/service-config.json");
    return new Gson().fromJson(new InputStreamReader(file, StandardCharsets.UTF_8), Map.class);
  }
}
