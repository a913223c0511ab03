"""Neither a `name` in the body nor one in the query decides whom a change hits."""

import unittest

import rig

OPTION = "reject_binding_body_field_collisions: true"


class Names(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.owner = rig.token("olga")

    def revoke_with_another_name(self, gateway):
        """The answer to `POST /v1/A:revoke {"name": "B"}`, and the states of A and B after it."""
        names = []
        for _ in range(2):
            body = {"email": f"{rig.new('name')}@example.com"}
            names.append(gateway.send("POST", "/v1/organizations/acme/invitations", self.owner, body).json["name"])
        answer = gateway.send("POST", f"/v1/{names[0]}:revoke", self.owner, {"name": names[1]})
        return answer, *(gateway.send("GET", f"/v1/{name}", self.owner).json["state"] for name in names)

    def test_envoy_refuses_two_names(self):
        answer, *states = self.revoke_with_another_name(rig.gateways()[0])
        self.assertEqual((answer.status, answer.reason), (400, "FIELD_INVALID"), answer)
        self.assertEqual(states, ["INVITED", "INVITED"])

    def test_without_the_option_the_body_would_win(self):
        unsafe = rig.envoy("unsafe", lambda text: text.replace(OPTION, OPTION.replace("true", "false")))
        answer, *states = self.revoke_with_another_name(unsafe)
        self.assertEqual((answer.status, states), (200, ["INVITED", "REVOKED"]), answer)

    def test_grpc_gateway_takes_the_name_of_the_url(self):
        answer, *states = self.revoke_with_another_name(rig.gateways()[1])
        self.assertEqual((answer.status, states), (200, ["REVOKED", "INVITED"]), answer)

    def test_the_query_never_wins_over_the_url_or_the_body(self):
        envoy, acme = rig.gateways()[0], "/v1/organizations/acme"
        email = {"email": f"{rig.new('name')}@example.com"}
        for method, path, body, fields in [
            ("GET", f"{acme}/members/nobody?name=organizations/acme/members/olga", None, ["name"]),
            ("GET", f"{acme}/members/nobody?n%61me=organizations/acme/members/olga", None, ["query"]),
            ("GET", f"{acme}/members/nobody?name", None, ["query"]),
            ("DELETE", f"{acme}/members/nobody?name=organizations/acme/members/olga", None, ["name"]),
            ("POST", "/v1/organizations/other/invitations?parent=organizations/acme", email, ["parent"]),
            ("PATCH", f"{acme}?organization.name=organizations/other", {"displayName": "Acme"}, ["organization.name"]),
            ("PATCH", f"{acme}?organization.displayName=Foo&x=1", {"displayName": "Acme"}, ["organization.displayName", "x"]),
            ("GET", f"{acme}/members?pageSize=1&pageSize=2", None, ["pageSize"]),
            ("GET", f"{acme}/members?pageSize=1&page_size=2", None, ["page_size"]),
            ("POST", f"{acme}/invitations:offerMembership?requestId=1", {}, ["requestId"]),
        ]:
            answer = envoy.send(method, path, self.owner, body)
            self.assertEqual((answer.status, answer.reason, answer.fields), (400, "FIELD_INVALID", fields), f"{method} {path} {answer}")
        for query in ["pageSize=1&pageToken=", "page_size=1", "states=INVITED&states=ACCEPTED", ""]:
            answer = envoy.send("GET", f"{acme}/invitations?{query}", self.owner)
            self.assertEqual(answer.status, 200, f"{query} {answer}")

    def test_the_same_name_in_both_is_fine(self):
        for gateway in rig.gateways():
            with self.subTest(gateway=gateway.name):
                body = {"email": f"{rig.new('name')}@example.com"}
                name = gateway.send("POST", "/v1/organizations/acme/invitations", self.owner, body).json["name"]
                answer = gateway.send("POST", f"/v1/{name}:revoke", self.owner, {"name": name})
                self.assertEqual((answer.status, answer.json.get("state")), (200, "REVOKED"), answer)


if __name__ == "__main__":
    unittest.main()
