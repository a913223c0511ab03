package io.ipmhub.invitations.client;

import com.google.gson.Gson;
import io.grpc.ChannelCredentials;
import io.grpc.ClientInterceptor;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.stub.MetadataUtils;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** Connects to the invitation service of IPMHub. The generated code is in io.ipmhub.invitations.v1. */
public final class Invitations {
  private Invitations() {}

  /**
   * A channel whose calls carry the token and are repeated by the retry policy. Give each call a deadline: until then, it
   * waits for the service.
   */
  public static ManagedChannel connect(String address, ChannelCredentials credentials, String token) {
    return Grpc.newChannelBuilder(address, credentials)
        .intercept(bearer(token))
        .defaultServiceConfig(serviceConfig())
        .build();
  }

  static ClientInterceptor bearer(String token) {
    var metadata = new Metadata();
    metadata.put(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + token);
    return MetadataUtils.newAttachHeadersInterceptor(metadata);
  }

  @SuppressWarnings("unchecked")
  private static Map<String, ?> serviceConfig() {
    var file = Invitations.class.getResourceAsStream("/service-config.json");
    return new Gson().fromJson(new InputStreamReader(file, StandardCharsets.UTF_8), Map.class);
  }
}
