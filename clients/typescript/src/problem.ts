// Reads what a failed call says for programs: the details of its status.
import { isMessage } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.js";
import { type Status, StatusSchema } from "../gen/google/rpc/status_pb.js";
import type { ErrorReason } from "../gen/ipmhub/invitations/v1/error_reason_pb.js";

export interface Problem {
  code: keyof typeof Code;
  /** One of the contract; a newer service may send others: treat these by `code`. `undefined`: not from the service. */
  reason: keyof typeof ErrorReason | (string & {}) | undefined;
  /** What the reason is about, such as the name of a resource. */
  metadata: Record<string, string>;
  /** For people. */
  message: string;
  /** All bad fields of the request, each with its reason and its rule. */
  fields: { field: string; reason: string; rule: string }[];
  /** How long to wait before the call is repeated, where waiting helps. */
  retryAfterMs: number | undefined;
}

/** Of what a call threw, or of the status of a row. */
export function problem(error: unknown): Problem {
  const failure = isMessage(error, StatusSchema) ? failed(error) : ConnectError.from(error);
  const [info] = failure.findDetails(ErrorInfoSchema);
  const [bad] = failure.findDetails(BadRequestSchema);
  const [retry] = failure.findDetails(RetryInfoSchema);
  return {
    code: Code[failure.code] as keyof typeof Code,
    reason: info?.reason,
    metadata: info?.metadata ?? {},
    message: failure.rawMessage,
    fields: (bad?.fieldViolations ?? []).map(({ field, reason, description }) => ({ field, reason, rule: description })),
    retryAfterMs: retry?.retryDelay && durationMs(retry.retryDelay),
  };
}

function failed({ code, message, details }: Status): ConnectError {
  const failure = new ConnectError(message, code);
  failure.details = details.map(({ typeUrl, value }) => ({ type: typeUrl.replace(/.*\//, ""), value }));
  return failure;
}
