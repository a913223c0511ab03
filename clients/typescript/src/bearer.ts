import type { Interceptor } from "@connectrpc/connect";

/** Puts the caller's access token on each call; it is asked for each time, so that a fresh one can be given. */
export const bearer = (token: () => string | Promise<string>): Interceptor => (next) => async (request) => {
  request.header.set("authorization", `Bearer ${await token()}`);
  return next(request);
};
