// Calls from a page: gRPC-Web through the gateway. All but the transport is as in Node.
import { createClient, type Transport } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { AccountService } from "../gen/ipmhub/invitations/v1/account_service_pb.js";
import { InvitationService } from "../gen/ipmhub/invitations/v1/invitation_service_pb.js";
import { Role } from "../gen/ipmhub/invitations/v1/role_pb.js";
import { bearer } from "../src/bearer.js";
import { type Problem, problem } from "../src/problem.js";
import { retry } from "../src/retry.js";
import { type Inbox, sevenSteps } from "../src/seven-steps.js";

export function connect(gateway: string, token: () => string | Promise<string>): Transport {
  const interceptors = [retry, bearer(token)];
  return createGrpcWebTransport({ baseUrl: gateway, interceptors, defaultTimeoutMs: 20_000 });
}

export interface Caller {
  gateway: string;
  token: string;
}

const calls = {
  async steps(owner: Caller, person: Caller & { email: string; username: string }, inbox: Inbox): Promise<string> {
    const invited = { ...person, transport: connect(person.gateway, () => person.token) };
    const member = await sevenSteps(connect(owner.gateway, () => owner.token), invited, inbox);
    return `${member.name} ${Role[member.role]}`;
  },

  /** What is wrong with an invitation that has two bad fields. */
  async badInvitation({ gateway, token }: Caller): Promise<Problem> {
    const client = createClient(InvitationService, connect(gateway, () => token));
    const invitation = { email: "no address" };
    return client.createInvitation({ parent: "acme", invitation }).then(() => Promise.reject("it was taken"), problem);
  },

  /** The caller's username, or what kept it from being read. */
  async username({ gateway, token }: Caller): Promise<string | Problem> {
    const client = createClient(AccountService, connect(gateway, () => token));
    return client.getAccount({ name: "accounts/me" }, { timeoutMs: 3000 }).then(({ name }) => name, problem);
  },
};

declare global {
  var invitations: typeof calls;
}
globalThis.invitations = calls;
