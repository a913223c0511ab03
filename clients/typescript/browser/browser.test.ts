// From a page in Chromium, by gRPC-Web through Envoy, to the service: `../../tests/clients/run npm run browser`.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { environment } from "../src/environment.js";
import { mailbox } from "../src/mailbox.js";
import type { Inbox } from "../src/seven-steps.js";
import type { Caller } from "./page.js";
import { launchBrowser, servePage, startGateway } from "./rig.js";

const { address, ownerToken, personToken, email, username, mailbox: folder } = environment();
const stops: (() => unknown)[] = [];
let browser: Browser;
let ours: string;
let foreign: string;
let owner: Caller;
let person: Caller;

before(async () => {
  const pages = await Promise.all([servePage(), servePage()]);
  stops.push(...pages.map(({ close }) => close));
  [ours, foreign] = [pages[0].origin, pages[1].origin];
  const gateway = await startGateway(new URL(address).host, ours);
  stops.push(gateway.stop);
  owner = { gateway: gateway.url, token: ownerToken };
  person = { gateway: gateway.url, token: personToken };
  browser = await launchBrowser();
  stops.push(() => browser.close());
});
after(() => Promise.all(stops.map((stop) => stop())));

/** A page of this origin, and what its console says. */
async function open(origin: string): Promise<{ page: Page; said: string[] }> {
  const page = await browser.newPage();
  const said: string[] = [];
  page.on("console", (message) => said.push(message.text()));
  await page.goto(`${origin}/index.html`);
  return { page, said };
}

test("the seven steps from a page end with a membership", async () => {
  const { page } = await open(ours);
  await page.exposeFunction("inbox", mailbox(folder));
  const invited = { ...person, email, username };
  const callers = { owner, invited };
  const member = await page.evaluate(({ owner, invited }) => {
    return invitations.steps(owner, invited, (globalThis as unknown as { inbox: Inbox }).inbox);
  }, callers);
  assert.equal(member, `organizations/acme/members/${username} CONTRIBUTOR`);
});

test("a page reads the details of an error", async () => {
  const { page } = await open(ours);
  const bad = await page.evaluate((caller) => invitations.badInvitation(caller), owner);
  assert.equal(bad.code, "InvalidArgument");
  assert.equal(bad.reason, "FIELD_INVALID");
  assert.deepEqual(bad.fields.map(({ field }) => field), ["parent", "invitation.email"]);
  for (const { reason } of bad.fields) assert.match(reason, /^FIELD_/);
});

test("a page watches, by gRPC-Web and by server-sent events", async () => {
  const { page } = await open(ours);
  const name = await page.evaluate((caller) => invitations.watched(caller), owner);
  assert.match(name, /^organizations\/acme\/invitations\//);
  const [status, kind, text] = await page.evaluate((caller) => invitations.fetched(caller, ""), owner);
  assert.deepEqual([status, kind], [200, "text/event-stream"]);
  const id = /^id: (\S+)\ndata: \{/.exec(text)?.[1] ?? assert.fail(text);
  const [resumed, , more] = await page.evaluate(({ owner, id }) => invitations.fetched(owner, id), { owner, id });
  assert.equal(resumed, 200);
  assert.match(more, /^id: /);
  const [old, kindOfError] = await page.evaluate((caller) => invitations.fetched(caller, "x"), owner);
  assert.deepEqual([old, kindOfError], [400, "application/json"]);
  // it cannot send a token, is told so by 401, and gives up
  assert.equal(await page.evaluate((caller) => invitations.eventSource(caller), owner), 2);
});

test("the browser refuses a page of a foreign origin, and only that", async () => {
  // the control: the same page from the origin that the gateway allows
  const allowed = await open(ours);
  const name = await allowed.page.evaluate((caller) => invitations.username(caller), person);
  assert.equal(name, `accounts/${username}`);

  const refused = await open(foreign);
  const problem = await refused.page.evaluate((caller) => invitations.username(caller), person);
  assert.ok(typeof problem === "object" && problem.reason === undefined, JSON.stringify(problem));
  assert.ok(refused.said.some((line) => line.includes("blocked by CORS policy")), refused.said.join("\n"));
});
