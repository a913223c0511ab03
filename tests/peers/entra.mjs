// Issuers shaped like Microsoft Entra's on panva's oidc-provider: one for each tenant under /{tid}/v2.0, one key set and
// one discovery document for all. Usage: node entra.mjs FOLDER-WITH-node_modules; prints its port.
import { generateKeyPairSync, randomUUID } from "node:crypto";
import http from "node:http";
import { pathToFileURL } from "node:url";

const { default: Provider } = await import(pathToFileURL(`${process.argv[2]}/node_modules/oidc-provider/lib/index.js`));

// The same person id in both tenants, and one address: what tells the two apart is the tenant, and who verified it.
const OID = "aaaaaaaa-0000-4000-8000-000000000001";
const TENANTS = {
  "11111111-2222-4333-8444-555555555555": { anna: { oid: OID, email: "anna@contoso.example", xms_edov: true } },
  "66666666-7777-4888-8999-000000000000": { mallory: { oid: OID, email: "anna@contoso.example", xms_edov: false } },
};
// as JWK from the start: the export of a key object can hang in Node 20
const jwk = { format: "jwk" };
const { privateKey, publicKey } = generateKeyPairSync("rsa", {
  modulusLength: 2048, publicKeyEncoding: jwk, privateKeyEncoding: jwk,
});
const key = { kid: "entra-1", alg: "RS256", use: "sig" };

function provider(base, tid, people) {
  const resource = (audience, scope) => ({
    audience, scope, accessTokenFormat: "jwt", accessTokenTTL: 600, jwt: { sign: { alg: "RS256" } },
  });
  const resources = {
    "api://ipmhub": resource("api://ipmhub", "access_as_user"),
    "api://ipmhub-internal": resource("api://ipmhub-internal", "invitations.read invitations.write"),
  };
  return new Provider(`${base}/${tid}/v2.0`, {
    clients: [
      { client_id: "hub", client_secret: "secret", redirect_uris: ["http://127.0.0.1/callback"] },
      { client_id: "gateway", client_secret: "secret", redirect_uris: [], response_types: [], grant_types: ["client_credentials"] },
    ],
    jwks: { keys: [{ ...privateKey, ...key }] },
    cookies: { keys: [randomUUID()] },
    pkce: { required: () => false },
    conformIdTokenClaims: false,
    claims: { openid: ["sub", "tid", "oid"], email: ["email", "xms_edov"] },
    findAccount: (_, id) => people[id] && { accountId: id, claims: () => ({ sub: id, tid, ...people[id] }) },
    extraTokenClaims: (_, token) => ({
      tid, ver: "2.0",
      ...(token.accountId ? { ...people[token.accountId], scp: token.scope } : { idtyp: "app", oid: randomUUID() }),
    }),
    features: {
      devInteractions: { enabled: true },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true, defaultResource: () => "api://ipmhub", useGrantedResource: () => true,
        getResourceServerInfo: (_, name) => resources[name],
      },
    },
  });
}

let providers, base;
const server = http.createServer((request, response) => {
  const json = (body) => response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
  const template = `${base}/{tenantid}/v2.0`;
  if (request.url === "/common/v2.0/.well-known/openid-configuration") {
    return json({ issuer: template, jwks_uri: `${base}/common/discovery/v2.0/keys` });
  }
  if (request.url === "/common/discovery/v2.0/keys") {
    return json({ keys: [{ ...publicKey, ...key, issuer: template }] });
  }
  const [, tid, rest] = /^\/([0-9a-f-]{36})\/v2\.0(\/.*)$/.exec(request.url) ?? [];
  if (!providers[tid]) return response.writeHead(404).end();
  // as an app that is mounted there, so that it puts the prefix into its own URLs
  request.originalUrl = request.url;
  request.url = rest;
  return providers[tid].callback()(request, response);
});
server.listen(0, "127.0.0.1", () => {
  base = `http://127.0.0.1:${server.address().port}`;
  providers = Object.fromEntries(Object.entries(TENANTS).map(([tid, people]) => [tid, provider(base, tid, people)]));
  console.log(`port ${server.address().port}`);
});
// it ends with whoever has started it
process.stdin.resume().on("end", () => process.exit());
