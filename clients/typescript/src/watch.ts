// An organization's events, over as many streams as it takes.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  OrganizationService,
  type WatchEventsResponse,
  WatchEventsRequestSchema,
} from "../gen/ipmhub/invitations/v1/organization_service_pb.js";
import { problem } from "./problem.js";

/** The next stream would fail the same way. */
const final: Code[] = [
  Code.InvalidArgument,
  Code.OutOfRange,
  Code.FailedPrecondition,
  Code.Unimplemented,
  Code.Unauthenticated,
  Code.PermissionDenied,
  Code.NotFound,
];

/** Each stream goes on after the newest token. Throws an error that the next stream would give again. */
export async function* watch(
  transport: Transport,
  request: MessageInitShape<typeof WatchEventsRequestSchema>,
  signal?: AbortSignal,
): AsyncGenerator<WatchEventsResponse> {
  const next = create(WatchEventsRequestSchema, request);
  // whoever breaks off leaves no stream open
  const end = new AbortController();
  // without a deadline
  const options = { timeoutMs: 0, signal: signal ? AbortSignal.any([signal, end.signal]) : end.signal };
  try {
    for (let wait = 0; !signal?.aborted; wait = Math.min(Math.max(2 * wait, 500), 5000)) {
      let told = 0;
      try {
        for await (const message of createClient(OrganizationService, transport).watchEvents(next, options)) {
          wait = 0;
          if (message.resumeToken) Object.assign(next, { resumeToken: message.resumeToken, sendInitial: false });
          yield message;
        }
      } catch (error) {
        const failure = ConnectError.from(error);
        if (final.includes(failure.code)) throw failure;
        told = problem(failure).retryAfterMs ?? 0;
      }
      await new Promise((resolve) => setTimeout(resolve, Math.max(wait, told)));
    }
  } finally {
    end.abort();
  }
}
