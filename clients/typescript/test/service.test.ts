// Against the service itself: `../../tests/clients/run npm test`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { InvitationService } from "../gen/ipmhub/invitations/v1/invitation_service_pb.js";
import { Role } from "../gen/ipmhub/invitations/v1/role_pb.js";
import { connect } from "../src/connect.js";
import { environment } from "../src/environment.js";
import { mailbox } from "../src/mailbox.js";
import { problem } from "../src/problem.js";
import { requestId, sevenSteps } from "../src/seven-steps.js";
import { watch } from "../src/watch.js";

const { address, ownerToken, personToken, email, username, mailbox: folder } = environment();
const owner = connect(address, () => ownerToken);
const invitations = createClient(InvitationService, owner);
const parent = "organizations/acme";

const failed = async (call: Promise<unknown>) => problem(await call.then(() => assert.fail("it succeeded"), (e) => e));

test("the seven steps end with a membership", async () => {
  const person = { transport: connect(address, () => personToken), email, username };
  const member = await sevenSteps(owner, person, mailbox(folder));
  assert.equal(member.name, `${parent}/members/${username}`);
  assert.equal(member.role, Role.CONTRIBUTOR);
});

test("a repeated change with its request id is the same change", async () => {
  const change = { parent, invitation: { email: "bert@example.com" }, requestId: requestId() };
  const first = await invitations.createInvitation(change);
  assert.equal((await invitations.createInvitation(change)).name, first.name);
  const again = await failed(invitations.createInvitation({ ...change, requestId: requestId() }));
  assert.equal(again.reason, "OPEN_INVITATION_EXISTS");
});

test("an error has its reason and all bad fields, each with a reason of its own", async () => {
  const bad = await failed(invitations.createInvitation({ parent: "acme", invitation: { email: "no address" } }));
  assert.equal(bad.code, "InvalidArgument");
  assert.equal(bad.reason, "FIELD_INVALID");
  assert.deepEqual(bad.fields.map(({ field }) => field), ["parent", "invitation.email"]);
  for (const { reason, rule } of bad.fields) {
    assert.match(reason, /^FIELD_/);
    assert.match(rule, /^must be /);
  }
});

test("an error that waiting helps against says how long", async () => {
  const { name } = await invitations.createInvitation({ parent, invitation: { email: "carl@example.com" } });
  const soon = await failed(invitations.resendInvitation({ name, requestId: requestId() }));
  assert.equal(soon.code, "ResourceExhausted");
  assert.equal(soon.reason, "RESENT_TOO_SOON");
  assert.ok(soon.retryAfterMs !== undefined && soon.retryAfterMs > 0, String(soon.retryAfterMs));
});

test("each row of a batch has a result", async () => {
  const requests = ["dora@example.com", "no address"].map((email) => ({ invitation: { email } }));
  const batch = { parent, requests, requestId: requestId() };
  const [made, refused] = (await invitations.batchCreateInvitations(batch)).results.map(({ result }) => result);
  assert.ok(made?.case === "invitation" && refused?.case === "status");
  assert.equal(made.value.email, "dora@example.com");
  const { code, reason, fields } = problem(refused.value);
  assert.deepEqual([code, reason], ["InvalidArgument", "FIELD_INVALID"]);
  assert.deepEqual(fields.map(({ field }) => field), ["requests[1].invitation.email"]);
});

test("watching goes on after the end of a stream", async () => {
  // streams end after a second here, each with two messages where nothing happens
  let [quiet, name] = [0, ""];
  for await (const { events } of watch(owner, { parent, filter: "kind = INVITED" })) {
    if (++quiet === 5) ({ name } = await invitations.createInvitation({ parent, invitation: { email: "eve@example.com" } }));
    if (events.some(({ invitation }) => invitation === name)) break;
  }
  const old = await failed(watch(owner, { parent, resumeToken: "x" }).next());
  assert.equal(old.reason, "RESUME_TOKEN_INVALID");
});

test("an error without a status of the service is one, too", async () => {
  const closed = createClient(InvitationService, connect("http://127.0.0.1:1", () => ownerToken));
  const call = closed.getInvitation({ name: `${parent}/invitations/1` }, { timeoutMs: 100 });
  const { code, reason, fields } = await failed(call);
  assert.deepEqual([code, reason, fields], ["DeadlineExceeded", undefined, []]);
});
