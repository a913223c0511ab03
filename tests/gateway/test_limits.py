"""What Envoy refuses by itself: too many calls, content types that only begin like ours, pages of other origins."""

import base64
import concurrent.futures
import contextlib
import http.client
import unittest

import rig

PAGE = "http://127.0.0.1:8081"
RPC = "/ipmhub.invitations.v1.OrganizationService/GetOrganization"


class Limits(unittest.TestCase):
    def calls(self, gateway, source, count):
        """The answers to as many calls from this address at once."""
        def several(_):
            connection = http.client.HTTPConnection("127.0.0.1", gateway.port, source_address=(source, 0))
            with contextlib.closing(connection):
                return [one(connection) for _ in range(count // 10)]

        def one(connection):
            connection.request("GET", "/v1/nothing")
            answer = connection.getresponse()
            return answer.status, answer.headers.get("retry-after"), answer.read()

        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            return sum(pool.map(several, range(10)), [])

    def test_a_peer_with_too_many_calls_waits_and_others_do_not(self):
        few = lambda text: text.replace("max_tokens: 200, tokens_per_fill: 100", "max_tokens: 20, tokens_per_fill: 10")
        gateway = rig.envoy("few", few)
        answers = self.calls(gateway, "127.0.0.2", 100)
        refused = [answer for answer in answers if answer[0] == 429]
        self.assertGreater(len(refused), 30)
        self.assertGreater(len(answers) - len(refused), 15)
        self.assertEqual({(status, wait) for status, wait, _ in refused}, {(429, "1")})
        self.assertIn(b"OVERLOADED", refused[0][2])
        self.assertEqual({status for status, _, _ in self.calls(gateway, "127.0.0.3", 10)}, {404})
        # the control: with the limit of the file the same calls pass
        self.assertEqual({status for status, _, _ in self.calls(rig.gateways()[0], "127.0.0.2", 100)}, {404})

    def test_grpc_and_grpc_web_are_told_to_wait_as_well(self):
        few = lambda text: text.replace("max_tokens: 200, tokens_per_fill: 100", "max_tokens: 2, tokens_per_fill: 1")
        gateway = rig.envoy("none", few, 429)
        for kind in ["application/grpc", "application/grpc-web", "application/grpc-web-text"]:
            answer = [gateway.send("POST", RPC, None, b"", {"content-type": kind, "te": "trailers"}) for _ in range(4)][-1]
            self.assertEqual(answer.headers["grpc-status"], "8", answer)
            self.assertEqual((answer.status, answer.text), (200, ""), answer)
            self.assertEqual(answer.headers["grpc-message"], "too many calls: wait", answer)
            details = base64.b64decode(answer.headers["grpc-status-details-bin"] + "==")
            self.assertEqual(details[:2], b"\x08\x08")
            for word in [b"google.rpc.ErrorInfo", b"OVERLOADED", b"invitations.ipmhub.io", b"google.rpc.RetryInfo"]:
                self.assertIn(word, details)
            self.assertTrue(details.endswith(b"\n\x02\x08\x01"), details)

    def test_more_connections_than_allowed_are_closed(self):
        few = lambda text: text.replace("max_active_downstream_connections: 10000", "max_active_downstream_connections: 4")
        for gateway, expected in [(rig.envoy("connections", few), 4), (rig.gateways()[0], 10)]:
            with contextlib.ExitStack() as open_ones:
                answered = 0
                for _ in range(10):
                    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
                    open_ones.callback(connection.close)
                    with contextlib.suppress(ConnectionError, http.client.RemoteDisconnected):
                        connection.request("GET", "/healthz")
                        answered += connection.getresponse().status == 200
                self.assertEqual(answered, expected, gateway.name)

    def test_grpc_paths_take_grpc_and_grpc_web_alone(self):
        message = b"\0\0\0\0\x14\n\x12organizations/acme"
        envoy, owner = rig.gateways()[0], rig.token("olga")
        for kind, expected in [
            ("application/grpc-web", 200),
            ("application/grpc-web+proto", 200),
            ("application/grpcfoo", 415),
            ("application/grpc+json", 415),
            ("application/json", 415),
            ("text/plain", 415),
        ]:
            answer = envoy.send("POST", RPC, owner, message, {"content-type": kind})
            self.assertEqual(answer.status, expected, f"{kind} {answer}")
            if expected == 200:
                self.assertIn("organizations/acme", answer.text)

    def test_pages_of_other_origins_get_no_permission(self):
        envoy = rig.gateways()[0]
        asks = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,idempotency-key"}
        allowed = envoy.send("OPTIONS", "/v1/accounts", headers=asks | {"origin": PAGE})
        self.assertEqual((allowed.status, allowed.headers["access-control-allow-origin"]), (200, PAGE), allowed)
        for name in ["idempotency-key", "last-event-id"]:
            self.assertIn(name, allowed.headers["access-control-allow-headers"])
        other = envoy.send("OPTIONS", "/v1/accounts", headers=asks | {"origin": "https://evil.example"})
        self.assertNotIn("access-control-allow-origin", other.headers, other)
        self.assertIn("grpc-retry-pushback-ms", envoy.send("GET", "/v1/nothing", headers={"origin": PAGE}).headers["access-control-expose-headers"])
        # an error has to be readable by the page as well
        for origin, permitted in [(PAGE, True), ("https://evil.example", False)]:
            for path in ["/v1/organizations/acme", "/v1/nothing"]:
                answer = envoy.send("GET", path, headers={"origin": origin})
                self.assertEqual("access-control-allow-origin" in answer.headers, permitted, answer)


if __name__ == "__main__":
    unittest.main()
