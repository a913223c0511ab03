"""Errors as a REST user expects them, from both gateways."""

import unittest

import rig

ORGANIZATION = "/v1/organizations/acme"
INVITATIONS = f"{ORGANIZATION}/invitations"


class Refusals(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.owner = rig.token("olga")

    def each(self, method, path, who="owner", body=None, headers=()):
        who = self.owner if who == "owner" else who
        for gateway in rig.gateways():
            yield gateway.name, gateway.send(method, path, who, body, headers)

    def test_400_names_all_bad_fields(self):
        body = {"username": "No", "email": "nobody", "role": "CONTRIBUTOR"}
        for _, answer in self.each("POST", f"{INVITATIONS}:offerMembership", body=body):
            self.assertEqual((answer.status, answer.reason), (400, "FIELD_INVALID"), answer)
            self.assertEqual(sorted(answer.fields), ["email", "username"], answer)

    def test_401_challenges(self):
        for who, reason, challenge in [(None, "TOKEN_MISSING", "Bearer"), ("x", "TOKEN_INVALID", 'Bearer error="invalid_token"')]:
            for _, answer in self.each("GET", ORGANIZATION, who):
                self.assertEqual((answer.status, answer.reason), (401, reason), answer)
                self.assertEqual(answer.headers["www-authenticate"], challenge, answer)

    def test_403_404_409(self):
        reader = rig.token("report", "invitations.read")
        for _, answer in self.each("POST", INVITATIONS, reader, {"email": "bert@example.com"}):
            self.assertEqual((answer.status, answer.reason), (403, "SCOPE_REQUIRED"), answer)
        for _, answer in self.each("GET", f"{ORGANIZATION}/members/nobody"):
            self.assertEqual((answer.status, answer.reason), (404, "MEMBER_NOT_FOUND"), answer)
        for _, answer in self.each("POST", "/v1/accounts?accountId=olga2", body={}):
            self.assertEqual((answer.status, answer.reason), (409, "ACCOUNT_EXISTS"), answer)

    def test_404_and_405_for_what_does_not_exist(self):
        for path in ["/", "/v1", "/v1/nothing", "/v2/organizations/acme", f"{ORGANIZATION}/nothing", "/v1/organizations/a/b/c/d"]:
            for _, answer in self.each("GET", path):
                self.assertEqual(answer.status, 404, answer)
                self.assertEqual(answer.json["code"], 5, answer)
        for method, path in [("PUT", ORGANIZATION), ("GET", f"{INVITATIONS}:offerMembership"), ("HEAD", ORGANIZATION), ("DELETE", INVITATIONS)]:
            for name, answer in self.each(method, path):
                self.assertEqual(answer.status, 405, answer)
                if name == "envoy":
                    self.assertTrue(answer.headers["allow"], answer)

    def test_409_for_another_etag(self):
        for headers, body in [({"if-match": '"nothing"'}, {"displayName": "Acme"}), ({}, {"displayName": "Acme", "etag": "nothing"})]:
            for _, answer in self.each("PATCH", ORGANIZATION, body=body, headers=headers):
                self.assertEqual((answer.status, answer.reason), (409, "ETAG_MISMATCH"), answer)
        for gateway in rig.gateways():
            with self.subTest(gateway=gateway.name):
                read = gateway.send("GET", ORGANIZATION, self.owner).json
                # all that was read goes back: names, output-only fields and the etag do no harm
                answer = gateway.send("PATCH", ORGANIZATION, self.owner, read | {"displayName": rig.new("Acme")})
                self.assertEqual(answer.status, 200, answer)
                answer = gateway.send("PATCH", ORGANIZATION, self.owner, read | {"displayName": rig.new("Acme")})
                self.assertEqual((answer.status, answer.reason), (409, "ETAG_MISMATCH"), answer)

    def test_415_for_other_content_types(self):
        kinds = ["text/plain", "application/x-www-form-urlencoded", "application/grpc-web", "application/jsonx", "application/xml"]
        for kind in kinds:
            for _, answer in self.each("POST", INVITATIONS, body=b'{"email":"cc@example.com"}', headers={"content-type": kind}):
                self.assertEqual(answer.status, 415, answer)
        for _, answer in self.each("POST", INVITATIONS, body=b"{}", headers={"content-type": "Application/JSON; charset=utf-8"}):
            self.assertEqual((answer.status, answer.reason), (400, "FIELD_INVALID"), answer)

    def test_429_says_how_long_to_wait(self):
        for gateway in rig.gateways():
            with self.subTest(gateway=gateway.name):
                made = gateway.send("POST", INVITATIONS, self.owner, {"email": f"{rig.new('dora')}@example.com"}).json
                answer = gateway.send("POST", f"/v1/{made['name']}:resend", self.owner, {})
                self.assertEqual((answer.status, answer.reason), (429, "RESENT_TOO_SOON"), answer)
                wait = float(answer.detail("RetryInfo")["retryDelay"].removesuffix("s"))
                self.assertTrue(wait <= int(answer.headers["retry-after"]) < wait + 1, answer)

    def test_what_would_be_ignored_is_refused(self):
        before = self.invitations()
        bad = [
            ("POST", INVITATIONS, {"email": "eva@example.com", "requestId": rig.key()}),
            ("POST", INVITATIONS, {"email": "eva@example.com", "request_id": rig.key()}),
            ("POST", INVITATIONS, {"email": "eva@example.com", "request\\u0049d": "x"}),
            ("POST", INVITATIONS, {"email": "eva@example.com", "lokale": "en"}),
            ("POST", "/v1/organizations?organizationId=eva-org", {"displayName": "Eva", "organizationId": "eva-org"}),
            ("PATCH", ORGANIZATION, {"displayName": "Eva", "updateMask": "displayName"}),
            ("PATCH", ORGANIZATION, {"displayName": "Eva", "policy": {"approvalRoles": "OWNER"}}),
            ("DELETE", f"{ORGANIZATION}/members/eva", {"etag": "1"}),
            ("POST", f"{INVITATIONS}:offerMembership?requestId={rig.key()}", {"username": "eva", "email": "eva@example.com"}),
            ("POST", INVITATIONS, b'{"email":"eva@example.com"'),
            ("POST", INVITATIONS, b'{email:"eva@example.com"}'),
            ("POST", INVITATIONS, b"{'email':'eva@example.com'}"),
            ("POST", INVITATIONS, b'{"email":"eva@example.com","email":"eve@example.com"}'),
            ("POST", INVITATIONS, b'["eva@example.com"]'),
            ("POST", INVITATIONS, b"[" * 30000),
            ("POST", INVITATIONS, b'{"email":{"a":[[[["x"]]]]}}'),
        ]
        for method, path, body in bad:
            headers = {"content-type": "application/json"}
            for _, answer in self.each(method, path, body=body, headers=headers):
                self.assertEqual((answer.status, answer.json.get("code")), (400, 3), f"{method} {path} {body} {answer}")
        # grpc-gateway does not look beyond the end
        answer = rig.gateways()[0].send("POST", INVITATIONS, self.owner, b'{"email":"eva@example.com"} {}', headers)
        self.assertEqual(answer.status, 400, answer)
        self.assertEqual(self.invitations(), before)
        answer = rig.gateways()[0].send("POST", INVITATIONS, self.owner, {"requestId": "x", "lokale": "en"})
        self.assertEqual(answer.fields, ["requestId", "lokale"], answer)
        self.assertIn("Idempotency-Key", answer.json["message"], answer)

    def invitations(self):
        read = rig.gateways()[0].send("GET", f"{INVITATIONS}?pageSize=200", self.owner).json
        return {one["name"] for one in read.get("invitations", [])}

    def test_too_long_is_refused(self):
        envoy, go = rig.gateways()
        long = {"email": "a" * 70000}
        for in_chunks in [False, True]:
            answer = envoy.send("POST", INVITATIONS, self.owner, long, in_chunks=in_chunks)
            self.assertEqual((answer.status, answer.reason), (413, "FIELD_INVALID"), answer)
        self.assertEqual(go.send("POST", INVITATIONS, self.owner, long).status, 400)
        self.assertEqual(envoy.send("GET", ORGANIZATION, self.owner, headers={"x-long": "a" * 30000}).status, 431)

    def test_metadata_goes_in_and_out_by_name_only(self):
        for name, answer in self.each("GET", ORGANIZATION, headers={"grpc-metadata-authorization": "x", "x-http-method-override": "DELETE"}):
            self.assertEqual(answer.status, 200, answer)
            self.assertTrue(answer.headers["x-call-id"], answer)
            ours = {"content-type", "content-length", "date", "server", "x-call-id", "x-envoy-upstream-service-time"}
            self.assertEqual(set(answer.headers) - ours, set(), answer)


if __name__ == "__main__":
    unittest.main()
