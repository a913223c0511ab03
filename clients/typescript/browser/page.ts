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
import { watch } from "../src/watch.js";

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

  /** The first event of an invitation, by gRPC-Web. */
  async watched({ gateway, token }: Caller): Promise<string> {
    const transport = connect(gateway, () => token);
    for await (const { events } of watch(transport, { parent: "organizations/acme", filter: "kind = INVITED" })) {
      if (events[0]) return events[0].invitation;
      await createClient(InvitationService, transport)
        .createInvitation({ parent: "organizations/acme", invitation: { email: `${crypto.randomUUID()}@example.com` } });
    }
    return "";
  },

  /** The status, the content type and the first lines of the same by `fetch`, after the event with this id. */
  async fetched({ gateway, token }: Caller, lastEventId: string): Promise<[number, string | null, string]> {
    const headers = { authorization: `Bearer ${token}`, accept: "text/event-stream", "last-event-id": lastEventId };
    const answer = await fetch(`${gateway}/v1/organizations/acme/events:watch`, { headers });
    const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
    const first = await reader?.read();
    await reader?.cancel();
    return [answer.status, answer.headers.get("content-type"), first?.value ?? ""];
  },

  /** What an EventSource says of itself, which cannot send a token. */
  async eventSource({ gateway }: Caller): Promise<number> {
    const source = new EventSource(`${gateway}/v1/organizations/acme/events:watch`);
    return new Promise((resolve) => {
      source.onerror = () => resolve(source.readyState);
    });
  },
};

declare global {
  var invitations: typeof calls;
}
globalThis.invitations = calls;
