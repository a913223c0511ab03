// Connect knows no service config: this is the retry policy of ../../service-config.json as an interceptor.
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { problem } from "./problem.js";

export const policy = { maxAttempts: 5, initialBackoffMs: 500, maxBackoffMs: 5000, backoffMultiplier: 2 };

/** Repeats a call that failed with UNAVAILABLE, with the same request and so the same `requestId`; never a stream. */
export const retry: Interceptor = (next) => async (request) => {
  for (let attempt = 1, backoff = policy.initialBackoffMs; ; attempt++) {
    try {
      return await next(request);
    } catch (error) {
      const failure = ConnectError.from(error);
      // the server's word, where it gives one; a negative number says: do not try again
      const told = failure.metadata.get("grpc-retry-pushback-ms") ?? problem(failure).retryAfterMs;
      const wait = Number(told ?? backoff * (0.8 + 0.4 * Math.random()));
      const again = !request.stream && failure.code === Code.Unavailable && attempt < policy.maxAttempts && wait >= 0;
      if (!again) throw failure;
      await pause(wait, request.signal);
      backoff = Math.min(backoff * policy.backoffMultiplier, policy.maxBackoffMs);
    }
  }
};

/** Ends with the call's deadline, and then fails as it does. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
  signal.throwIfAborted();
}
