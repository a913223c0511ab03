#!/usr/bin/env python3
"""Strict JSON schemas for kubeconform, one self-contained file for each kind and version of Kubernetes.

    k8s-schemas.py OUT SWAGGER.json CRD.yaml ...
    kubeconform -strict -schema-location 'OUT/{{.ResourceKind}}{{.KindSuffix}}.json'

SWAGGER.json is api/openapi-spec/swagger.json of the k8s.io/kubernetes module, CRD.yaml what others add. kubeconform's
own schemas would have to be fetched from the internet at each run; these come with Go modules, whose checksums are known.
"""

import json
import sys
from pathlib import Path

PREFIX = "#/definitions/"
# Written by the API server's own parsers: the swagger calls them plain texts, YAML may give numbers.
SPECIAL = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["string", "integer"]},
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["string", "number"]},
}


def strict(schema):
    """The same schema, which refuses unknown fields; null stands for an optional field left out, as for the API server."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {
        key: {name: strict(value) for name, value in value.items()} if key == "properties" else strict(value)
        for key, value in schema.items()
        if not key.startswith("x-kubernetes")
    }
    if "properties" in schema:
        result.setdefault("additionalProperties", False)
        for name, value in result["properties"].items():
            if name not in schema.get("required", []) and isinstance(value.get("type"), str):
                value["type"] = [value["type"], "null"]
    return result


def references(schema, definitions, found):
    """Adds the names of all definitions that the schema needs to `found`."""
    if isinstance(schema, list):
        for item in schema:
            references(item, definitions, found)
    elif isinstance(schema, dict):
        target = schema.get("$ref")
        if isinstance(target, str) and (name := target.removeprefix(PREFIX)) not in found:
            found.add(name)
            references(definitions[name], definitions, found)
        for value in schema.values():
            references(value, definitions, found)


def kubernetes(swagger):
    """The kinds of Kubernetes itself: parts of the file's name, and the schema."""
    definitions = json.loads(swagger.read_text())["definitions"]
    for schema in definitions.values():
        kinds = schema.get("x-kubernetes-group-version-kind", [])
        # more than one kind: DeleteOptions and WatchEvent, which are in every group and in no manifest
        if len(kinds) != 1 or "kind" not in schema.get("properties", {}):
            continue
        group, version, kind = (kinds[0][key] for key in ("group", "version", "kind"))
        needed = set()
        references(schema, definitions, needed)
        document = strict(schema)
        document["definitions"] = {name: SPECIAL.get(name) or strict(definitions[name]) for name in sorted(needed)}
        yield group, version, kind, document


def custom(definition):
    """The kinds of a CustomResourceDefinition."""
    import yaml  # the schemas of Kubernetes itself need nothing but Python

    spec = yaml.safe_load(definition.read_text())["spec"]
    for version in spec["versions"]:
        document = strict(version["schema"]["openAPIV3Schema"])
        # what every object has, and a definition leaves to Kubernetes
        document["properties"]["metadata"] = {"type": "object"}
        yield spec["group"], version["name"], spec["names"]["kind"], document


def main():
    out, *sources = map(Path, sys.argv[1:])
    out.mkdir(parents=True, exist_ok=True)
    written = 0
    for source in sources:
        for group, version, kind, document in (kubernetes if source.suffix == ".json" else custom)(source):
            document["properties"]["apiVersion"] = {"const": f"{group}/{version}" if group else version}
            document["properties"]["kind"] = {"const": kind}
            document["required"] = sorted({"apiVersion", "kind", *document.get("required", [])})
            parts = [kind.lower(), group.split(".")[0], version] if group else [kind.lower(), version]
            (out / f"{'-'.join(parts)}.json").write_text(json.dumps(document))
            written += 1
    print(f"{written} schemas in {out}")


main()
