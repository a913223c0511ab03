"""Idempotency by header for every change, over both gateways; and both gateways give the same answers."""

import re
import unittest

import rig
import walk

# operations.lua, made of the annotations, says how many changes there are
CHANGES = len(re.findall(r'method = "(POST|PATCH|DELETE)"', (rig.ROOT / "gateway/operations.lua").read_text()))


class TheWalk(unittest.TestCase):
    maxDiff = None

    def test_every_change_is_safe_to_repeat_and_both_gateways_answer_the_same(self):
        envoy, go = (walk.Walk(gateway, self).run() for gateway in rig.gateways())
        self.assertEqual(len(envoy.changed), CHANGES)
        self.assertEqual(list(envoy.answers), list(go.answers))
        for asked, answer in envoy.answers.items():
            with self.subTest(asked):
                self.assertEqual(answer, go.answers[asked])

    def test_without_a_key_the_second_call_is_another_one(self):
        for gateway in rig.gateways():
            body = {"email": f"{rig.new('twice')}@example.com"}
            answers = [gateway.send("POST", "/v1/organizations/acme/invitations", rig.token("olga"), body) for _ in range(2)]
            self.assertEqual([answer.status for answer in answers], [200, 409], answers)


if __name__ == "__main__":
    unittest.main()
