"""Every change of the API once, over one gateway, each made safe by its Idempotency-Key; and then every read."""

import json
import re
import time

import rig

SCOPES = ["organizations.admin", "invitations.read", "accounts.read", "accounts.admin", "mail.operate"]


class Walk:
    """`answers` are those of the walk by what was asked, without what differs from walk to walk."""

    def __init__(self, gateway, check):
        self.gateway, self.check = gateway, check
        self.own = rig.new("w")
        self.organization = f"/v1/organizations/{self.own}"
        self.answers = {}
        self.changed = set()

    def person(self, name):
        """Somebody with a username and an address of this walk."""
        return f"{name}-{self.own}", f"{name}-{self.own}@example.com", rig.token(f"{name}-{self.own}")

    def record(self, label, answer):
        text = json.dumps(answer.json, sort_keys=True).replace(self.own, "OWN")
        text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID", text)
        text = re.sub(r'"[0-9-]{10}T[0-9:.]+Z"', '"TIME"', text)
        text = re.sub(r'"(etag|nextPageToken)": "[^"]*"', r'"\1": "OPAQUE"', text)
        # how far the emails are is a matter of the moment
        text = re.sub(r'"(deliveries|furtherDeliveries)": (\[[^]]*\]|\d+)', '"deliveries": "…"', text)
        self.answers[label] = (answer.status, json.loads(text))

    def change(self, rpc, method, path, who, body=None, headers=(), other=None):
        """Twice with the same key is once, and another request with this key is refused: so the key has arrived.
        `other` says what differs in it; by itself the etag."""
        protected = dict(headers) | {"idempotency-key": rig.key()}
        first = self.gateway.send(method, path, who, body, protected)
        self.check.assertEqual(first.status, 200, f"{rpc}: {first}")
        again = self.gateway.send(method, path, who, body, protected)
        self.check.assertEqual((again.status, self.still(again)), (200, self.still(first)), f"{rpc}: {again}")
        other = other or {"headers": protected | {"if-match": "another"}}
        request = {"method": method, "path": path, "who": who, "body": body, "headers": protected} | other
        reused = self.gateway.send(**request)
        rows = [rig.reason(row["status"]) for row in (reused.json or {}).get("results", [])]
        self.check.assertEqual({reused.reason, *rows} - {None}, {"REQUEST_ID_REUSED"}, f"{rpc}: {reused}")
        self.record(f"{rpc} reused", reused)
        self.record(f"{rpc} {sum(label.startswith(rpc) for label in self.answers)}", first)
        self.changed.add(rpc)
        return first.json

    @staticmethod
    def still(answer):
        """All of it but what becomes of the emails."""
        def without(value):
            if isinstance(value, list):
                return [without(one) for one in value]
            if not isinstance(value, dict):
                return value
            return {name: without(one) for name, one in value.items() if name not in ("deliveries", "furtherDeliveries")}

        return without(answer.json)

    def read(self, rpc, path, who):
        answer = self.gateway.send("GET", path, who)
        self.check.assertEqual(answer.status, 200, f"{rpc}: {answer}")
        self.record(rpc, answer)

    def account(self, name):
        username, _, token = self.person(name)
        path = f"/v1/accounts?accountId={username}"
        self.change("CreateAccount", "POST", path, token, {"displayName": "One"}, other={"body": {"displayName": "Another"}})

    def invite(self, name):
        _, email, _ = self.person(name)
        invitations = f"{self.organization}/invitations"
        body = {"email": email, "locale": "de"}
        return self.change("CreateInvitation", "POST", invitations, self.owner, body, other={"body": {"email": f"no-{email}"}})["name"]

    def offer(self, name, role, other="READER"):
        username, email, _ = self.person(name)
        body = {"username": username, "email": email, "role": role}
        path = f"{self.organization}/invitations:offerMembership"
        return self.change("OfferMembership", "POST", path, self.owner, body, other={"body": body | {"role": other}})["name"]

    def verb(self, rpc, name, who, body=None, headers=()):
        verb = {"Offer": "", "Access": "", "Invitation": "", "OrganizationChange": "Change"}
        path = re.sub(r"[A-Z].*", "", rpc[0].lower() + rpc[1:]) + next(end for word, end in verb.items() if rpc.endswith(word))
        return self.change(rpc, "POST", f"/v1/{name}:{path}", who, {} if body is None else body, headers)

    def run(self):
        for name in ["olga", "anna", "bert", "carl", "dora", "eve"]:
            self.account(name)
        self.owner = self.person("olga")[2]
        self.organizations()
        self.invitations()
        self.many()
        self.members()
        self.two_owners()
        self.operators()
        self.reads()
        return self

    def organizations(self):
        body = {"displayName": "Walk", "notificationEmail": f"it-{self.own}@example.com"}
        path = f"/v1/organizations?organizationId={self.own}"
        self.change("CreateOrganization", "POST", path, self.owner, body, other={"body": body | {"displayName": "Another"}})
        self.change("UpdateOrganization", "PATCH", self.organization, self.owner, {"displayName": "Walked"})
        etag = self.gateway.send("GET", self.organization, self.owner).json["etag"]
        # both spellings of an etag in a header, and what was read is sent back
        for written in [etag, f'"{etag}"']:
            body = {"displayName": "Walked"}
            answer = self.gateway.send("PATCH", self.organization, self.owner, body, {"if-match": written})
            self.check.assertEqual((answer.status, answer.json["etag"]), (200, etag), answer)

    def invitations(self):
        _, _, token = self.person("anna")
        first, second = self.invite("anna"), self.invite("bert")
        codes = [{"code": rig.code(f"X-Envelope-To: {self.person(name)[1]}")} for name in ("anna", "bert")]
        verify = {"code": rig.code(f"X-Envelope-To: it-{self.own}@example.com")}
        path = f"{self.organization}:verifyNotificationEmail"
        self.change("VerifyNotificationEmail", "POST", path, self.owner, verify, other={"body": codes[0]})
        self.change("RequestAccess", "POST", "/v1/invitations:requestAccess", token, codes[0], other={"body": codes[1]})
        self.verb("RejectAccess", first, self.owner)
        time.sleep(rig.RESEND_INTERVAL + 0.1)
        self.verb("ResendInvitation", second, self.owner, body={"rotateCode": True})
        self.verb("RevokeInvitation", second, self.owner)

    def many(self):
        def row(name):
            return {"invitation": {"email": f"{name}-{self.own}@example.com", "annotations": {"ticket": f"OPS-{name}"}}}

        batch = f"{self.organization}/invitations:batchCreate"
        made = self.change("BatchCreateInvitations", "POST", batch, self.owner, {"requests": [row("f"), row("g")]},
                           other={"body": {"requests": [row("h"), row("i")]}})  # fmt: skip
        self.names = [one["invitation"]["name"] for one in made["results"]]
        filters = [f'annotations.ticket = "OPS-{name}"' for name in ("f", "g")]
        revoke = f"{self.organization}/invitations:revoke"
        self.change("RevokeInvitations", "POST", revoke, self.owner, {"filter": filters[0]}, other={"body": {"filter": filters[1]}})

    def members(self):
        bert, carl = self.person("bert"), self.person("carl")
        self.verb("AcceptInvitation", self.offer("bert", "CONTRIBUTOR"), bert[2])
        self.verb("DeclineInvitation", self.offer("carl", "CONTRIBUTOR"), carl[2])
        member = f"{self.organization}/members/{bert[0]}"
        self.change("UpdateMember", "PATCH", member, self.owner, {"role": "READER"})
        self.change("DeleteMember", "DELETE", member, self.owner)

    def two_owners(self):
        dora, eve = self.person("dora"), self.person("eve")
        self.verb("AcceptInvitation", self.offer("dora", "OWNER"), dora[2])
        strict = {"policy": {"approvalRole": "MANAGER"}}
        self.change("UpdateOrganization", "PATCH", self.organization, self.owner, strict)
        self.verb("ApproveOffer", self.offer("eve", "MANAGER"), dora[2])
        name = self.organization.removeprefix("/v1/")
        for rpc, who in [("WithdrawOrganizationChange", self.owner), ("ApproveOrganizationChange", dora[2])]:
            lax = f"{self.organization}?updateMask=policy.approval_role"
            waits = self.change("UpdateOrganization", "PATCH", lax, self.owner, {})
            self.check.assertIn("pendingChange", waits)
            self.verb(rpc, name, who, headers={"if-match": waits["etag"]})

    def operators(self):
        service = rig.token(f"service-{self.own}", *SCOPES)
        body, another = {"email": f"full-{self.own}@example.com"}, {"email": f"empty-{self.own}@example.com"}
        self.change("SuppressEmail", "POST", "/v1:suppressEmail", service, body, other={"body": another})
        self.change("UnsuppressEmail", "POST", "/v1:unsuppressEmail", service, body, other={"body": another})
        carl, bert = (f"/v1/accounts/{self.person(name)[0]}" for name in ("carl", "bert"))
        self.change("DeleteAccount", "DELETE", carl, service, other={"path": bert})

    def reads(self):
        service, dora = rig.token(f"service-{self.own}", *SCOPES), self.person("dora")
        first = self.gateway.send("GET", f"{self.organization}/invitations?pageSize=1", self.owner).json
        self.read("GetOrganization", self.organization, self.owner)
        self.read("ListOrganizations", "/v1/organizations", dora[2])
        self.read("ListInvitations", f"{self.organization}/invitations?pageSize=200", service)
        self.read("ListInvitations, a page", f"{self.organization}/invitations?pageSize=2&pageToken={first['nextPageToken']}", self.owner)
        found = f"{self.organization}/invitations?filter=state+%3D+REVOKED+AND+annotations.ticket%3D%22OPS-f%22"
        self.read("ListInvitations, by a filter", found, service)
        self.read("BatchGetInvitations", f"{self.organization}/invitations:batchGet?names={'&names='.join(self.names)}", service)
        self.read("GetInvitation", f"/v1/{first['invitations'][0]['name']}", service)
        self.read("ListAccountInvitations", "/v1/accounts/me/invitations", dora[2])
        self.read("ListAccountMemberships", f"/v1/accounts/{dora[0]}/memberships", service)
        self.read("GetAccount", "/v1/accounts/me", dora[2])
        self.read("GetMember", f"{self.organization}/members/{dora[0]}", self.owner)
        self.read("ListMembers", f"{self.organization}/members", self.owner)
        self.read("ListEvents", f"{self.organization}/events?pageSize=200", service)
