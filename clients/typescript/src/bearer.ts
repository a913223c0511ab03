import type { Interceptor } from "@connectrpc/connect";

/** Puts the caller's access token on each call. */
export const bearer = (token: string): Interceptor => (next) => (request) => {
  request.header.set("authorization", `Bearer ${token}`);
  return next(request);
};
