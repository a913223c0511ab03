// The seven steps against a running service, and a call that fails.
import { createClient } from "@connectrpc/connect";
import { InvitationService } from "../gen/ipmhub/invitations/v1/invitation_service_pb.js";
import { Role } from "../gen/ipmhub/invitations/v1/role_pb.js";
import { connect } from "./connect.js";
import { environment } from "./environment.js";
import { mailbox } from "./mailbox.js";
import { problem } from "./problem.js";
import { sevenSteps } from "./seven-steps.js";

const { address, ownerToken, personToken, email, username, mailbox: folder } = environment();
const owner = connect(address, () => ownerToken);

try {
  const person = { transport: connect(address, () => personToken), email, username };
  const member = await sevenSteps(owner, person, mailbox(folder));
  console.log(`${member.name} is a member with the role ${Role[member.role]}`);

  // two fields at once are wrong
  const invitation = { email: "no address" };
  await createClient(InvitationService, owner).createInvitation({ parent: "acme", invitation });
} catch (error) {
  const { code, reason, message, fields, retryAfterMs } = problem(error);
  console.log(`${code}, ${reason ?? "no reason"}: ${message}`);
  for (const { field, reason, rule } of fields) console.log(`  ${field} ${reason}: ${rule}`);
  if (retryAfterMs !== undefined) console.log(`  try again in ${retryAfterMs} ms`);
}
