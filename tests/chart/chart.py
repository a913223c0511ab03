"""What the chart renders, as objects."""

import copy
import functools
import json
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
HELM = ROOT / "helm"
# sets of values: those that are not `full` come on top of `minimal`
SETS = sorted(file.name.removesuffix("-values.yaml") for file in (HELM / "ci").glob("*-values.yaml"))


def files(name):
    return [HELM / f"ci/{file}-values.yaml" for file in ([name] if name in ("full", "minimal") else ["minimal", name])]


def helm(name, values, *options, chart=HELM):
    """The process of `helm template` with a set of values (None: the chart's own only) and further ones, as a dict."""
    command = ["helm", "template", "invitations", chart, "--namespace", "ipmhub", "--kube-version", "1.35.0", *options]
    for file in files(name) if name else []:
        command += ["--values", file]
    for key, value in values.items():
        command += ["--set-json", f"{key}={json.dumps(value)}"]
    return subprocess.run(command, capture_output=True, text=True)


@functools.cache
def _render(name, values):
    done = helm(name, json.loads(values))
    if done.returncode:
        raise AssertionError(done.stderr)
    return [made for made in yaml.safe_load_all(done.stdout) if made]


def render(name="minimal", **values):
    """All objects. A dot in the name of a value is written as two underscores."""
    values = {key.replace("__", "."): value for key, value in values.items()}
    return copy.deepcopy(_render(name, json.dumps(values, sort_keys=True)))


def refusal(name="minimal", **values):
    """What helm says to these values, which it must not accept."""
    values = {key.replace("__", "."): value for key, value in values.items()}
    done = helm(name, values)
    assert done.returncode, f"{values} was accepted"
    return done.stderr


def hooks(made):
    return made["metadata"].get("annotations", {}).get("helm.sh/hook", "").split(",")


def one(objects, kind, name="invitations", hook=""):
    found = [made for made in objects if made["kind"] == kind and made["metadata"]["name"] == name and hook in hooks(made)]
    assert len(found) == 1, f"{kind} {name}: {len(found)}"
    return found[0]


def has(objects, kind, name="invitations"):
    return any(made["kind"] == kind and made["metadata"]["name"] == name for made in objects)


def templates(objects):
    """Name and pod template of everything that makes pods."""
    return [(f"{made['kind']} {made['metadata']['name']} {hooks(made)[0]}", made["spec"]["template"]) for made in objects if "template" in made.get("spec", {})]


def pod(objects):
    """The pod of the service."""
    return one(objects, "Deployment")["spec"]["template"]["spec"]


def migration(objects):
    """The pod of the migration Job."""
    return one(objects, "Job", "invitations-migrate", "pre-upgrade")["spec"]["template"]["spec"]


def containers(spec):
    return spec.get("initContainers", []) + spec["containers"]


def container(spec, name):
    return next(each for each in containers(spec) if each["name"] == name)


def env(of):
    """The variables with values of a container."""
    return {each["name"]: each.get("value") for each in of.get("env", [])}


def mounted(spec, of):
    """The files in /etc/invitations of a container: name → (kind of source, its name, key)."""
    names = [mount["name"] for mount in of.get("volumeMounts", []) if mount["mountPath"] == "/etc/invitations"]
    result = {}
    for volume in spec["volumes"]:
        for source in volume.get("projected", {}).get("sources", []) if volume["name"] in names else []:
            ((kind, what),) = source.items()
            result.update({item["path"]: (kind, what["name"], item["key"]) for item in what["items"]})
    return result


def texts(value):
    """All texts in an object."""
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list):
        return [text for each in value for text in texts(each)]
    return [value] if isinstance(value, str) else []
