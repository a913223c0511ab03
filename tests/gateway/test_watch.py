"""WatchEvents over REST: server-sent events from Envoy, lines of JSON from grpc-gateway."""

import json
import time
import unittest

import rig

ACME = "/v1/organizations/acme"
WATCH = f"{ACME}/events:watch"
SSE = {"accept": "text/event-stream"}


class Watch(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.owner = rig.token("olga")
        cls.envoy, cls.go = rig.gateways()

    def invite(self):
        body = {"email": f"{rig.new('watch')}@example.com", "annotations": {"resumeToken": "mine"}}
        answer = self.envoy.send("POST", f"{ACME}/invitations", self.owner, body)
        self.assertEqual(answer.status, 200, answer)
        return answer.json["name"]

    def follow(self, path=WATCH, last=None, who=None, headers=SSE):
        headers = headers | ({"last-event-id": last} if last else {})
        return self.envoy.watch(path, who or self.owner, headers)

    def invited(self, events):
        """The invitations as their events come, each with the id of its message."""
        for event in events:
            self.assertEqual(event["id"], event["data"]["resumeToken"])
            for one in event["data"].get("events", []):
                self.assertEqual(one["kind"], "INVITED")
                yield one["invitation"], event["id"]

    def test_events_come_at_once_and_a_reader_goes_on_where_it_was(self):
        with self.follow() as (answer, lines):
            self.assertEqual((answer.status, answer.headers["content-type"]), (200, "text/event-stream"))
            self.assertEqual((answer.headers["cache-control"], answer.headers["x-accel-buffering"]), ("no-store", "no"))
            events = rig.events(lines)
            first = next(events)
            self.assertEqual(first, {"id": first["data"]["resumeToken"], "data": {"resumeToken": first["id"]}})
            name = self.invite()
            seen, last = next(self.invited(events))
            self.assertEqual(seen, name)
        missed = [self.invite() for _ in range(3)]
        # as a browser reconnects: to the URL of the first time, whatever stands in it
        for query in ["", "?resumeToken=old", f"?resume_token={first['id']}&sendInitial=true"]:
            with self.follow(WATCH + query, last) as (answer, lines):
                self.assertEqual(answer.status, 200)
                came = self.invited(rig.events(lines))
                self.assertEqual([next(came)[0] for _ in missed], missed)
        with self.follow(f"{WATCH}?resumeToken={last}") as (_, lines):
            self.assertEqual(next(self.invited(rig.events(lines)))[0], missed[0])

    def test_silence_is_filled_and_no_timeout_of_a_call_ends_it(self):
        impatient = rig.envoy("impatient", lambda text: text.replace("timeout: 35s", "timeout: 1s"))
        with impatient.watch(WATCH, self.owner) as (_, lines):
            start, events = time.monotonic(), rig.events(lines)
            ids = [next(events)["id"] for _ in range(3)]
            self.assertGreater(time.monotonic() - start, 2)
            self.assertTrue(all(ids))
        # the control: with a timeout of its own the stream is cut off
        cut = rig.envoy("cut", lambda text: text.replace("timeout: 0s, idle_timeout", "timeout: 1s, idle_timeout"))
        with cut.watch(WATCH, self.owner) as (answer, lines):
            with self.assertRaises((OSError, StopIteration, rig.http.client.IncompleteRead)):
                events = rig.events(lines)
                [next(events) for _ in range(3)]

    def test_the_present_state_first(self):
        self.invite()
        with self.follow(f"{WATCH}?sendInitial=true") as (_, lines):
            seen = set()
            for event in rig.events(lines):
                seen |= event["data"].keys()
                # also where somebody's annotation is called like the token
                self.assertEqual(event.get("id"), event["data"].get("resumeToken"))
                if "id" in event:
                    break
            self.assertEqual(seen, {"organization", "members", "invitations", "resumeToken"})

    def test_a_filter_in_the_query(self):
        with self.follow(f"{WATCH}?filter=kind%20!%3D+INVITED") as (answer, _):
            self.assertEqual(answer.status, 400)
        with self.follow(f"{WATCH}?filter=(kind+%3D+RESENT+OR+kind%3DINVITED)") as (answer, lines):
            self.assertEqual(answer.status, 200)
            events = rig.events(lines)
            next(events)
            name = self.invite()
            self.assertEqual(next(self.invited(events))[0], name)

    def test_what_is_refused_before_it_begins_is_an_ordinary_answer(self):
        for path, who, expected in [
            (WATCH, "x", (401, "TOKEN_INVALID")),
            ("/v1/organizations/nothing/events:watch", self.owner, (404, "ORGANIZATION_NOT_FOUND")),
            (f"{WATCH}?resumeToken=x", self.owner, (400, "RESUME_TOKEN_INVALID")),
            (f"{WATCH}?filter=colour%3Dred", self.owner, (400, "FIELD_INVALID")),
        ]:
            for gateway in rig.gateways():
                answer = gateway.send("GET", path, who, headers=SSE)
                self.assertEqual((answer.status, answer.headers["content-type"]), (expected[0], "application/json"), f"{path} {answer}")
                # grpc-gateway puts it into a line as those of the stream
                status = answer.json.get("error", answer.json)
                self.assertEqual("error" in answer.json, gateway is self.go)
                self.assertEqual(rig.reason(status), expected[1], answer)
        answer = self.envoy.send("GET", WATCH, self.owner, headers=SSE | {"last-event-id": 'a"&sendInitial=true#\\'})
        self.assertEqual((answer.status, answer.reason), (400, "RESUME_TOKEN_INVALID"), answer)
        answer = self.envoy.send("GET", f"{WATCH}?colour=red", self.owner, headers=SSE)
        self.assertEqual((answer.status, answer.fields), (400, ["colour"]), answer)
        for method in ["POST", "HEAD", "DELETE"]:
            for gateway in rig.gateways():
                answer = gateway.send(method, WATCH, self.owner)
                self.assertEqual(answer.status, 405, answer)

    def test_only_who_takes_server_sent_events_gets_them(self):
        for accept, expected in [
            ("application/json", 406),
            ("application/x-ndjson", 406),
            ("text/event-stream;q=0", 406),
            ("*/*", 200),
            ("text/*", 200),
            ("application/json, text/event-stream;q=0.5", 200),
        ]:
            with self.follow(headers={"accept": accept}) as (answer, _):
                self.assertEqual(answer.status, expected, accept)
        answer = self.envoy.send("GET", WATCH, self.owner, headers={"accept": "application/json"})
        self.assertEqual((answer.reason, answer.fields), ("FIELD_INVALID", ["accept"]), answer)

    def manager(self):
        """The token of a new manager, and what takes the membership away."""
        fred = rig.new("fred")
        token = rig.token(fred)
        self.envoy.send("POST", f"/v1/accounts?accountId={fred}", token, {})
        body = {"username": fred, "email": f"{fred}@example.com", "role": "MANAGER"}
        offer = self.envoy.send("POST", f"{ACME}/invitations:offerMembership", self.owner, body)
        self.assertEqual(self.envoy.send("POST", f"/v1/{offer.json['name']}:accept", token, {}).status, 200)
        return token, lambda: self.envoy.send("DELETE", f"{ACME}/members/{fred}", self.owner)

    def test_a_stream_ends_when_the_right_is_gone_and_the_next_request_says_why(self):
        token, leave = self.manager()
        with self.follow(who=token) as (_, lines):
            events = rig.events(lines)
            last = next(events)["id"]
            self.assertEqual(leave().status, 200)
            for event in events:
                last = event["id"]
        answer = self.envoy.send("GET", WATCH, token, headers=SSE | {"last-event-id": last})
        self.assertEqual((answer.status, answer.reason), (404, "ORGANIZATION_NOT_FOUND"), answer)

    def test_grpc_gateway_sends_lines_and_says_in_the_last_why_it_ends(self):
        token, leave = self.manager()
        with self.go.watch(f"{WATCH}?sendInitial=false", token) as (answer, lines):
            self.assertEqual((answer.status, answer.headers["content-type"]), (200, "application/json"))
            first = json.loads(next(lines))["result"]["resumeToken"]
            name = self.invite()
            self.assertEqual(self.lines_until_events(lines), name)
            self.assertEqual(leave().status, 200)
            *_, last = lines
            self.assertEqual(rig.reason(json.loads(last)["error"]), "ORGANIZATION_NOT_FOUND", last)
        with self.go.watch(f"{WATCH}?resumeToken={first}", self.owner) as (_, lines):
            self.assertEqual(self.lines_until_events(lines), name)

    def lines_until_events(self, lines):
        """The invitation of the next event."""
        return next(one["events"] for one in (json.loads(line)["result"] for line in lines) if "events" in one)[0]["invitation"]

    def test_more_streams_than_one_connection_to_the_service_takes(self):
        with rig.contextlib.ExitStack() as open_ones:
            for _ in range(70):
                answer, lines = open_ones.enter_context(self.follow())
                self.assertEqual(answer.status, 200)
                self.assertIn("id", next(rig.events(lines)))


if __name__ == "__main__":
    unittest.main()
