"""What the document says that the protos do not: examples, headers, and the schema of a failure."""

INTRODUCTION = """\
The HTTP and JSON form of the invitation service, as its gateway serves it.

- **Tokens:** each request has `Authorization: Bearer` with an access token of a person or of a service.
- **Errors:** every answer but 200 is a `Status`. The `reason` of its `ErrorInfo` is for programs; treat one that you do
  not know by its HTTP code. 429 and 503 have `Retry-After`.
- **Repeating a change:** send `Idempotency-Key`, a new UUID, with each change. The same request with the same key
  changes nothing more, for 24 h.
- **Editing together:** send the `etag` that you read as `If-Match`. 409 with `ETAG_MISMATCH`: it has changed since.
- **Fields** with their default (empty, 0, false, `…_UNSPECIFIED`) may be left out of an answer."""

STREAM = """\
Server-sent events without an end. The `data` of each is one object as below, in one line, and its `id` is the object's
`resumeToken`, which `Last-Event-ID` takes. An event called `error` has a `Status` and is the last one. A stream may end
without one: send the request again, with the last id."""

LOCAL = {"url": "http://127.0.0.1:8080", "description": "gateway/envoy.yaml beside `invitations dev`"}

# What a creation needs although an answer may lack it, so that the protos do not require it of the resource.
NEEDED = {
    "CreateInvitation": ["email"],
    "CreateOrganization": ["displayName", "notificationEmail"],
    "ApproveOrganizationChange": ["etag"],
}

PATHS = {
    "organization": ("The organization's slug.", "acme"),
    "invitation": ("The invitation's id, a UUID.", "01936f5e-8e2f-7c4b-9d3a-5f6e7a8b9c0d"),
    "member": ("The member's username.", "anna"),
    "account": ("The username; `me` is the caller's.", "anna"),
    "event": ("The event's position.", "17"),
}

# By the name of the field, or of its message and itself.
EXAMPLES = {
    "account_email": "anna@example.com",
    "account_id": "anna",
    "after": "CONTRIBUTOR",
    "allowed_email_domains": ["acme.example"],
    "allowed_providers": ["entra"],
    "annotations": {"ticket": "OPS-7"},
    "attempts": 1,
    "before": "READER",
    "blocked_email_domains": ["mail.example"],
    "code": "K7QW-2M9D-4TXR-8HJC-6VNP-3FGB-5YAZ",
    "display_name": "Acme",
    "email": "anna@example.com",
    "emails": ["anna@example.com"],
    "etag": "2",
    "field": "role",
    "ListInvitationsRequest.filter": "state = INVITED",
    "RevokeInvitationsRequest.filter": "inviter = \"accounts/anna\" AND state = INVITED",
    "WatchEventsRequest.filter": "kind = INVITED",
    "invitations_per_day": 200,
    "locale": "en",
    "notification_email": "access@acme.example",
    "open_invitations": 100,
    "organization_display_name": "Acme",
    "organization_id": "acme",
    "page_size": 50,
    "provider": "github",
    "request_id": "7f4df6b2-5f0c-4d5e-9c39-6a7b8c9d0e1f",
    "role": "CONTRIBUTOR",
    "seat_limit": 50,
    "smtp_code": 250,
    "update_mask": "displayName,policy.approvalRole",
    "UpdateMemberRequest.update_mask": "role",
    "username": "anna",
}
TEXT = {"type": "string"}
DURATION = {"type": "string", "pattern": r"^\d+(\.\d{1,9})?s$"}
KEY = "A UUID of your choice; makes a repeated call safe for 24 h: nothing more is changed, charged or sent."
LAST_ID = "The id of the last event that was read; takes the place of `resumeToken` and `sendInitial` in the query."
MATCH = "The etag that was read; 409 with `ETAG_MISMATCH` if it is another one now."
# The headers that stand for a field of the request.
HEADERS = {"request_id": "IdempotencyKey", "etag": "IfMatch"}


def ref(kind, name):
    return {"$ref": f"#/components/{kind}/{name}"}


def parameters():
    def header(name, description, example, required=False):
        described = {"description": description, "schema": TEXT} | ({"example": example} if example else {})
        return {"name": name, "in": "header", "required": required} | described

    return {
        "IdempotencyKey": header("Idempotency-Key", KEY, EXAMPLES["request_id"]),
        "IfMatch": header("If-Match", f"{MATCH} Without it nothing is checked.", EXAMPLES["etag"]),
        "LastEventId": header("Last-Event-ID", LAST_ID, None),
        "IfMatchRequired": header("If-Match", MATCH, EXAMPLES["etag"], True),
    }


def answer_headers():
    return {
        "CallId": {"description": "The id of this call, for reports.", "schema": TEXT},
        "RetryAfter": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}},
    }


def detail(name, description, properties, optional=()):
    """The schema of a detail of `google.rpc`, which says itself what it is."""
    required = ["@type", *(name for name in properties if name not in optional)]
    kind = {"@type": TEXT | {"enum": [f"type.googleapis.com/google.rpc.{name}"]}}
    return {"type": "object", "description": description, "required": required, "properties": kind | properties}


def error_schemas(has_field_reasons):
    """`google.rpc.Status` with the details that there are here."""
    reason = {"allOf": [ref("schemas", "ErrorReason")]}
    metadata = {"type": "object", "additionalProperties": TEXT, "description": "What the reason is about."}
    info = {"reason": reason, "domain": TEXT | {"example": "invitations.ipmhub.io"}, "metadata": metadata}
    delay = {"retryDelay": DURATION | {"example": "30s"}}
    wait = "How long to wait before the next try; also in `Retry-After`, in seconds."
    violations = {"fieldViolations": {"type": "array", "items": ref("schemas", "FieldViolation")}}
    violation = {"field": TEXT | {"example": "invitation.email"}, "description": TEXT | {"description": "The rule."}}
    if has_field_reasons:
        violation["reason"] = {"allOf": [ref("schemas", "FieldReason")]}
    details = {
        "ErrorInfo": detail("ErrorInfo", "Why the call failed, for programs.", info, ["metadata"]),
        "BadRequest": detail("BadRequest", "All invalid fields at once.", violations),
        "RetryInfo": detail("RetryInfo", wait, delay),
    }
    mapping = {one["properties"]["@type"]["enum"][0]: f"#/components/schemas/{name}" for name, one in details.items()}
    one_of = {"oneOf": [ref("schemas", name) for name in details]}
    one_of |= {"discriminator": {"propertyName": "@type", "mapping": mapping}}
    status = {
        "code": {"type": "integer", "format": "int32", "description": "The gRPC code.", "example": 5},
        "message": TEXT | {"description": "For people: what is wrong, and what to do."},
        "details": {"type": "array", "items": one_of},
    }
    told = "Why a call failed: the body of every answer but 200."
    return details | {
        "FieldViolation": {"type": "object", "required": ["field"], "properties": violation},
        "Status": {"type": "object", "description": told, "required": ["code", "message"], "properties": status},
    }
