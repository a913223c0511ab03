"""Services, routes and policies."""

import unittest

from chart import SETS, hooks, one, render, templates


def ports(rules):
    return [[port["port"] for port in rule["ports"]] for rule in rules]


def selects(selector, labels):
    return selector.items() <= labels.items()


class Services(unittest.TestCase):
    def test_they_say_what_the_port_speaks(self):
        for name, said in (("minimal", "kubernetes.io/h2c"), ("full", "https")):
            objects = render(name, service__headless=True)
            for service in ("invitations", "invitations-pods"):
                port = one(objects, "Service", service)["spec"]["ports"][0]
                self.assertEqual((port["name"], port["appProtocol"]), ("grpc", said))

    def test_one_without_address_for_whoever_balances_calls(self):
        found = [name for name in SETS if any(made["metadata"]["name"] == "invitations-pods" for made in render(name))]
        self.assertEqual(found, ["closed", "full", "gateway", "openshift", "scaled"])
        self.assertEqual(one(render("scaled"), "Service", "invitations-pods")["spec"]["clusterIP"], "None")

    def test_both_families_by_default(self):
        for name in ("gateway", "trial"):
            for made in render(name):
                if made["kind"] == "Service":
                    self.assertEqual(made["spec"]["ipFamilyPolicy"], "PreferDualStack", made["metadata"]["name"])
        spec = one(render("full"), "Service")["spec"]
        self.assertEqual((spec["ipFamilyPolicy"], spec["ipFamilies"]), ("SingleStack", ["IPv6"]))
        self.assertNotIn("ipFamilyPolicy", one(render("closed"), "Service")["spec"])

    def test_the_gateway_listens_where_the_service_does(self):
        def address(**values):
            objects = render("gateway", **values)
            text = next(made for made in objects if made["kind"] == "ConfigMap")["data"]["envoy.json"]
            return '"::"' in text and '"ipv4_compat": true' in text

        self.assertTrue(address())
        self.assertFalse(address(settings__listen="0.0.0.0:50051"))

    def test_each_finds_its_own_pods_and_no_others(self):
        for name in SETS:
            objects = render(name)
            pods = {what: template["metadata"]["labels"] for what, template in templates(objects)}
            for made in objects:
                selector = made["spec"].get("selector") if made["kind"] == "Service" else None
                if selector:
                    suffix = {"invitations-pods": ""}.get(made["metadata"]["name"], made["metadata"]["name"].removeprefix("invitations"))
                    kind = "StatefulSet" if suffix == "-postgresql" else "Deployment"
                    found = [what for what, labels in pods.items() if selects(selector, labels)]
                    self.assertEqual(found, [f"{kind} invitations{suffix} "], made["metadata"]["name"])

    def test_labels_and_annotations_can_be_added(self):
        meta = one(render("full"), "Service")["metadata"]
        self.assertEqual(meta["labels"]["exposed"], "no")
        self.assertIn("service.example.com/scope", meta["annotations"])


class Routes(unittest.TestCase):
    def test_the_ingress_goes_to_the_gateway_where_there_is_one(self):
        backend = lambda objects: one(objects, "Ingress")["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
        self.assertEqual(backend(render("full")), {"name": "invitations-gateway", "port": {"name": "http"}})
        plain = render(ingress={"enabled": True, "host": "a.example"})
        self.assertEqual(backend(plain), {"name": "invitations", "port": {"name": "grpc"}})
        self.assertNotIn("tls", one(plain, "Ingress")["spec"])
        wild = render(ingress={"enabled": True, "host": "*.example.com", "tlsSecretName": "wild"})
        self.assertEqual(one(wild, "Ingress")["spec"]["tls"], [{"hosts": ["*.example.com"], "secretName": "wild"}])

    def test_the_route_goes_to_grpc(self):
        route = one(render("full"), "GRPCRoute")["spec"]
        self.assertEqual(route["rules"], [{"backendRefs": [{"name": "invitations", "port": 443}]}])
        self.assertEqual(route["hostnames"], ["grpc.example.com"])


class Policies(unittest.TestCase):
    def test_the_service_may_reach_what_it_needs(self):
        spec = one(render("full"), "NetworkPolicy")["spec"]
        self.assertEqual(ports(spec["egress"]), [[53, 53], [6432], [465], [443, 3128], [4317]])
        self.assertIn("namespaceSelector", spec["egress"][4]["to"][0])
        self.assertEqual([rule.get("to", [None])[0] for rule in spec["egress"][:3]], [None, {"ipBlock": {"cidr": "10.1.0.0/16"}}, {"ipBlock": {"cidr": "10.2.0.0/16"}}])
        spec = one(render("closed"), "NetworkPolicy")["spec"]
        self.assertEqual(ports(spec["egress"]), [[53, 53], [5432], [587], [443]])
        self.assertFalse([rule for rule in spec["egress"] if "to" in rule])
        self.assertEqual(ports(one(render("closed", settings__smtp_port=2525), "NetworkPolicy")["spec"]["egress"])[2], [2525])
        self.assertEqual(ports(one(render(networkPolicy__enabled=True), "NetworkPolicy")["spec"]["egress"])[2], [465])
        for collector, port in {"http://otel:4317": 4317, "https://otel.example.com": 443, "http://[fd00::1]:4318/": 4318, "http://otel": 80, "http://10.0.0.1": 80}.items():
            egress = one(render("closed", settings__otlp_endpoint=collector), "NetworkPolicy")["spec"]["egress"]
            self.assertEqual((ports(egress)[4:], egress[4].get("to")), ([[port]], None))

    def test_callers_and_monitoring_come_in(self):
        calls, admin = one(render("full"), "NetworkPolicy")["spec"]["ingress"]
        self.assertEqual(calls["ports"][0]["port"], 50051)
        # the test, the gateway, and those of the values
        self.assertEqual(len(calls["from"]), 3)
        self.assertEqual((admin["ports"][0]["port"], len(admin["from"])), (9090, 2))
        # everybody may call, nobody but the test asks the other port
        calls, admin = one(render("closed"), "NetworkPolicy")["spec"]["ingress"]
        self.assertEqual(calls, {"ports": [{"port": 50051, "protocol": "TCP"}]})
        self.assertEqual(admin["from"], [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "invitations-test", "app.kubernetes.io/instance": "invitations"}}}])

    def test_each_pod_has_one(self):
        for name in ("full", "trial", "closed"):
            objects = render(name)
            policies = [made for made in objects if made["kind"] == "NetworkPolicy"]
            for what, template in templates(objects):
                if "post-delete" not in what:
                    found = [made for made in policies if selects(made["spec"]["podSelector"]["matchLabels"], template["metadata"]["labels"])]
                    self.assertEqual(len(found), 1, f"{name}: {what}")
                    self.assertEqual(found[0]["spec"]["policyTypes"], ["Ingress", "Egress"])

    def test_that_of_the_migration_is_there_before_it_and_gone_afterwards(self):
        policy = one(render("closed"), "NetworkPolicy", "invitations-migrate", "pre-install")
        self.assertEqual(hooks(policy), ["pre-install", "pre-upgrade"])
        self.assertLess(int(policy["metadata"]["annotations"]["helm.sh/hook-weight"]), 0)
        self.assertIn("hook-succeeded", policy["metadata"]["annotations"]["helm.sh/hook-delete-policy"])
        self.assertEqual(ports(policy["spec"]["egress"]), [[53, 53], [5432]])


if __name__ == "__main__":
    unittest.main()
