"""Settings, secrets and files: how they reach the pods, and what is refused."""

import json
import re
import unittest

from chart import ROOT, SETS, container, containers, env, has, helm, migration, mounted, one, pod, refusal, render, templates, texts

ROWS = re.findall(r"^\| `(\w+)` \| `(INVITATIONS_\w+)` \| (\S+)", (ROOT / "docs/settings.md").read_text(), re.M)
# these lie in Secrets, so that no value of the chart can hold them
SECRET = {"database_url", "smtp_password"}


class Reachable(unittest.TestCase):
    def test_every_setting_of_the_binary_can_be_set(self):
        self.assertGreater(len(ROWS), 50)
        for setting, variable, _ in ROWS:
            with self.subTest(setting):
                if setting in SECRET:
                    spec = pod(render(**{f"secrets__{setting}": {"secretName": "some", "key": "value"}}))
                    # a file, whose line end is no part of the value
                    self.assertEqual(env(container(spec, "invitations"))[f"{variable}_FILE"], f"/etc/invitations/{setting}")
                    self.assertEqual(mounted(spec, container(spec, "invitations"))[setting], ("secret", "some", "value"))
                elif setting.endswith("_file") or setting == "config":
                    of = {"tls_key_file": "tls_certificate_file", "tls_certificate_file": "tls_key_file", "tls_client_ca_file": "tls_certificate_file"}
                    values = {setting: {"secretName": "some", "key": "value"}}
                    while (other := of.get(setting)) and other not in values:
                        values[setting := other] = {"secretName": "some", "key": "value"}
                    spec = pod(render(**{f"files__{each}": value for each, value in values.items()}))
                    path = env(container(spec, "invitations"))[variable]
                    self.assertIn(path.removeprefix("/etc/invitations/"), mounted(spec, container(spec, "invitations")))

    def test_every_other_setting_is_the_variable_of_its_name(self):
        others = [row for row in ROWS if row[0] not in SECRET and not row[0].endswith("_file") and row[0] not in ("config", "issuers")]
        fixed = {"listen": "[::]:50051", "admin_listen": "[::]:9090", "smtp_port": 2525, "endpoint_delay_seconds": 1, "drain_timeout_seconds": 2}
        values = {f"settings__{setting}": fixed.get(setting, "a text") for setting, _, _ in others}
        given = env(container(pod(render(**values)), "invitations"))
        for setting, variable, _ in others:
            self.assertEqual(given[variable], str(fixed.get(setting, "a text")))

    def test_what_is_no_text_is_json_and_large_numbers_are_numbers(self):
        values = {"settings__reflection": False, "settings__invitations_per_caller_limit": 1000000, "settings__reserved_names": ["a&b", "c"]}
        given = env(container(pod(render(**values)), "invitations"))
        self.assertEqual(given["INVITATIONS_REFLECTION"], "false")
        self.assertEqual(given["INVITATIONS_INVITATIONS_PER_CALLER_LIMIT"], "1000000")
        self.assertEqual(json.loads(given["INVITATIONS_RESERVED_NAMES"]), ["a&b", "c"])

    def test_no_dollar_becomes_something_else(self):
        """Kubernetes makes one $ of two, and looks up $(NAME)."""
        text = 'Team $$ <a@b.example> $(HOME) "$'
        for spec in (pod(render(settings__mail_from=text)), migration(render(settings__mail_from=text))):
            of = next(each for each in containers(spec) if "INVITATIONS_MAIL_FROM" in env(each))
            self.assertEqual(env(of)["INVITATIONS_MAIL_FROM"].replace("$$", "$"), text)
            self.assertNotRegex(env(of)["INVITATIONS_MAIL_FROM"].replace("$$", ""), r"\$")

    def test_check_config_sees_what_serve_sees(self):
        for name in SETS:
            objects = render(name)
            if has(objects, "StatefulSet", "invitations-postgresql"):
                continue
            with self.subTest(name):
                served, checked = container(pod(objects), "invitations"), container(migration(objects), "check-config")
                self.assertEqual(checked["args"], ["check-config"])
                self.assertEqual(checked["env"], served["env"])
                self.assertEqual(mounted(migration(objects), checked), mounted(pod(objects), served))
                paths = [mount["mountPath"] for mount in checked["volumeMounts"]]
                self.assertLessEqual({mount["mountPath"] for mount in served["volumeMounts"]}, {*paths})
                # and the token of a service account, where an issuer needs one
                token = "/var/run/secrets/kubernetes.io/serviceaccount"
                self.assertEqual(token in paths, pod(objects)["automountServiceAccountToken"])


class Secrets(unittest.TestCase):
    def test_what_migrates_is_given_the_database_alone(self):
        spec = migration(render("full"))
        of = container(spec, "migrate")
        self.assertEqual(
            {each["name"] for each in of["env"]},
            {"INVITATIONS_DATABASE_SERVICE_ROLE", "INVITATIONS_DATABASE_URL_FILE", "INVITATIONS_EVENTS_RETENTION_DAYS", "INVITATIONS_LOG_FORMAT", "INVITATIONS_LOG_LEVEL"},
        )
        files = {"database_url": ("secret", "invitations-database", "owner_url"), "postgres-ca.crt": ("configMap", "postgres-ca", "ca.crt")}
        self.assertEqual(mounted(spec, of), files)
        self.assertEqual([mount["mountPath"] for mount in of["volumeMounts"]], ["/etc/invitations"])
        # the service has more, so this sees something
        self.assertGreater(len(mounted(pod(render("full")), container(pod(render("full")), "invitations"))), 5)

    def test_no_variable_is_taken_from_elsewhere(self):
        """From a Secret it would have the line end, and from a ConfigMap it could change under a running pod."""
        for name in SETS:
            for what, template in templates(render(name)):
                for of in containers(template["spec"]):
                    self.assertNotIn("envFrom", of, what)
                    self.assertFalse([each for each in of.get("env", []) if "valueFrom" in each], what)

    def test_no_secret_is_written_out(self):
        """Neither in a ConfigMap nor as the value of a variable; the trial's is in its Secret alone."""
        for name in SETS:
            objects = render(name)
            secret = [text for made in objects if made["kind"] == "Secret" for text in made["stringData"].values()]
            self.assertEqual(len(secret), 2 if has(objects, "StatefulSet", "invitations-postgresql") else 0)
            for made in objects:
                if made["kind"] != "Secret":
                    self.assertFalse([text for text in texts(made) for word in secret if word in text], f"{name}: {made['kind']}")
                    self.assertFalse([text for text in texts(made) if re.search("postgres://|PRIVATE KEY", text)])
            for _, template in templates(objects):
                for of in containers(template["spec"]):
                    for variable, value in env(of).items():
                        if re.search("PASSWORD|SECRET|_URL$|KEY", variable) and value and not variable.endswith("BASE_URL"):
                            self.assertRegex(variable, "_FILE$")
                            self.assertRegex(value, "^/etc/")

    def test_a_secret_setting_is_refused_as_a_value(self):
        for setting in SECRET:
            self.assertIn(setting, refusal(**{f"settings__{setting}": "x"}))

    def test_files_may_have_dots_and_lie_in_config_maps(self):
        spec = pod(render("full"))
        files = mounted(spec, container(spec, "invitations"))
        self.assertEqual(files["postgres-ca.crt"], ("configMap", "postgres-ca", "ca.crt"))
        self.assertEqual(files["smtp_ca_file"], ("configMap", "company-ca", "ca.crt"))
        self.assertEqual(files["github.client-secret"][0], "secret")
        for bad in ("a/b", "..", ".hidden", "a..b"):
            done = helm("minimal", {"mounts": {bad: {"secretName": "a", "key": "b"}}})
            self.assertIn(f"{bad!r} does not match pattern", done.stderr)
        self.assertIn("code_keys_file", refusal(files__code_keys_file={"configMapName": "a", "key": "b", "secretName": None}))


class Refused(unittest.TestCase):
    def test_required_settings_are_asked_for_by_name(self):
        said = helm(None, {}).stderr
        for setting in ("public_base_url", "issuers", "smtp_host", "mail_from"):
            self.assertIn(setting, said)
        required = {setting for setting, _, default in ROWS if default == "required"}
        files = {"code_keys_file", "address_key_file", "database_url"}
        self.assertEqual(required, {"public_base_url", "issuers", "smtp_host", "mail_from"} | files)
        for file in files - {"database_url"}:
            self.assertIn(file, refusal(**{f"files__{file}": None}))

    def test_wrong_values_are_refused_by_name(self):
        for key, value in {
            "sizes": 1, "replicas": "two", "image__tga": 2, "settings__Listen": "x", "settings__listen": "0.0.0.0:8080",
            "secrets__smtp_password__name": "x", "service__port": 99999, "gateway__enabled": "maybe", "gateway__limits__connections": 0,
            "terminationGracePeriodSeconds": 5, "settings__admin_listen": "127.0.0.1:9090", "settings__issuers": [], "topologySpread": "Maybe",
            "service__ipFamilyPolicy": "Dual", "migration__activeDeadlineSeconds": 0, "networkPolicy__callers": [{"pod": {}}],
            "autoscaling__minReplicas": 0, "ingress__host": "https://a", "podLabels": {"a": 1}, "extraEnv": [{"value": "x"}],
            "files__smtp_host": {"secretName": "a", "key": "b"}, "files__smtp_ca_file": {"key": "b"}, "extraVolumes": [{"name": "files"}],
        }.items():
            with self.subTest(key):
                self.assertIn(key.split("__")[-1], refusal(**{key: value}))

    def test_values_that_do_not_go_together_are_refused(self):
        for values, said in [
            ({"settings__smtp_ca_file": "/a", "files__smtp_ca_file": {"secretName": "a", "key": "b"}}, "smtp_ca_file is in `settings` and in `files`"),
            ({"settings__tls_certificate_file": "/a"}, "tls_certificate_file belongs below `files`"),
            ({"mounts__database_url": {"secretName": "a", "key": "b"}}, "mounts.database_url"),
            ({"secrets__smtp_ca_file": {"secretName": "a", "key": "b"}, "files__smtp_ca_file": {"secretName": "a", "key": "b"}}, "`files` and in `secrets`"),
            ({"ingress__enabled": True}, "ingress.host"),
            ({"grpcRoute__enabled": True}, "grpcRoute.parentRefs"),
            ({"autoscaling": {"enabled": True, "minReplicas": 5, "maxReplicas": 2}}, "minReplicas must not be more"),
            ({"files__tls_certificate_file": {"secretName": "a", "key": "b"}}, "tls_key_file"),
            ({"postgresql__trial": True, "migration__secrets__database_url": {"secretName": "a", "key": "b"}}, "migration.secrets"),
        ]:
            with self.subTest(said):
                self.assertIn(said, refusal(**values))

    def test_a_way_out_longer_than_the_grace_period_is_refused(self):
        for wrong in ({"settings__drain_timeout_seconds": 23}, {"settings__endpoint_delay_seconds": 8}, {"terminationGracePeriodSeconds": 37}):
            self.assertIn("terminationGracePeriodSeconds must be at least", refusal(**wrong))
        for fine in ({"settings__drain_timeout_seconds": 22}, {"settings__endpoint_delay_seconds": 0}, {"terminationGracePeriodSeconds": 38}):
            self.assertTrue(one(render(**fine), "Deployment"))


if __name__ == "__main__":
    unittest.main()
