"""Many in one call, annotations and filters, over both gateways."""

import json
import unittest
import urllib.parse

import rig

INVITATIONS = "/v1/organizations/acme/invitations"
BATCH = f"{INVITATIONS}:batchCreate"
MIB = 1024 * 1024


def row(email, **annotations):
    return {"invitation": {"email": email} | ({"annotations": annotations} if annotations else {})}


def person():
    return f"{rig.new('many')}@example.com"


class Many(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.owner = rig.token("olga")
        cls.envoy, cls.go = rig.gateways()

    def each(self, method, path, body=None):
        for gateway in rig.gateways():
            yield gateway.name, gateway.send(method, path, self.owner, body)

    def test_each_row_has_a_result_and_a_refused_one_its_status(self):
        for gateway in rig.gateways():
            one = person()
            rows = [row(one, ticket="OPS-7"), row("nobody"), row(one), row(person(), **{"example.com/a_b": "1"})]
            answer = gateway.send("POST", BATCH, self.owner, {"requests": rows, "validateOnly": False})
            self.assertEqual(answer.status, 200, answer)
            first, bad, double, last = answer.json["results"]
            self.assertEqual(first["invitation"]["annotations"], {"ticket": "OPS-7"})
            self.assertEqual(last["invitation"]["annotations"], {"example.com/a_b": "1"})
            self.assertEqual([rig.reason(two["status"]) for two in (bad, double)], ["FIELD_INVALID", "DUPLICATE_IN_BATCH"])
            fields = [one["fieldViolations"] for one in bad["status"]["details"] if one["@type"].endswith("BadRequest")]
            self.assertEqual(fields[0][0]["field"], "requests[1].invitation.email")

    def test_what_would_be_ignored_in_a_row_is_refused(self):
        good = row(person())
        bad = {"requests": [good, good, good, {"invitation": {"emial": "x"}, "colour": 1}]}
        for name, answer in self.each("POST", BATCH, bad):
            self.assertEqual(answer.status, 400, answer)
            if name == "envoy":
                self.assertEqual(answer.fields, ["requests[3].invitation.emial", "requests[3].colour"], answer)
        twice = json.dumps({"requests": [good]}).replace('{"email"', '{"email":"b@example.com","email"').encode()
        answer = self.envoy.send("POST", BATCH, self.owner, twice, {"content-type": "application/json"})
        self.assertEqual((answer.status, answer.fields), (400, ["body"]), answer)

    def test_a_batch_may_have_a_mebibyte_and_nothing_else_may(self):
        # as refused rows: they cost the organization nothing
        rows = [row("nobody" * 20, **{f"key-{n}": "v" * 100 for n in range(7)}) for _ in range(1000)]
        body = json.dumps({"requests": rows}).encode()
        self.assertTrue(MIB * 0.9 < len(body) < MIB, len(body))
        kind = {"content-type": "application/json"}
        for gateway in rig.gateways():
            answer = gateway.send("POST", BATCH, self.owner, body, kind)
            self.assertEqual((answer.status, len(answer.json["results"])), (200, 1000), gateway.name)
            self.assertGreater(len(answer.text), 300_000)
        longer = body.replace(b"nobody", b"n" * (MIB - len(body) + 7), 1)
        for path, most in [(BATCH, "1 MiB"), (INVITATIONS, "64 KiB"), (f"{INVITATIONS}:revoke", "64 KiB")]:
            for in_chunks in [False, True]:
                answer = self.envoy.send("POST", path, self.owner, longer, kind, in_chunks)
                self.assertEqual((answer.status, answer.reason, answer.fields), (413, "FIELD_INVALID", ["body"]), answer)
                self.assertIn(most, answer.json["message"])
            self.assertEqual(self.go.send("POST", path, self.owner, longer, kind).status, 400)

    def test_two_hundred_are_read_by_name(self):
        answer = self.envoy.send("POST", INVITATIONS, self.owner, {"email": person()})
        names = [answer.json["name"]] + [f"{INVITATIONS.removeprefix('/v1/')}/{rig.key()}" for _ in range(199)]
        for count, expected in [(1, 200), (200, 404)]:
            for _, answer in self.each("GET", f"{INVITATIONS}:batchGet?names={'&names='.join(names[:count])}"):
                self.assertEqual(answer.status, expected, answer)
        for _, answer in self.each("GET", f"{INVITATIONS}:batchGet"):
            self.assertEqual((answer.status, answer.reason), (400, "FIELD_INVALID"), answer)
        names *= 3
        for _, answer in self.each("GET", f"{INVITATIONS}:batchGet?names={'&names='.join(names)}"):
            self.assertEqual(answer.status, 431, answer)

    def test_an_annotation_is_text_and_never_empty(self):
        for annotations, field in [
            ({"ticket": ""}, "annotations.ticket"),
            ({"example.com/t": None}, "annotations.example.com/t"),
            ({"a": 1}, "annotations.a"),
            ({"a": {}}, "annotations.a"),
            ({"a": ["x"]}, "annotations.a"),
            ({'"\\': ""}, "annotations.?"),
        ]:
            for name, answer in self.each("POST", INVITATIONS, {"email": person(), "annotations": annotations}):
                self.assertEqual(answer.status, 400, f"{annotations} {answer}")
                if name == "envoy":
                    self.assertEqual((answer.reason, answer.fields), ("FIELD_INVALID", [field]), answer)
        for text in ['{"a":"1","a":"2"}', '{"a":"1","\\u0061":"2"}', '{"a\\/b":"1","a/b":"2"}']:
            body = f'{{"email":"{person()}","annotations":{text}}}'.encode()
            answer = self.envoy.send("POST", INVITATIONS, self.owner, body, {"content-type": "application/json"})
            self.assertEqual((answer.status, answer.fields), (400, ["body"]), f"{text} {answer}")
        for text in ['{"example.com\\/t":"1"}', '{"\\u0061":"1"}', "{}", "null"]:
            body = f'{{"email":"{person()}","annotations":{text}}}'.encode()
            answer = self.envoy.send("POST", INVITATIONS, self.owner, body, {"content-type": "application/json"})
            self.assertEqual(answer.status, 200, f"{text} {answer}")

    def test_a_filter_in_a_query_is_read_in_every_spelling(self):
        ticket = f'{rig.new("OPS")} "7" +\\ü'
        email = person().replace("@", "+x@")
        made = self.envoy.send("POST", INVITATIONS, self.owner, {"email": email, "annotations": {"example.com/t": ticket}})
        self.assertEqual(made.status, 200, made)
        escaped = ticket.replace("\\", "\\\\").replace('"', '\\"')
        text = f'annotations."example.com/t" = "{escaped}" AND state = INVITED'
        for quote in [urllib.parse.quote, urllib.parse.quote_plus]:
            for query in [f"filter={quote(text, safe='')}", f"email={quote(email, safe='')}"]:
                for _, answer in self.each("GET", f"{INVITATIONS}?{query}"):
                    self.assertEqual(answer.status, 200, answer)
                    self.assertEqual([one["name"] for one in answer.json.get("invitations", [])], [made.json["name"]], query)
        for _, answer in self.each("GET", f"{INVITATIONS}?filter=state+!%3D+INVITED"):
            self.assertEqual((answer.status, answer.reason, answer.fields), (400, "FIELD_INVALID", ["filter"]), answer)
        for name, answer in self.each("GET", f"{INVITATIONS}?filter=%ff"):
            self.assertEqual((answer.status, answer.json["code"]), (400, 3) if name == "envoy" else (500, 13), answer)

    def test_revoking_by_a_filter_says_of_each_what_became_of_it(self):
        ticket = rig.new("leaver")
        made = self.envoy.send("POST", BATCH, self.owner, {"requests": [row(person(), ticket=ticket) for _ in range(3)]})
        names = [one["invitation"]["name"] for one in made.json["results"]]
        body = {"filter": f'annotations.ticket = "{ticket}"', "validateOnly": True}
        for only_asked in [True, False]:
            for _, answer in self.each("POST", f"{INVITATIONS}:revoke", body | {"validateOnly": only_asked}):
                self.assertEqual(answer.status, 200, answer)
                found = [one["name"] for one in answer.json.get("results", [])]
                self.assertIn(sorted(found), [sorted(names)] if only_asked else [sorted(names), []])


if __name__ == "__main__":
    unittest.main()
