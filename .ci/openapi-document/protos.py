"""The protos of an image of buf, with their comments as people who know HTTP read them."""

import re

PACKAGE = ".ipmhub.invitations.v1."
# What is called otherwise over HTTP.
OTHERWISE = {
    "a `request_id`": "an `Idempotency-Key`",
    "`request_id`": "`Idempotency-Key`",
    "gRPC code": "HTTP status",
    "proto JSON": "JSON",
}
LABELS = "Who|Which invitation|From|Writes|Limits|Order|Checkpoints|End|Reasons|Metadata|Do"


def camel(name):
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def behavior(field):
    return field.get("options", {}).get("[google.api.field_behavior]", [])


class Protos:
    """All types by their full names, and the services; each part of them has its comment as `doc`."""

    def __init__(self, image):
        self.types, self.services = {}, []
        for file in image["file"]:
            locations = file.get("sourceCodeInfo", {}).get("location", [])
            docs = {tuple(one.get("path", [])): one.get("leadingComments", "") for one in locations}
            package = f".{file['package']}."
            self._add_types(docs, package, file.get("messageType", []), (4,), file.get("enumType", []), (5,))
            for number, service in enumerate(file.get("service", [])):
                self._document(docs, service, (6, number), service["method"])
                self.services.append(service)
        ours = [one for name, one in self.types.items() if name.startswith(PACKAGE)]
        self.fields = {field["name"] for one in ours for field in one.get("field", [])}
        resources = [one.get("options", {}).get("[google.api.resource]") for one in ours]
        self.patterns = {resource["type"]: resource["pattern"][0] for resource in resources if resource}

    def _add_types(self, docs, prefix, messages, messages_path, enums, enums_path):
        for number, enum in enumerate(enums):
            self._document(docs, enum, (*enums_path, number), enum["value"])
            self.types[prefix + enum["name"]] = enum
        for number, message in enumerate(messages):
            path = (*messages_path, number)
            self._document(docs, message, path, message.get("field", []))
            self.types[prefix + message["name"]] = message
            nested, enums = message.get("nestedType", []), message.get("enumType", [])
            self._add_types(docs, f"{prefix}{message['name']}.", nested, (*path, 3), enums, (*path, 4))

    @staticmethod
    def _document(docs, part, path, members):
        part["doc"] = docs.get(path, "")
        for number, member in enumerate(members):
            member["doc"] = docs.get((*path, 2, number), "")

    def text(self, doc, otherwise=OTHERWISE):
        """Markdown: names as they are in JSON, what has a label as a list, without the reasons."""
        lines, in_label = [], False
        for line in doc.rstrip().splitlines():
            line = line.removeprefix(" ")
            for words, others in otherwise.items():
                line = line.replace(words, others)
            label = re.match(rf"({LABELS}): (.*)", line)
            # the keys of ErrorInfo.metadata are no fields
            if not (label and label[1] == "Metadata"):
                line = re.sub(r"`([\w.]+)`", self._name, line)
            if label:
                if not in_label and lines and lines[-1]:
                    lines.append("")
                line = f"- **{label[1]}:** {line.partition(': ')[2]}"
            in_label = bool(label) or in_label and bool(line)
            lines.append(f"  {line}" if in_label and not label else line)
        return re.sub(r"\n?- \*\*Reasons:\*\*.*(\n  .*)*", "", "\n".join(lines)).strip()

    def _name(self, code):
        # what else has underscores is a setting of the deployment
        parts = [camel(part) if part in self.fields else part for part in code[1].split(".")]
        return f"`{'.'.join(parts)}`"
