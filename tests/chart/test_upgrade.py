"""From one release to the next: nothing immutable changes, and nothing that the pods of the release before read."""

import copy
import re
import shutil
import tempfile
import unittest
from pathlib import Path

import yaml
from chart import HELM, SETS, containers, files, helm, hooks, one, render, templates

# what `.ci/chart --write` has rendered of the release before: its full values, without hooks and the data of ConfigMaps
RELEASED = [made for made in yaml.safe_load_all((Path(__file__).parent / "released.yaml").read_text()) if made]
MUTABLE = {"StatefulSet": {"replicas", "template", "updateStrategy", "minReadySeconds", "ordinals", "persistentVolumeClaimRetentionPolicy", "revisionHistoryLimit"}}


def immutable(made):
    """Of an object, what the API server lets nobody change."""
    spec, kind = made.get("spec", {}), made["kind"]
    if kind in ("Deployment", "DaemonSet"):
        return {"selector": spec["selector"]}
    if kind == "StatefulSet":
        return {key: value for key, value in spec.items() if key not in MUTABLE[kind]}
    if kind == "Service":
        return {"clusterIP": spec.get("clusterIP"), **{"family": spec["ipFamilies"][0] for _ in spec.get("ipFamilies", [])}}
    return {}


def changes(before, after):
    """What could not be applied over `before`."""
    by_name = {(made["kind"], made["metadata"]["name"]): made for made in before if hooks(made) == [""]}
    found = []
    for made in after:
        old = by_name.get((made["kind"], made["metadata"]["name"])) if hooks(made) == [""] else None
        for key, value in immutable(made).items() if old else []:
            was = immutable(old)
            if was.get(key) != value and (key in was or key != "family"):
                found.append((made["kind"], made["metadata"]["name"], key))
    return found


def read(spec):
    """The ConfigMaps that a pod reads, by volume or variable."""
    sources = [source for volume in spec["volumes"] for source in [volume, *volume.get("projected", {}).get("sources", [])]]
    names = {source["configMap"]["name"] for source in sources if "configMap" in source}
    for of in containers(spec):
        names |= {each["configMapRef"]["name"] for each in of.get("envFrom", []) if "configMapRef" in each}
    return names


def another_version():
    """The same chart as a later version, as a folder."""
    folder = Path(tempfile.mkdtemp())
    shutil.copytree(HELM, folder / "helm")
    chart = folder / "helm/Chart.yaml"
    chart.write_text(re.sub(r"^(version|appVersion): .*", r'\1: "9.8.7"', chart.read_text(), flags=re.M))
    return folder


class Upgrade(unittest.TestCase):
    def test_what_the_release_before_rendered_can_be_upgraded(self):
        for name in SETS:
            self.assertEqual(changes(RELEASED, render(name)), [], name)
        names = lambda objects: {(made["kind"], made["metadata"]["name"]) for made in objects if made["kind"] in ("Deployment", "Service")}
        # under the same names, so this compares something
        self.assertLessEqual(names(RELEASED), names(render("full")))

    def test_a_changed_selector_is_found(self):
        changed = copy.deepcopy(RELEASED)
        one(changed, "Deployment")["spec"]["selector"]["matchLabels"]["a"] = "b"
        one(changed, "Service", "invitations-pods")["spec"].pop("clusterIP")
        found = changes(changed, render("full"))
        self.assertEqual(found, [("Service", "invitations-pods", "clusterIP"), ("Deployment", "invitations", "selector")])

    def test_selectors_stay_over_versions_and_values(self):
        folder = another_version()
        self.addCleanup(shutil.rmtree, folder)
        later = helm("minimal", {"image.tag": "9.8.7", "podLabels": {"team": "access"}, "gateway.enabled": True}, chart=folder / "helm")
        later = [made for made in yaml.safe_load_all(later.stdout) if made]
        self.assertEqual(one(later, "Deployment")["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/version"], "9.8.7")
        before = render("gateway")
        selectors = lambda objects: {
            (made["kind"], made["metadata"]["name"]): selector
            for made in objects
            for key in ("selector", "podSelector")
            if (selector := made.get("spec", {}).get(key))
        }
        self.assertEqual(selectors(before), selectors(later))
        self.assertEqual(changes(before, later), [])
        for made in later:
            if "template" in made.get("spec", {}) and "selector" in made["spec"]:
                labels = made["spec"]["template"]["metadata"]["labels"]
                self.assertLessEqual(made["spec"]["selector"]["matchLabels"].items(), labels.items())

    def test_every_object_has_the_recommended_labels(self):
        for name in SETS:
            for made in render(name):
                labels = made["metadata"]["labels"]
                self.assertLessEqual({f"app.kubernetes.io/{each}" for each in ("name", "instance", "version", "managed-by")}, labels.keys())
                self.assertEqual(labels["app.kubernetes.io/instance"], "invitations")


class OldPods(unittest.TestCase):
    def test_no_release_changes_what_they_read(self):
        """A ConfigMap that pods read has another name with other content."""
        for name, changed in (("full", {"settings__mail_workers": 500, "gateway__trustedHops": 3}), ("gateway", {"gateway__limits__connections": 5})):
            before, after = render(name), render(name, **changed)
            data = lambda objects: {made["metadata"]["name"]: made["data"] for made in objects if made["kind"] == "ConfigMap"}
            seen = 0
            for what, template in templates(before):
                for config in read(template["spec"]) & data(before).keys():
                    seen += 1
                    self.assertEqual(data(after).get(config, data(before)[config]), data(before)[config], what)
            self.assertEqual(seen, 1, "the gateway's configuration")
            self.assertNotEqual(data(before).keys(), data(after).keys())

    def test_the_release_before_this_one_read_a_config_map(self):
        """So `read` sees something."""
        self.assertEqual(read(one(RELEASED, "Deployment")["spec"]["template"]["spec"]), {"invitations"})

    def test_a_changed_setting_changes_the_template(self):
        template = lambda **values: one(render(**values), "Deployment")["spec"]["template"]
        self.assertNotEqual(template(), template(settings__mail_workers=5))

    def test_the_same_values_render_the_same(self):
        first, again = (helm("full", {}).stdout for _ in range(2))
        self.assertTrue(first)
        self.assertEqual(first, again)


if __name__ == "__main__":
    unittest.main()
