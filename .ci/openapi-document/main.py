#!/usr/bin/env python3
"""The OpenAPI document of the HTTP annotations, with the comments of the protos.

    main.py IMAGE.json API.md >openapi.yaml

IMAGE.json is what `buf build` makes of the protos; the answers of the reasons are those of docs/api.md. A message has
two forms: as an answer it is the schema of its name, as a request it is `{Rpc}Body`, without what stands in the path, in
a header, or only in answers. So an answer need not hold what a request has to.
"""

import json
import re
import sys

import yaml
from openapi_schema_validator import OAS30Validator
from parts import DURATION, EXAMPLES, HEADERS, INTRODUCTION, NEEDED, PATHS, TEXT
from parts import LOCAL, STREAM, answer_headers, error_schemas, parameters, ref
from protos import PACKAGE, Protos, behavior

SCALARS = {
    "TYPE_STRING": TEXT,
    "TYPE_BOOL": {"type": "boolean"},
    "TYPE_INT32": {"type": "integer", "format": "int32"},
    ".google.protobuf.Timestamp": {"type": "string", "format": "date-time", "example": "2026-11-30T09:00:00Z"},
    ".google.protobuf.Duration": DURATION | {"example": "604800s"},
    ".google.protobuf.FieldMask": TEXT,
    ".google.rpc.Status": ref("schemas", "Status"),
}
CODES = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


class Operations:
    """The operations, and the components that they need."""

    def __init__(self, protos):
        self.protos = protos
        self.paths, self.schemas, self.responses = {}, {}, {}
        reasons = protos.types[f"{PACKAGE}ErrorReason"]
        codes = {value["name"]: re.match(r"[A-Z_]*", value["doc"].lstrip())[0] for value in reasons["value"]}
        self.codes = {reason: CODES[code] for reason, code in codes.items() if code in CODES}
        anywhere = next(part for part in reasons["doc"].split("\n\n") if part.startswith(" Any call may fail with"))
        self.anywhere = self.reasons(anywhere)
        for service in protos.services:
            for method in service["method"]:
                self.add(service["name"], method)

    def add(self, tag, method):
        http = method["options"]["[google.api.http]"]
        verb = next(verb for verb in ("get", "post", "patch", "delete") if verb in http)
        path, bound = expanded(http[verb])
        request = self.protos.types[method["inputType"]]
        fields = [field for field in request.get("field", []) if field["name"] not in bound]
        told = re.match(r"(?P<summary>.+?)\.(\s+|$)(?P<rest>.*)", self.protos.text(method["doc"]), re.DOTALL)
        operation = {"tags": [tag], "summary": told["summary"].replace("\n", " ")}
        if told["rest"]:
            operation["description"] = told["rest"]
        operation["operationId"] = method["name"]
        operation["parameters"] = [in_path(name) for name in re.findall(r"{(\w+)}", path)]
        body = http.get("body")
        plain = [field for field in fields if field["name"] not in (*HEADERS, body)]
        if body == "*":
            required = self.required(plain)
            operation |= self.body(method, plain, required, request, bool(required))
        else:
            operation["parameters"] += [self.in_query(field, request) for field in plain]
        resource = next((field for field in fields if field["name"] == body), None)
        if resource:
            operation |= self.resource_body(method, verb, resource)
        etags = self.protos.types[resource["typeName"]]["field"] if verb == "patch" else []
        operation["parameters"] += headers(
            fields + [field for field in etags if field["name"] == "etag"], NEEDED.get(method["name"], ())
        )
        if method.get("serverStreaming"):
            operation["parameters"].append(ref("parameters", "LastEventId"))
        operation["responses"] = self.answers(method, fields)
        self.paths.setdefault(path, {})[verb] = operation

    def in_query(self, field, request):
        schema = self.value(field, request)
        told = {"name": field["jsonName"], "in": "query", "description": schema.pop("description")}
        return told | ({"required": True} if "REQUIRED" in behavior(field) else {}) | {"schema": schema}

    def body(self, method, fields, required, message, is_needed):
        if not fields:
            return {}
        name = f"{method['name']}Body"
        self.schemas[name] = {"type": "object", "properties": self.properties(fields, message)} | required
        content = {"application/json": {"schema": ref("schemas", name)}}
        return {"requestBody": {"required": is_needed, "content": content}}

    def resource_body(self, method, verb, field):
        """What of a resource can be set. Nothing is required where it is only changed."""
        message = self.protos.types[field["typeName"]]
        hidden = {"OUTPUT_ONLY", "IDENTIFIER"} | ({"IMMUTABLE"} if verb == "patch" else set())
        fields = [one for one in message["field"] if not hidden & set(behavior(one))]
        if verb == "patch":
            return self.body(method, fields, {}, message, True)
        fields = [one for one in fields if one["name"] not in HEADERS]
        required = self.required(fields, NEEDED.get(method["name"], ()))
        return self.body(method, fields, required, message, bool(required))

    def answers(self, method, fields):
        """Success, and each HTTP code with the reasons that this call may give."""
        is_empty = method["outputType"] == ".google.protobuf.Empty"
        answers = {"200": answer("Done.", {"type": "object"} if is_empty else self.schema(method["outputType"]))}
        if method.get("serverStreaming"):
            content = answers["200"]["content"]
            answers["200"] |= {"description": STREAM, "content": {"text/event-stream": content["application/json"]}}
        not_here = {"ACCOUNT_REQUIRED"} if method["name"] == "CreateAccount" else set()
        not_here |= set() if any(field["name"] == "request_id" for field in fields) else {"REQUEST_ID_REUSED"}
        own = self.reasons(method["doc"].partition("Reasons:")[2])
        for code in sorted(set(self.codes.values())):
            common = [reason for reason in self.anywhere if self.codes[reason] == code]
            reasons = [reason for reason in dict.fromkeys(common + own) if self.codes[reason] == code]
            reasons = [reason for reason in reasons if reason not in not_here]
            if reasons and reasons == common:
                self.responses[f"Failed{code}"] = failure(code, reasons)
                answers[str(code)] = ref("responses", f"Failed{code}")
            elif reasons:
                answers[str(code)] = failure(code, reasons)
        return answers | {"default": ref("responses", "Failed")}

    def reasons(self, doc):
        return [word for word in re.findall(r"[A-Z_]+", doc) if word in self.codes]

    def schema(self, name):
        """A message or an enum as an answer, added to the components at its first use."""
        short = name.removeprefix(PACKAGE).replace(".", "")
        if short not in self.schemas:
            one = self.protos.types[name]
            told = self.protos.text(one["doc"])
            self.schemas[short] = schema = {}
            if "value" in one:
                values = [value["name"] for value in one["value"]]
                meaning = "\n".join(f"- {self.meaning(value)}" for value in one["value"])
                schema |= {"type": "string", "description": f"{told}\n\n{meaning}", "enum": values}
            else:
                properties = self.row(short, one) if short.endswith("Request") else self.properties(one["field"], one)
                schema |= {"type": "object", "description": told, "properties": properties}
                is_row = short.endswith("Request")
                schema |= self.required([field for field in one["field"] if not (is_row and field["name"] == "parent")])
        return ref("schemas", short)

    def row(self, short, message):
        """Of a request as one of many: the resource as the single request has it, and no headers."""
        properties = self.properties([one for one in message["field"] if one.get("typeName") not in self.protos.types], message)
        for field in message["field"]:
            told = self.protos.text(field["doc"], {}).partition(" The header `Idempotency-Key`")[0]
            body = {"allOf": [ref("schemas", f"{short.removesuffix('Request')}Body")]}
            properties[field["jsonName"]] = properties.get(field["jsonName"], body) | {"description": told}
        return properties

    def meaning(self, value):
        code = f" ({self.codes[value['name']]})" if value["name"] in self.codes else ""
        told = f"`{value['name']}`{code}: {self.protos.text(value['doc'])}"
        return re.sub(r"\n(?=.)", "\n  ", told)

    def required(self, fields, more=()):
        names = [field["jsonName"] for field in fields if "REQUIRED" in behavior(field)]
        assert set(more) <= {field["jsonName"] for field in fields}, f"no such fields: {more}"
        names += [name for name in more if name not in names]
        return {"required": names} if names else {}

    def properties(self, fields, message):
        return {field["jsonName"]: self.value(field, message) for field in fields}

    def value(self, field, message):
        kind = field.get("typeName", field["type"])
        entry = self.protos.types.get(kind, {})
        if entry.get("options", {}).get("mapEntry"):
            value = {"type": "object", "additionalProperties": TEXT}
        else:
            value = SCALARS[kind] if kind in SCALARS else self.schema(kind)
        if "additionalProperties" in value:
            pass
        elif field["label"] == "LABEL_REPEATED":
            value = {"type": "array", "items": value}
        elif "$ref" in value:
            # what stands beside a reference would be ignored
            value = {"allOf": [value]}
        is_rows = kind.endswith("Request")
        value = value | {"description": self.protos.text(field["doc"], *([{}] if is_rows else []))}
        if field["name"] == "page_size":
            value |= {"minimum": 0, "maximum": 200, "default": 50}
        example = EXAMPLES.get(f"{message['name']}.{field['name']}") or EXAMPLES.get(field["name"])
        if not example and (name := self.name(field, message)):
            example = [name] if value.get("type") == "array" else name
        return value | ({"example": example} if example else {})

    def name(self, field, message):
        """An example for a field that holds the name of a resource."""
        options = (message if field["name"] == "name" else field).get("options", {})
        resource = options.get("[google.api.resource]") or options.get("[google.api.resource_reference]") or {}
        patterns = self.protos.patterns | {"*": "accounts/{account}"}
        return re.sub(r"{(\w+)}", lambda part: PATHS[part[1]][1], patterns.get(resource.get("type"), ""))


def headers(fields, needed):
    kinds = {field["name"]: HEADERS[field["name"]] + ("Required" if field["name"] in needed else "")
             for field in fields if field["name"] in HEADERS}  # fmt: skip
    return [ref("parameters", kinds[name]) for name in HEADERS if name in kinds]


def in_path(name):
    told, example = PATHS[name]
    return {"name": name, "in": "path", "required": True, "description": told, "schema": TEXT, "example": example}


def expanded(path):
    """`/v1/{name=organizations/*}:do` is `/v1/organizations/{organization}:do`, where `name` is bound."""
    bound = [name.split(".")[-1] for name in re.findall(r"{([\w.]+)=", path)]
    named = re.sub(r"{[\w.]+=([^}]+)}", lambda part: re.sub(r"(\w+)s/\*", r"\1s/{\1}", part[1]), path)
    return named, bound


def answer(description, schema):
    content = {"application/json": {"schema": schema}}
    return {"description": description, "headers": {"X-Call-Id": ref("headers", "CallId")}, "content": content}


def failure(code, reasons):
    told = answer(", ".join(f"`{reason}`" for reason in reasons), ref("schemas", "Status"))
    told["content"]["application/json"]["examples"] = {reason: ref("examples", reason) for reason in reasons}
    if code in (429, 503):
        told["headers"]["Retry-After"] = ref("headers", "RetryAfter")
    return told


def document(image, page):
    protos = Protos(image)
    made = Operations(protos)
    has_field_reasons = f"{PACKAGE}FieldReason" in protos.types
    for enum in ["ErrorReason"] + ["FieldReason"] * has_field_reasons:
        made.schema(PACKAGE + enum)
    made.responses["Failed"] = answer("Failed otherwise, also before it came to the service.", ref("schemas", "Status"))
    examples = re.findall(r"^### ([A-Z_]+)$.*?^```json$(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    hosts = {service["options"]["[google.api.default_host]"] for service in protos.services}
    info = {"title": "IPMHub invitations", "version": "v1", "description": INTRODUCTION}
    return {
        "openapi": "3.0.3",
        "info": info | {"license": {"name": "MIT or Apache-2.0"}},
        "servers": [{"url": f"https://{host}"} for host in sorted(hosts)] + [LOCAL],
        "security": [{"accessToken": []}],
        "tags": [{"name": one["name"], "description": protos.text(one["doc"])} for one in protos.services],
        "paths": dict(sorted(made.paths.items())),
        "components": {
            "securitySchemes": {"accessToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "parameters": parameters(),
            "headers": answer_headers(),
            "schemas": dict(sorted((made.schemas | error_schemas(has_field_reasons)).items())),
            "responses": dict(sorted(made.responses.items())),
            "examples": {name: {"value": json.loads(body)} for name, body in sorted(examples)},
        },
    }


def check(made):
    """Each answer of a reason has to be a Status as it is described."""
    validator = OAS30Validator({"components": made["components"]} | ref("schemas", "Status"))
    for name, example in made["components"]["examples"].items():
        for problem in validator.iter_errors(example["value"]):
            sys.exit(f"the answer of {name} is no Status: {problem}")


class Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data):
        return True

    def increase_indent(self, flow=False, indentless=False):
        return super().increase_indent(flow, False)


def text(dumper, value):
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


def main():
    image, page = sys.argv[1:]
    with open(image, encoding="utf-8") as protos, open(page, encoding="utf-8") as answers:
        made = document(json.load(protos), answers.read())
    check(made)
    Dumper.add_representer(str, text)
    print("# Made from the protos by .ci/openapi --write.")
    yaml.dump(made, sys.stdout, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=118)


main()
