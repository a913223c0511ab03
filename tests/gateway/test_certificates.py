"""With the configuration that the chart makes, Envoy takes changed certificates without a restart."""

import http.client
import re
import subprocess
import unittest

import rig

HOME = rig.folder / "certificates"


def issue(version):
    """Every mounted file in a folder of its own, to which `..data` points from now on, as Kubernetes does it."""
    mounted = HOME / "invitations"
    (mounted / version).mkdir(parents=True)
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={version}", "-keyout", "key", "-out", "crt"]
    subprocess.run(make, cwd=mounted / version, check=True, capture_output=True)
    new = mounted / "..new"
    new.symlink_to(version)
    new.rename(mounted / "..data")


def mount():
    """The names by which the files are read."""
    for name in ["gateway_certificate", "service_ca", "tls_certificate_file"]:
        (HOME / "invitations" / name).symlink_to("..data/crt")
    for name in ["gateway_key", "tls_key_file"]:
        (HOME / "invitations" / name).symlink_to("..data/key")


def render(port, admin):
    """The files of the gateway's ConfigMap, with the folders and ports of this machine."""
    made = ["helm", "template", "gateway", rig.ROOT / "helm", "--kube-version", "1.35.0", "--values", rig.ROOT / "helm/ci/full-values.yaml"]
    text = subprocess.run([*made, "--show-only", "templates/gateway-configmap.yaml"], check=True, capture_output=True, text=True).stdout
    folder = HOME / "gateway"
    folder.mkdir()
    for name, content in re.findall(r"^  (\S+): \|-\n((?:    .*\n|\n)+)", text, re.M):
        for old, new in [
            ("/etc/gateway/", f"{folder}/"),
            ("/etc/invitations", f"{HOME}/invitations"),
            ("/descriptor/", f"{HOME}/"),
            ('"port_value": 8080', f'"port_value": {port}'),
            ('"port_value": 9901', f'"port_value": {admin}'),
        ]:
            content = content.replace(old, new)
        (folder / name).write_text(content)
    return folder / "envoy.json"


class Certificates(unittest.TestCase):
    def known(self, admin):
        """The subjects of all certificates and authorities that Envoy has."""
        connection = http.client.HTTPConnection("127.0.0.1", admin)
        connection.request("GET", "/certs?format=json")
        return connection.getresponse().read().decode()

    def shown(self, port):
        asked = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}"]
        out = subprocess.run(asked, stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout
        return re.search(r"subject=CN ?= ?(\w+)", out)[1]

    def test_a_changed_certificate_is_taken(self):
        issue("first")
        mount()
        port, admin = rig.free_port(), rig.free_port()
        subprocess.run([rig.binary(), "descriptor", "--output", HOME / "descriptor.bin"], check=True)
        process = rig.start("certificates", "envoy", "--disable-hot-restart", "--config-path", render(port, admin))
        rig.wait_for(lambda: rig.accepts(port), "certificates", process)
        before = self.known(admin)
        self.assertEqual((self.shown(port), len(serials(before))), ("first", 1), before)
        issue("second")
        # its own, and what is shown to the service and expected of it
        rig.wait_for(lambda: serials(self.known(admin)).isdisjoint(serials(before)), "the second certificate", process)
        self.assertEqual(self.shown(port), "second")


def serials(certificates):
    return set(re.findall(r'"serial_number": *"(\w+)"', certificates))


if __name__ == "__main__":
    unittest.main()
