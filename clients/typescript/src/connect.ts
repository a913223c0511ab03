// Calls of one caller from Node: gRPC over HTTP/2.
import type { Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { bearer } from "./bearer.js";
import { retry } from "./retry.js";

/** `address` is a URL, such as `http://127.0.0.1:50051`. Every call has a deadline, in which it may be repeated. */
export function connect(address: string, token: () => string | Promise<string>): Transport {
  const interceptors = [retry, bearer(token)];
  return createGrpcTransport({ baseUrl: address, interceptors, defaultTimeoutMs: 20_000 });
}
