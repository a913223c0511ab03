"""The service, both gateways before it, and calls over plain HTTP. All of it is real, and ends with the tests."""

import atexit
import contextlib
import functools
import http.client
import json
import os
import pathlib
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIGURATION = ROOT / "gateway/envoy.yaml"
# So that a resend at once is refused with RetryInfo, and one soon after it is not; notification addresses get codes; and
# a stream soon says whether it may go on.
RESEND_INTERVAL = 2
SETTINGS = {
    "INVITATIONS_RESEND_INTERVAL_SECONDS": str(RESEND_INTERVAL),
    "INVITATIONS_UNVERIFIED_NOTIFICATIONS_LIMIT": "10",
    "INVITATIONS_WATCH_CHECKPOINT_SECONDS": "2",
}

# the parent has to be open: Postgres does not run as root, and so not as the owner of a folder of root's
folder = pathlib.Path(tempfile.mkdtemp(prefix="gateway-"))
folder.chmod(0o755)
atexit.register(shutil.rmtree, folder, ignore_errors=True)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def start(name, *command, **options):
    """A process that ends with the tests; its output goes to a file."""
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, **options)

    def end():
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()

    atexit.register(end)
    return process


def wait_for(what, name, process):
    for _ in range(1800):
        found = what()
        if found:
            return found
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"{name} does not come up:\n{(folder / f'{name}.log').read_text()[-3000:]}")


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@functools.cache
def binary():
    if "INVITATIONS" not in os.environ:
        subprocess.run(["cargo", "build", "--locked"], cwd=ROOT, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return os.environ.get("INVITATIONS", str(ROOT / target / "debug/invitations"))


@functools.cache
def service():
    """The address of a service with a Postgres of its own."""
    process = start("dev", binary(), "dev", "--dir", folder / "dev", "--listen", "127.0.0.1:0", env=os.environ | SETTINGS)
    ready = lambda: re.search(r"^ready (\S+)$", (folder / "dev.log").read_text(), re.M)
    return wait_for(ready, "dev", process)[1]


@functools.cache
def token(subject=None, *scopes):
    """Of a person, or of a service with these scopes."""
    email = "olga@acme.example" if subject == "olga" else f"{subject}@example.com"
    who = ["--subject", subject, "--email", email]
    if scopes:
        who = ["--service", subject, *(word for scope in scopes for word in ("--scope", scope))]
    made = subprocess.run([binary(), "token", "--dir", folder / "dev", *who], check=True, capture_output=True, text=True)
    return made.stdout.strip()


class Gateway:
    def __init__(self, name, port):
        self.name, self.port = name, port

    def send(self, method, path, who=None, body=None, headers=(), in_chunks=False):
        """The answer; `who` is a token, and `body` is sent as JSON unless it is bytes; in chunks without its length."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=40)
        headers = {name.lower(): value for name, value in dict(headers).items()}
        if who:
            headers.setdefault("authorization", f"Bearer {who}")
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("content-type", "application/json")
        with contextlib.closing(connection):
            connection.request(method, path, iter([body]) if in_chunks else body, headers)
            answer = connection.getresponse()
            return Answer(self.name, answer, answer.read())


    @contextlib.contextmanager
    def watch(self, path, who, headers=()):
        """The answer to a stream, and its lines as they come."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=40)
        with contextlib.closing(connection):
            connection.request("GET", path, headers=dict(headers) | {"authorization": f"Bearer {who}"})
            answer = connection.getresponse()
            yield answer, (line.decode().rstrip("\n") for line in iter(answer.readline, b""))


def events(lines):
    """The server-sent events of these lines, each as a map of its fields."""
    event = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line:
            event[name] = json.loads(value) if name == "data" else value
        elif event:
            yield event
            event = {}


def reason(status):
    """The reason of a google.rpc.Status in JSON."""
    found = [one["reason"] for one in (status or {}).get("details", []) if one["@type"].endswith("google.rpc.ErrorInfo")]
    return found[0] if found else None


class Answer:
    def __init__(self, gateway, answer, body):
        self.gateway, self.status, self.text = gateway, answer.status, body.decode(errors="replace")
        self.headers = {name.lower(): value for name, value in answer.getheaders()}
        is_json = self.headers.get("content-type") == "application/json"
        self.json = json.loads(self.text) if is_json and self.text else None

    def detail(self, name):
        found = [one for one in (self.json or {}).get("details", []) if one["@type"] == f"type.googleapis.com/google.rpc.{name}"]
        return found[0] if found else {}

    @property
    def reason(self):
        return reason(self.json)

    @property
    def fields(self):
        return [bad["field"] for bad in self.detail("BadRequest").get("fieldViolations", [])]

    def __repr__(self):
        return f"{self.gateway}: {self.status} {self.headers} {self.text}"


def envoy(name="envoy", change=lambda text: text, up=401):
    """Envoy with gateway/envoy.yaml, in which `change` may change something; it is there once the answer is `up`."""
    port, protos = free_port(), folder / "descriptor.bin"
    if not protos.exists():
        subprocess.run([binary(), "descriptor", "--output", protos], check=True)
    text = change(CONFIGURATION.read_text())
    for old, new in [
        ("port_value: 8080", f"port_value: {port}"),
        ("port_value: 50051", f"port_value: {service().rpartition(':')[2]}"),
        ("proto_descriptor: descriptor.bin", f"proto_descriptor: {protos}"),
    ]:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (folder / f"{name}.yaml").write_text(text)
    process = start(name, "envoy", "--disable-hot-restart", "--config-path", folder / f"{name}.yaml", cwd=ROOT)
    gateway = Gateway(name, port)
    # the service counts as away until it was found healthy
    wait_for(lambda: accepts(port) and gateway.send("GET", "/v1/organizations/acme").status == up, name, process)
    return gateway


def grpc_gateway():
    port, program = free_port(), folder / "grpc-gateway"
    source = ROOT / "clients/go/gateway"
    subprocess.run(["buf", "generate"], cwd=source, check=True)
    subprocess.run(["go", "build", "-o", program, "."], cwd=source, check=True)
    process = start("go", program, "-listen", f"127.0.0.1:{port}", "-service", service())
    wait_for(lambda: accepts(port), "go", process)
    return Gateway("go", port)


@functools.cache
def gateways():
    return envoy(), grpc_gateway()


def key():
    return str(uuid.uuid4())


def new(word):
    """A name that nobody has."""
    return f"{word}-{secrets.token_hex(4)}"


def email(*words):
    """The newest email in which all of these stand, once it is there, without its HTML part."""
    for _ in range(300):
        for file in sorted((folder / "dev/mailbox").glob("*.eml"), reverse=True):
            text = file.read_text()
            if all(word in text for word in words):
                return text.partition("text/html")[0]
        time.sleep(0.1)
    raise RuntimeError(f"no email with {words}")


def code(*words):
    return re.search(r"([0-9A-Z]{4}-){6}[0-9A-Z]{4}", email(*words))[0]
