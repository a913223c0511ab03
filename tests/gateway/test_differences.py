"""The rows of "Differences of the two" in docs/gateway.md; test_names.py and test_refusals.py have the rest."""

import unittest

import rig

ORGANIZATION = "/v1/organizations/acme"


class Differences(unittest.TestCase):
    def both(self, method, path, body=None):
        return [gateway.send(method, path, rig.token("olga"), body) for gateway in rig.gateways()]

    def statuses(self, method, path, body=None):
        return [answer.status for answer in self.both(method, path, body)]

    def test_an_unknown_query_parameter(self):
        self.assertEqual(self.statuses("GET", f"{ORGANIZATION}?colour=red"), [400, 200])

    def test_the_spelling_of_a_mask_in_a_query(self):
        for mask, expected in [("displayName", [200, 400]), ("display_name", [200, 200])]:
            self.assertEqual(self.statuses("PATCH", f"{ORGANIZATION}?updateMask={mask}", {"displayName": "Acme"}), expected)

    def test_a_slash_that_is_written_otherwise(self):
        first, second = self.both("GET", f"{ORGANIZATION}%2Fmembers")
        self.assertEqual((first.status, second.status, "members" in second.json), (400, 200, True), second)

    def test_the_details_of_what_the_gateway_refuses(self):
        for method, path in [("GET", "/v1/nothing"), ("PUT", ORGANIZATION)]:
            self.assertEqual([answer.reason for answer in self.both(method, path)], ["METHOD_UNKNOWN", None])
        first, second = self.both("PATCH", ORGANIZATION, {"colour": 1, "shape": 2})
        self.assertEqual((first.fields, second.fields), (["colour", "shape"], []))

    def test_a_mask_of_grpc_gateway_names_defaults_too(self):
        for gateway, stays in zip(rig.gateways(), [True, False]):
            owner = rig.token("olga")
            on = gateway.send("PATCH", ORGANIZATION, owner, {"policy": {"remindersDisabled": True}})
            self.assertEqual(on.json["policy"].get("remindersDisabled"), True, on)
            answer = gateway.send("PATCH", ORGANIZATION, owner, {"policy": {"remindersDisabled": False}})
            self.assertEqual("remindersDisabled" in answer.json["policy"], stays, answer)
            mask = f"{ORGANIZATION}?updateMask=policy.reminders_disabled"
            off = gateway.send("PATCH", mask, owner, {"policy": {"remindersDisabled": False}})
            self.assertNotIn("remindersDisabled", off.json["policy"], off)


if __name__ == "__main__":
    unittest.main()
