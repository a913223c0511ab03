// The retry policy, against a server that fails as it is told: the service itself does not do so on request.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { connectNodeAdapter, createGrpcTransport } from "@connectrpc/connect-node";
import { RetryInfoSchema } from "../gen/google/rpc/error_details_pb.js";
import { InvitationService } from "../gen/ipmhub/invitations/v1/invitation_service_pb.js";
import { policy, retry } from "../src/retry.js";

const soon = { "grpc-retry-pushback-ms": "10" };
const unavailable = (headers = {}) => new ConnectError("not now", Code.Unavailable, headers);

/** Runs `call` at a server that answers with these errors, one a call, and with success after that. */
async function against(
  errors: ConnectError[],
  interceptors: Interceptor[],
  call: (requestId: string) => void = () => {},
  timeoutMs = 10_000,
) {
  const requests: string[] = [];
  const server = createServer(
    connectNodeAdapter({
      routes: (router) =>
        router.service(InvitationService, {
          createInvitation: ({ requestId, invitation }) => {
            requests.push(`${requestId} ${invitation?.email}`);
            const error = errors[requests.length - 1];
            if (error) throw error;
            return { name: "organizations/acme/invitations/1" };
          },
        }),
    }),
  ).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const baseUrl = `http://127.0.0.1:${port}`;
  const client = createClient(InvitationService, createGrpcTransport({ baseUrl, interceptors, idleConnectionTimeoutMs: 1 }));
  const invitation = { email: "anna@example.com" };
  const start = Date.now();
  try {
    const answer = client.createInvitation({ parent: "organizations/acme", invitation, requestId: "1" }, { timeoutMs });
    const code = await answer.then(() => "OK" as const, (error) => Code[ConnectError.from(error).code]);
    return { code, requests, ms: Date.now() - start };
  } finally {
    server.close();
  }
}

test("a call that fails twice with UNAVAILABLE succeeds, with the same request each time", async () => {
  const { code, requests } = await against([unavailable(soon), unavailable(soon)], [retry]);
  assert.equal(code, "OK");
  assert.deepEqual(requests, Array(3).fill("1 anna@example.com"));
});

test("the control: without the interceptor it fails", async () => {
  const { code, requests } = await against([unavailable(soon), unavailable(soon)], []);
  assert.equal(code, "Unavailable");
  assert.equal(requests.length, 1);
});

test("it waits as long as the server says, and else by its own backoff", async () => {
  const told = await against([unavailable({ "grpc-retry-pushback-ms": "900" })], [retry]);
  assert.ok(told.ms >= 900, `${told.ms} ms`);
  const info = { desc: RetryInfoSchema, value: { retryDelay: durationFromMs(900) } };
  const advised = await against([new ConnectError("", Code.Unavailable, undefined, [info])], [retry]);
  assert.ok(advised.ms >= 900, `${advised.ms} ms`);
  const own = await against([unavailable()], [retry]);
  assert.ok(own.ms >= 400 && own.ms < 900, `${own.ms} ms`);
});

test("a negative pushback, another code and the last attempt end it", async () => {
  const never = await against([unavailable({ "grpc-retry-pushback-ms": "-1" })], [retry]);
  assert.deepEqual([never.code, never.requests.length], ["Unavailable", 1]);
  const other = await against([new ConnectError("no", Code.ResourceExhausted, soon)], [retry]);
  assert.deepEqual([other.code, other.requests.length], ["ResourceExhausted", 1]);
  const last = await against(Array(9).fill(unavailable(soon)), [retry]);
  assert.deepEqual([last.code, last.requests.length], ["Unavailable", 5]);
});

test("the deadline holds for all attempts together", async () => {
  const { code, requests, ms } = await against(Array(9).fill(unavailable()), [retry], undefined, 700);
  assert.equal(code, "DeadlineExceeded");
  assert.equal(requests.length, 2);
  assert.ok(ms < 1500, `${ms} ms`);
});

test("its numbers are those of the service config", async () => {
  const file = new URL("../../service-config.json", import.meta.url);
  const { retryPolicy } = JSON.parse(await readFile(file, "utf8")).methodConfig[0];
  const ms = (duration: string) => 1000 * Number.parseFloat(duration);
  assert.deepEqual(policy, {
    maxAttempts: retryPolicy.maxAttempts,
    initialBackoffMs: ms(retryPolicy.initialBackoff),
    maxBackoffMs: ms(retryPolicy.maxBackoff),
    backoffMultiplier: retryPolicy.backoffMultiplier,
  });
  assert.deepEqual(retryPolicy.retryableStatusCodes, ["UNAVAILABLE"]);
});
