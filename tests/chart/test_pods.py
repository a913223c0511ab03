"""Pods: their rights, where they run, and the Jobs among them."""

import unittest

from chart import SETS, container, containers, env, has, hooks, migration, mounted, one, pod, render, templates

RESTRICTED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
# what Pod Security "restricted" has besides
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


class Restricted(unittest.TestCase):
    def test_every_container_is(self):
        seen = set()
        for name in SETS:
            for what, template in templates(render(name)):
                spec = template["spec"]
                with self.subTest(f"{name}: {what}"):
                    self.assertTrue(spec["securityContext"]["runAsNonRoot"])
                    self.assertEqual(spec["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
                    self.assertFalse(spec["enableServiceLinks"])
                    self.assertFalse({"hostNetwork", "hostPID", "hostIPC"} & spec.keys())
                    for volume in spec["volumes"]:
                        self.assertLessEqual(volume.keys() - {"name"}, VOLUMES)
                    for of in containers(spec):
                        seen.add(of["name"])
                        self.assertLessEqual(RESTRICTED.items(), of["securityContext"].items())
                        self.assertTrue(of["resources"])
        self.assertEqual(seen, {"invitations", "check-config", "migrate", "none", "probe", "descriptor", "envoy", "postgresql"})

    def test_no_token_is_mounted_unless_asked_for(self):
        for name in SETS:
            asked = name in ("full", "services")
            for what, template in templates(render(name)):
                self.assertEqual(template["spec"]["automountServiceAccountToken"], asked and what.startswith("Deployment invitations ") , what)
            if asked:
                spec = migration(render(name))
                with_token = [of["name"] for of in containers(spec) for mount in of["volumeMounts"] if mount["name"] == "token"]
                self.assertEqual(with_token, ["check-config"])

    def test_contexts_can_be_taken_away(self):
        """A cluster gives ids of its own, and the group of the files with them."""
        for what, template in templates(render("openshift")):
            context = template["spec"]["securityContext"]
            self.assertFalse({"runAsUser", "runAsGroup", "fsGroup"} & context.keys(), what)
            self.assertTrue(context["runAsNonRoot"])
        for what, template in templates(render(podSecurityContext=None, securityContext=None, gateway__enabled=True, postgresql__trial=True)):
            self.assertNotIn("securityContext", template["spec"])
            for of in containers(template["spec"]):
                self.assertNotIn("securityContext", of, what)

    def test_mounted_files_are_for_the_group_alone(self):
        for name in SETS:
            for _, template in templates(render(name)):
                for volume in template["spec"]["volumes"]:
                    if volume["name"] in ("files", "service", "migration"):
                        self.assertEqual(volume["projected"]["defaultMode"], 0o440)


class Sound(unittest.TestCase):
    """What the API server asks for beyond its schemas."""

    def test_volumes_mounts_and_variables_go_together(self):
        for name in SETS:
            for what, template in templates(render(name)):
                spec = template["spec"]
                with self.subTest(f"{name}: {what}"):
                    volumes = [volume["name"] for volume in spec["volumes"]]
                    self.assertEqual(len(volumes), len({*volumes}))
                    paths = [[item["path"] for source in volume.get("projected", {}).get("sources", []) for each in source.values() for item in each.get("items", [])] for volume in spec["volumes"]]
                    for each in paths:
                        self.assertEqual(len(each), len({*each}))
                    used = set()
                    for of in containers(spec):
                        mounts = [mount["mountPath"] for mount in of.get("volumeMounts", [])]
                        self.assertEqual(len(mounts), len({*mounts}))
                        used |= {mount["name"] for mount in of.get("volumeMounts", [])}
                        names = [each["name"] for each in of.get("env", [])]
                        self.assertEqual(len(names), len({*names}), of["name"])
                        self.assertTrue(all(isinstance(each["value"], str) for each in of.get("env", [])))
                    self.assertLessEqual(used, {*volumes})
                    self.assertLessEqual({*volumes} - used, {"files"})

    def test_names_are_short_enough_for_the_longest_release(self):
        release = "a" * 53
        for name in SETS:
            for made in render(name):
                made_name = made["metadata"]["name"].replace("invitations", release, 1)
                # of these, Kubernetes makes labels
                if made["kind"] in ("Job", "Deployment") or (made["kind"] == "Service" and "postgresql" not in made_name):
                    self.assertLessEqual(len(made_name), 63)


class Placed(unittest.TestCase):
    def test_all_pods_go_where_the_values_say(self):
        for what, template in templates(render("full")):
            spec = template["spec"]
            with self.subTest(what):
                self.assertEqual(spec["nodeSelector"], {"kubernetes.io/os": "linux"})
                self.assertEqual(spec["tolerations"][0]["key"], "dedicated")
                self.assertIn("nodeAffinity", spec["affinity"])
                self.assertEqual(spec["priorityClassName"], "services")
                self.assertEqual(spec["imagePullSecrets"], [{"name": "registry"}])

    def test_pods_spread_as_asked(self):
        for name, wanted in (("minimal", "ScheduleAnyway"), ("full", "DoNotSchedule"), ("closed", None)):
            spread = pod(render(name)).get("topologySpreadConstraints", [])
            self.assertEqual({each["whenUnsatisfiable"] for each in spread}, {wanted} - {None})
            self.assertEqual({each["topologyKey"] for each in spread}, {"topology.kubernetes.io/zone", "kubernetes.io/hostname"} if wanted else set())

    def test_labels_annotations_environment_and_volumes_can_be_added(self):
        objects = render("full")
        template = one(objects, "Deployment")["spec"]["template"]
        self.assertEqual(template["metadata"]["labels"]["team"], "access")
        self.assertIn("config.linkerd.io/skip-outbound-ports", template["metadata"]["annotations"])
        served = container(template["spec"], "invitations")
        self.assertEqual(env(served)["HTTPS_PROXY"], "http://proxy.example.com:3128")
        self.assertIn("/etc/bundle", [mount["mountPath"] for mount in served["volumeMounts"]])
        self.assertIn("bundle", [volume["name"] for volume in template["spec"]["volumes"]])
        own = render(podLabels={"app.kubernetes.io/name": "mine"})
        self.assertEqual(one(own, "Deployment")["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"], "invitations")

    def test_a_named_port_for_probes_and_metrics(self):
        ports = lambda objects: {port["name"]: port["containerPort"] for port in container(pod(objects), "invitations")["ports"]}
        self.assertEqual(ports(render()), {"grpc": 50051, "admin": 50052})
        self.assertEqual(ports(render("full")), {"grpc": 50051, "admin": 9090})

    def test_replicas_are_left_to_whoever_scales(self):
        self.assertEqual(one(render(), "Deployment")["spec"]["replicas"], 2)
        for name in ("scaled", "full", "closed"):
            self.assertNotIn("replicas", one(render(name), "Deployment")["spec"])
        self.assertEqual(one(render("full"), "HorizontalPodAutoscaler")["spec"]["minReplicas"], 3)
        self.assertFalse(has(render("closed"), "HorizontalPodAutoscaler"))
        self.assertFalse(has(render("closed"), "PodDisruptionBudget"))
        self.assertEqual(one(render("full"), "PodDisruptionBudget")["spec"]["maxUnavailable"], "25%")

    def test_probes_ask_the_port_without_tls(self):
        plain, tls = container(pod(render()), "invitations"), container(pod(render("full")), "invitations")
        for probe, service in (("startupProbe", "liveness"), ("readinessProbe", ""), ("livenessProbe", "liveness")):
            self.assertEqual(plain[probe]["grpc"], {"port": 50052, "service": service})
            self.assertEqual(tls[probe]["grpc"], {"port": 9090, "service": service})


class Jobs(unittest.TestCase):
    def test_the_migration_runs_before_the_objects_of_the_release(self):
        for name in SETS:
            objects = render(name)
            if has(objects, "StatefulSet", "invitations-postgresql"):
                continue
            self.assertNotIn("serviceAccountName", migration(objects))
            own = {made["metadata"]["name"] for made in objects if made["kind"] in ("ConfigMap", "Secret")}
            text = str(migration(objects))
            self.assertFalse([each for each in own if f"'{each}'" in text])

    def test_wrong_settings_fail_it_at_once_and_it_gives_up_before_helm(self):
        job = one(render(), "Job", "invitations-migrate", "pre-install")
        self.assertEqual([of["name"] for of in containers(job["spec"]["template"]["spec"])], ["check-config", "migrate"])
        # the exit status of wrong settings: src/main.rs
        self.assertEqual(job["spec"]["podFailurePolicy"]["rules"], [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [2]}}])
        self.assertEqual(job["spec"]["template"]["spec"]["restartPolicy"], "Never")
        self.assertLess(job["spec"]["activeDeadlineSeconds"], 300)

    def test_it_stays_for_its_log_until_the_next_or_the_end_of_the_release(self):
        objects = render()
        job = one(objects, "Job", "invitations-migrate", "pre-upgrade")
        self.assertEqual(job["metadata"]["annotations"]["helm.sh/hook-delete-policy"], "before-hook-creation")
        self.assertNotIn("ttlSecondsAfterFinished", job["spec"])
        for name in SETS:
            objects = render(name)
            left = {(made["kind"], made["metadata"]["name"]) for made in objects if hooks(made) != [""] and "post-delete" not in hooks(made) and "hook-succeeded" not in made["metadata"]["annotations"]["helm.sh/hook-delete-policy"]}
            taken = {(made["kind"], made["metadata"]["name"]): made for made in objects if "post-delete" in hooks(made)}
            self.assertLessEqual(left, taken.keys())
            for made in taken.values():
                self.assertEqual(made["spec"]["completions"], 0)
                self.assertEqual(made["metadata"]["annotations"]["helm.sh/hook-delete-policy"], "before-hook-creation,hook-succeeded,hook-failed")

    def test_no_sidecar_keeps_a_job_alive(self):
        metas = lambda name: [template["metadata"] for what, template in templates(render(name)) if "pre-install" in what or what.endswith(" test")]
        self.assertEqual(len(metas("minimal")), 2)
        for meta in metas("minimal"):
            self.assertEqual(meta["labels"]["sidecar.istio.io/inject"], "false")
            self.assertEqual(meta["annotations"]["linkerd.io/inject"], "disabled")
        for meta in metas("full"):
            self.assertEqual(meta["labels"]["sidecar.istio.io/inject"], "true")
        for meta in metas("closed"):
            self.assertNotIn("annotations", meta)
        self.assertIn("jobs.example.com/kind", one(render("full"), "Job", "invitations-migrate", "pre-install")["metadata"]["annotations"])

    def test_the_test_asks_through_the_service(self):
        args = lambda objects: one(objects, "Job", "invitations-test", "test")["spec"]["template"]["spec"]["containers"][0]["args"]
        self.assertEqual(args(render()), ["probe", "--address=invitations.ipmhub.svc:50051"])
        # a certificate is asked for, or nobody knows whom to trust
        self.assertEqual(args(render("full")), ["probe", "--address=invitations.ipmhub.svc:9090"])
        tls = {f"files__tls_{each}_file": {"secretName": "a", "key": each} for each in ("certificate", "key")}
        self.assertEqual(args(render(**tls)), ["probe", "--address=invitations.ipmhub.svc:50052"])
        known = render(**tls, gateway__serviceCa={"secretName": "a", "key": "ca"})
        self.assertEqual(args(known)[1:], ["--address=invitations.ipmhub.svc:50051", "--tls", "--tls-ca-file=/etc/invitations/service_ca"])

    def test_the_trial_migrates_once_its_postgres_is_there(self):
        objects = render("trial")
        self.assertFalse([made for made in objects if "pre-install" in hooks(made) and made["kind"] == "Job"])
        for of in containers(pod(objects)):
            self.assertEqual(mounted(pod(objects), of)["database_url"], ("secret", "invitations-postgresql", "database_url"))
        secret = one(objects, "Secret", "invitations-postgresql")["stringData"]
        self.assertIn(f":{secret['password']}@invitations-postgresql.ipmhub.svc:5432/", secret["database_url"])


if __name__ == "__main__":
    unittest.main()
