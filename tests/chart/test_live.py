"""What the chart looks up in the cluster. The cluster is a server here that knows a few objects."""

import base64
import contextlib
import http.server
import json
import os
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path

import yaml
from chart import HELM, files, one, render

RESOURCES = {
    "v1": [("secrets", "Secret"), ("configmaps", "ConfigMap")],
    "apps/v1": [("deployments", "Deployment")],
}


def answer(path, objects):
    """Discovery, and the objects by their paths."""
    if path == "/version":
        return {"major": "1", "minor": "35", "gitVersion": "v1.35.0"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        version = {"groupVersion": "apps/v1", "version": "v1"}
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [{"name": "apps", "versions": [version], "preferredVersion": version}]}
    group = path.removeprefix("/apis/").removeprefix("/api/")
    if group in RESOURCES:
        resources = [{"name": name, "kind": kind, "namespaced": True, "verbs": ["get", "list"]} for name, kind in RESOURCES[group]]
        return {"kind": "APIResourceList", "groupVersion": group, "resources": resources}
    return objects.get(path)


@contextlib.contextmanager
def cluster(objects):
    """The environment of a helm that reaches a cluster with these objects."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            found = answer(self.path.split("?")[0], objects)
            body = json.dumps(found or {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}).encode()
            self.send_response(200 if found else 404)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, tempfile.TemporaryDirectory() as home:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
            "users": [{"name": "test", "user": {}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }
        file = Path(home) / "config"
        file.write_text(json.dumps(config))
        try:
            yield {**os.environ, "KUBECONFIG": str(file), "HOME": home}
        finally:
            server.shutdown()


def upgrade(name, objects):
    """What an upgrade would apply over these objects."""
    with cluster(objects) as env:
        command = ["helm", "template", "invitations", HELM, "--namespace", "ipmhub", "--kube-version", "1.35.0", "--dry-run=server"]
        for file in files(name):
            command += ["--values", file]
        done = subprocess.run(command, capture_output=True, text=True, env=env)
    if done.returncode:
        raise AssertionError(done.stderr)
    return [made for made in yaml.safe_load_all(done.stdout) if made]


class Live(unittest.TestCase):
    def test_the_gateways_pods_keep_the_configuration_that_they_have_read(self):
        before = render("gateway", gateway__trustedHops=3)
        old = next(made for made in before if made["kind"] == "ConfigMap")
        name = old["metadata"]["name"]
        objects = {
            "/apis/apps/v1/namespaces/ipmhub/deployments/invitations-gateway": one(before, "Deployment", "invitations-gateway"),
            f"/api/v1/namespaces/ipmhub/configmaps/{name}": old,
        }
        after = {made["metadata"]["name"]: made["data"] for made in upgrade("gateway", objects) if made["kind"] == "ConfigMap"}
        new = next(made for made in render("gateway") if made["kind"] == "ConfigMap")
        self.assertEqual(after, {name: old["data"], new["metadata"]["name"]: new["data"]})
        # and the one after that is without it
        objects["/apis/apps/v1/namespaces/ipmhub/deployments/invitations-gateway"] = one(render("gateway"), "Deployment", "invitations-gateway")
        self.assertEqual([made["metadata"]["name"] for made in upgrade("gateway", objects) if made["kind"] == "ConfigMap"], [new["metadata"]["name"]])

    def test_the_trial_keeps_its_password(self):
        password = base64.b64encode(b"made at the first installation").decode()
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "invitations-postgresql"}, "data": {"password": password}}
        made = one(upgrade("trial", {"/api/v1/namespaces/ipmhub/secrets/invitations-postgresql": secret}), "Secret", "invitations-postgresql")
        self.assertEqual(made["stringData"]["password"], "made at the first installation")
        self.assertNotEqual(one(upgrade("trial", {}), "Secret", "invitations-postgresql")["stringData"]["password"], "made at the first installation")


if __name__ == "__main__":
    unittest.main()
