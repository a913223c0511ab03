// The seven steps, from an email address to a membership; the same in Node and in a browser.
import { createClient, type Transport } from "@connectrpc/connect";
import { AccountService } from "../gen/ipmhub/invitations/v1/account_service_pb.js";
import { InvitationService } from "../gen/ipmhub/invitations/v1/invitation_service_pb.js";
import type { Member } from "../gen/ipmhub/invitations/v1/organization_pb.js";
import { OrganizationService } from "../gen/ipmhub/invitations/v1/organization_service_pb.js";
import { Role } from "../gen/ipmhub/invitations/v1/role_pb.js";

export interface Person {
  transport: Transport;
  email: string;
  username: string;
}

/** The newest email with these words, once it is there. */
export type Inbox = (words: string) => Promise<string>;

/** A new id for each change: whoever repeats the call with it changes nothing twice. */
export const requestId = () => crypto.randomUUID();

export async function sevenSteps(owner: Transport, person: Person, inbox: Inbox): Promise<Member> {
  const { email, username } = person;
  const parent = "organizations/acme";
  const organization = createClient(InvitationService, owner);
  const invitee = createClient(InvitationService, person.transport);

  // 1. An administrator invites a person by email.
  await organization.createInvitation({ parent, invitation: { email }, requestId: requestId() });

  // 2. The person creates an account and picks a username.
  await createClient(AccountService, person.transport).createAccount({ accountId: username, requestId: requestId() });

  // 3. The person requests access with the code of the email.
  const [code] = /([0-9A-Z]{4}-){6}[0-9A-Z]{4}/.exec(await inbox(`X-Envelope-To: ${email}`)) ?? [];
  await invitee.requestAccess({ code: code ?? "", requestId: requestId() });

  // 4. The organization is told the account's email address and username.
  await inbox(`Subject: ${username} requests access`);

  // 5. An administrator invites that account, with a role.
  await organization.offerMembership({ parent, username, email, role: Role.CONTRIBUTOR, requestId: requestId() });

  // 6. The person gets the organization invitation by email.
  await inbox(`Hello ${username},`);

  // 7. The person accepts, and has access.
  const { invitations } = await invitee.listAccountInvitations({ parent: "accounts/me" });
  const offer = invitations.find(({ name }) => name.startsWith(`${parent}/`));
  await invitee.acceptInvitation({ name: offer?.name ?? "", requestId: requestId() });
  return createClient(OrganizationService, owner).getMember({ name: `${parent}/members/${username}` });
}
