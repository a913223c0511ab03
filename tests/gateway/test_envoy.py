"""Answers that Envoy makes by itself: each is google.rpc.Status with a reason, and in words."""

import contextlib
import socket
import unittest

import rig

RPC = "/ipmhub.invitations.v1.OrganizationService/GetOrganization"
BODY = {"displayName": "Acme"}


def raw(gateway, text):
    """The answer to these bytes: its status, and what stands in it."""
    with contextlib.closing(socket.create_connection(("127.0.0.1", gateway.port), timeout=10)) as connection:
        connection.sendall(text.encode())
        answer = b""
        with contextlib.suppress(TimeoutError):
            while not answer.rstrip().endswith(b"}") and (got := connection.recv(65536)):
                answer += got
    return int(answer.split()[1]), answer.decode()


class Envoy(unittest.TestCase):
    def test_a_service_that_is_away(self):
        away = rig.envoy("away", lambda text: text.replace("address: 127.0.0.1, port_value: 50051", "address: 127.0.0.9, port_value: 50051"), 503)
        for method, body, change in [("GET", None, False), ("PATCH", BODY, True)]:
            answer = away.send(method, "/v1/organizations/acme", "x", body)
            self.assertEqual((answer.status, answer.json["code"], answer.reason), (503, 14, "DATABASE_UNAVAILABLE"), answer)
            self.assertEqual((answer.detail("RetryInfo")["retryDelay"], answer.headers["retry-after"]), ("1s", "1"), answer)
            self.assertEqual("change" in answer.json["message"], change, answer)

    def test_a_service_that_is_slow(self):
        slow = rig.envoy("slow", lambda text: text.replace("timeout: 35s", "timeout: 0.001s"), 504)
        for method, body, change in [("GET", None, False), ("PATCH", BODY, True)]:
            answer = slow.send(method, "/v1/organizations/acme", rig.token("olga"), body)
            self.assertEqual((answer.status, answer.json["code"], answer.reason), (504, 4, "DEADLINE_PASSED"), answer)
            self.assertEqual("change" in answer.json["message"], change, answer)

    def test_what_envoy_would_take_otherwise_than_sent(self):
        envoy, owner = rig.gateways()[0], rig.token("olga")
        kind = {"content-type": "application/json"}
        for body, rule in [
            (b'{"displayName":"a\\qb"}', "JSON object"),
            (b'{"displayName":"\\x41"}', "JSON object"),
            (b'{"displayName":"\\u00g1"}', "JSON object"),
            (b'{"policy":{"allowedProviders":[null]}}', "null in a list"),
            (b'{"policy":{"allowedProviders":[["entra"]]}}', "a list in a list"),
            (b'{"policy":' * 20 + b"1" + b"}" * 20, "so deep"),
        ]:
            answer = envoy.send("PATCH", "/v1/organizations/acme", owner, body, kind)
            self.assertEqual((answer.status, answer.fields), (400, ["body"]), f"{body} {answer}")
            self.assertIn(rule, answer.json["message"])
        good = b'{"displayName":"Ac\\u006de"}'
        for headers, expected in [
            (kind | {"content-encoding": "gzip"}, 415),
            ({"content-type": "application/json; charset=latin1"}, 415),
            (kind | {"if_match": "1"}, 400),
            ({"content-type": 'application/json; charset="UTF-8"', "content-encoding": "identity"}, 200),
        ]:
            answer = envoy.send("PATCH", "/v1/organizations/acme", owner, good, headers)
            self.assertEqual(answer.status, expected, f"{headers} {answer}")
            self.assertEqual(bool(answer.reason), expected != 200, answer)

    def test_a_value_of_another_type_is_named_by_its_field(self):
        envoy, owner = rig.gateways()[0], rig.token("olga")
        acme = "/v1/organizations/acme"
        for method, path, body, field in [
            ("PATCH", acme, {"seatLimit": "x"}, "organization.seat_limit"),
            ("PATCH", acme, {"policy": {"remindersDisabled": "x"}}, "organization.policy.reminders_disabled"),
            ("PATCH", acme, {"policy": {"invitationLifetime": "x"}}, "organization.policy.invitation_lifetime"),
            ("POST", f"{acme}/invitations", {"role": "BOSS"}, "invitation.role"),
            ("PATCH", acme, {"displayName": ["a"]}, "organization"),
            ("GET", f"{acme}/invitations?pageSize=x", None, "page_size"),
            ("PATCH", acme, b'{"displayName":"\\ud800"}', "request"),
        ]:
            answer = envoy.send(method, path, owner, body, {"content-type": "application/json"})
            self.assertEqual((answer.status, answer.reason, answer.fields), (400, "FIELD_INVALID", [field]), f"{path} {answer}")
            for word in ["type.googleapis.com/ip", "TYPE_", "google.protobuf", "bad request", "BOSS", "surrogate"]:
                self.assertNotIn(word, answer.text)
        answer = envoy.send("PATCH", acme, owner, {"colour": 1})
        self.assertEqual(answer.detail("BadRequest")["fieldViolations"][0]["reason"], "FIELD_NOT_ALLOWED", answer)

    def test_what_is_no_call_at_all(self):
        envoy = rig.gateways()[0]
        get, host = "GET /v1/organizations/acme HTTP/1.1\r\n", "host: x\r\n"
        for request, expected, words in [
            (get + "\r\n", 400, "the path or a header is not well formed"),
            (get.replace("acme", "acme%2Fmembers") + host + "\r\n", 400, "the path or a header is not well formed"),
            (get + host + "x-long: " + "a" * 30000 + "\r\n\r\n", 431, "FIELD_TOO_LONG"),
            (get + host + "connection: upgrade\r\nupgrade: websocket\r\n\r\n", 403, "the gateway does not take this"),
            (get.replace("1.1", "1.0") + host + "\r\n", 426, "the gateway does not take this"),
        ]:
            status, answer = raw(envoy, request)
            self.assertEqual(status, expected, answer)
            for word in [words, "FIELD_INVALID", '"description":"']:
                self.assertIn(word, answer)
            self.assertNotIn('"description":""', answer)
        answer = envoy.send("POST", RPC, None, b"{}", {"content-type": "application/grpc-web+json"})
        self.assertEqual((answer.status, answer.fields), (415, ["content-type"]), answer)
        answer = envoy.send("POST", "/v1/accounts", None, {"displayName": "a" * 70000})
        self.assertEqual((answer.status, answer.fields), (413, ["body"]), answer)
        self.assertIn("64 KiB", answer.json["message"])

    def test_a_body_that_comes_too_slowly(self):
        slow = rig.envoy("body", lambda text: text.replace("request_timeout: 30s", "request_timeout: 1s"))
        head = "POST /v1/accounts HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"
        status, answer = raw(slow, head)
        self.assertEqual(status, 408, answer)
        self.assertIn("DEADLINE_PASSED", answer)


if __name__ == "__main__":
    unittest.main()
