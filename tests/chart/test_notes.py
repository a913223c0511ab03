"""What people read: the notes after an installation, README.md, and what alerts and the dashboard say."""

import json
import re
import shutil
import tempfile
import unittest
from pathlib import Path

import yaml
from chart import HELM, ROOT, container, helm, mounted, one, pod, refusal, render

README = (HELM / "README.md").read_text()
OPERATING = (ROOT / "docs/operations.md").read_text()


class Notes(unittest.TestCase):
    def setUp(self):
        # helm renders notes only for a cluster
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        shutil.copytree(HELM, self.folder / "helm")
        notes = (HELM / "templates/NOTES.txt").read_text()
        (self.folder / "helm/templates/notes.yaml").write_text("notes: |\n" + re.sub("^", "  ", notes, flags=re.M))

    def notes(self, name):
        done = helm(name, {}, "--show-only", "templates/notes.yaml", chart=self.folder / "helm")
        self.assertEqual(done.returncode, 0, done.stderr)
        return yaml.safe_load(done.stdout)["notes"]

    def test_they_say_whether_the_service_has_tls(self):
        self.assertIn("-plaintext", self.notes("minimal"))
        self.assertIn("HTTP/2 without TLS", self.notes("minimal"))
        self.assertNotIn("-plaintext", self.notes("full"))
        self.assertIn("HTTP/2 over TLS", self.notes("full"))

    def test_they_say_where_the_reason_of_a_failure_is(self):
        notes = self.notes("minimal")
        self.assertIn("logs job/invitations-migrate -c check-config", notes)
        self.assertIn("logs job/invitations-migrate -c migrate", notes)
        self.assertIn("get events", notes)
        # `logs deployment/…` picks one pod, mostly a healthy one
        self.assertNotIn("logs deployment/", notes)

    def test_they_say_that_a_trial_is_one(self):
        self.assertIn("FOR TRYING ONLY", self.notes("trial"))
        self.assertNotIn("TRYING", self.notes("minimal"))


class Readme(unittest.TestCase):
    def test_the_minimal_values_are_those_that_are_tried(self):
        minimal = (HELM / "ci/minimal-values.yaml").read_text()
        self.assertIn(f"```yaml\n{minimal}```", README)

    def test_the_secret_that_it_makes_is_the_one_that_is_mounted(self):
        spec = pod(render())
        wanted = {(name, key) for kind, name, key in mounted(spec, container(spec, "invitations")).values() if kind == "secret"}
        command = re.search(r"create secret generic (\S+)((?:.*\\\n)*.*)", README)
        made = {(command[1], key) for key in re.findall(r"--from-(?:literal|file)=([\w.]+)=", command[2])}
        self.assertEqual(made, wanted)

    def test_every_example_of_values_is_accepted(self):
        examples = re.findall(r"```yaml\n(.*?)```", README, re.S)
        self.assertGreater(len(examples), 4)
        for text in examples:
            with self.subTest(text):
                file = Path(self.enterContext(tempfile.TemporaryDirectory())) / "my-values.yaml"
                file.write_text(text)
                done = helm("minimal", {}, "--values", file)
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_every_value_that_it_names_exists(self):
        known = [yaml.safe_load(file.read_text()) for file in (HELM / "values.yaml", HELM / "ci/full-values.yaml")]
        named = set(re.findall(r"`((?:" + "|".join(known[0]) + r")(?:\.\w+)+)", README))
        self.assertGreater(len(named), 10)
        for name in named - {"values.schema.json"}:
            for value in known:
                for part in name.split("."):
                    value = value.get(part) if isinstance(value, dict) else None
                if value is not None:
                    break
            else:
                self.fail(name)

    def test_every_file_that_it_links_exists(self):
        for link in re.findall(r"\]\(([^)#:]+)", README):
            self.assertTrue((HELM / link).exists(), link)

    def test_required_settings_are_named(self):
        for setting in re.findall(r"'(\w+)'", refusal(None)):
            self.assertIn(f"`{setting}`", README)


class Values(unittest.TestCase):
    TEXT = (HELM / "values.yaml").read_text()

    def test_they_are_few_lines_and_each_is_explained(self):
        self.assertLessEqual(len(self.TEXT.splitlines()), 150)
        explained = False
        for line in self.TEXT.splitlines():
            if not line.strip():
                explained = False  # a comment is for the lines below it, up to a blank one
            elif line.lstrip().startswith("#") or " # " in line:
                explained = True
            else:
                self.assertTrue(explained, line)

    def test_every_value_is_in_the_schema_and_the_other_way_round(self):
        schema = json.loads((HELM / "values.schema.json").read_text())["properties"]
        self.assertEqual(schema.keys() - {"global"}, yaml.safe_load(self.TEXT).keys())

    def test_the_full_values_change_every_one(self):
        full = yaml.safe_load((HELM / "ci/full-values.yaml").read_text())
        self.assertEqual(yaml.safe_load(self.TEXT).keys() - full.keys(), {"postgresql"})


class Monitoring(unittest.TestCase):
    TABLE = re.findall(r"^\| `([a-z]+_\w+)` \| (counter|gauge|histogram)", OPERATING, re.M)
    # what Prometheus makes of a histogram
    KNOWN = {name + part for name, kind in TABLE for part in (("_bucket", "_sum", "_count") if kind == "histogram" else ("",))}
    NAME = r"(?:invitations|rpc|db_client)_\w+"

    def rules(self):
        return one(render("scaled"), "PrometheusRule")["spec"]["groups"][0]["rules"]

    def test_every_metric_exists(self):
        self.assertIn("invitations_calls_total", self.KNOWN)
        board = one(render("scaled"), "ConfigMap", "invitations-dashboard")["data"]["invitations.json"]
        texts = {"alerts": " ".join(rule["expr"] for rule in self.rules()), "dashboard": " ".join(re.findall(r'"(?:expr|query)": "(.*)"', board))}
        for where, text in texts.items():
            used = set(re.findall(rf"({self.NAME})(?:\{{|,)", text))
            self.assertGreater(len(used), 4)
            self.assertLessEqual(used, self.KNOWN, where)

    def test_alerts_are_of_this_release_and_say_what_is_wrong(self):
        for rule in self.rules():
            selectors = re.findall(rf"(?:up|{self.NAME})\{{([^}}]*)\}}", rule["expr"])
            self.assertTrue(selectors, rule)
            for selector in selectors:
                self.assertTrue(selector.startswith('namespace="ipmhub",job="invitations"'), selector)
            self.assertRegex(rule["annotations"]["summary"], r"\.$")
            self.assertIn(rule["labels"]["severity"], ("warning", "critical"))

    def test_the_docs_say_for_each_alert_what_to_do(self):
        documented = set(re.findall(r"^\| `(Invitations\w+)` \|", OPERATING, re.M))
        self.assertEqual({rule["alert"] for rule in self.rules()}, documented)

    def test_the_codes_are_those_that_the_service_counts(self):
        codes = set(re.findall(r"\b(?:Unavailable|DeadlineExceeded|Internal|Unknown)\b", json.dumps(self.rules())))
        self.assertEqual(codes, {"Unavailable", "DeadlineExceeded", "Internal", "Unknown"})
        # the names of Rust's enum: src/grpc/telemetry.rs
        self.assertIn('format!("{code:?}")', (ROOT / "src/grpc/telemetry.rs").read_text())

    def test_prometheus_finds_the_port(self):
        objects = render("scaled")
        monitor, service = one(objects, "ServiceMonitor")["spec"], one(objects, "Service")
        self.assertLessEqual(monitor["selector"]["matchLabels"].items(), service["metadata"]["labels"].items())
        self.assertIn(monitor["endpoints"][0]["port"], [port["name"] for port in service["spec"]["ports"]])
        with_port = [made["metadata"]["name"] for made in objects if made["kind"] == "Service" and "admin" in str(made["spec"]["ports"])]
        self.assertEqual(with_port, ["invitations"])  # each pod once


if __name__ == "__main__":
    unittest.main()
