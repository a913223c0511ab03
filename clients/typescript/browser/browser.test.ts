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
