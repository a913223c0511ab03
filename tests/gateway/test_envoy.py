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


if __name__ == "__main__":
    unittest.main()
