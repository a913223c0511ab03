"""Connects to the invitation service of IPMHub, and reads its errors.

The generated code is in ipmhub.invitations.v1.
"""

import asyncio
import dataclasses
import datetime
import pathlib

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from ipmhub.invitations.v1.organization_service_pb2 import WatchEventsRequest
from ipmhub.invitations.v1.organization_service_pb2_grpc import OrganizationServiceStub

SERVICE_CONFIG = (pathlib.Path(__file__).parents[1] / "service-config.json").read_text()


def connect(address, token, credentials=None):
    """A channel whose calls carry the token and are repeated by the retry policy.

    `token()` is asked before each call, so that it can renew the token. Without credentials there is no TLS. Give each
    call a timeout: until then, it waits for the service.
    """
    options = [("grpc.service_config", SERVICE_CONFIG)]
    interceptors = [Bearer(token), StreamBearer(token)]
    if credentials is None:
        return grpc.aio.insecure_channel(address, options, interceptors=interceptors)
    return grpc.aio.secure_channel(address, credentials, options, interceptors=interceptors)


class Bearer(grpc.aio.UnaryUnaryClientInterceptor):
    """Adds the token to each call."""

    def __init__(self, token):
        self.token = token

    async def intercept_unary_unary(self, continuation, call, request):
        return await continuation(with_token(call, self.token()), request)


class StreamBearer(grpc.aio.UnaryStreamClientInterceptor):
    """Adds the token to each stream; grpc takes an interceptor for one kind of call only."""

    def __init__(self, token):
        self.token = token

    async def intercept_unary_stream(self, continuation, call, request):
        return await continuation(with_token(call, self.token()), request)


def with_token(call, token):
    metadata = grpc.aio.Metadata(*(call.metadata or ()), ("authorization", f"Bearer {token}"))
    return call._replace(metadata=metadata)


# The next stream would fail the same way.
FINAL = {grpc.StatusCode[name] for name in (
    "INVALID_ARGUMENT", "OUT_OF_RANGE", "FAILED_PRECONDITION", "UNIMPLEMENTED", "UNAUTHENTICATED", "PERMISSION_DENIED",
    "NOT_FOUND")}  # fmt: skip


async def watch(channel, request):
    """The messages of WatchEvents, over as many streams as it takes: each goes on after the newest token.

    Raises an error that the next stream would give again, such as UNAUTHENTICATED.
    """
    request, wait = WatchEventsRequest.FromString(request.SerializeToString()), 0
    while True:
        told = datetime.timedelta()
        try:
            async for message in OrganizationServiceStub(channel).WatchEvents(request):
                wait = 0
                if message.resume_token:
                    request.resume_token, request.send_initial = message.resume_token, False
                yield message
        except grpc.aio.AioRpcError as error:
            if error.code() in FINAL:
                raise
            told = problem_of(error).retry_after or told
        await asyncio.sleep(max(wait, told.total_seconds()))
        wait = min(max(2 * wait, 0.5), 5)


@dataclasses.dataclass
class Problem:
    """What the service says with an error."""

    code: grpc.StatusCode
    message: str
    # For programs: a name of ErrorReason, and empty where the error did not come from the service.
    reason: str = ""
    # Names the resources.
    metadata: dict[str, str] = dataclasses.field(default_factory=dict)
    # All bad fields of the request; the `reason` of each is a name of FieldReason.
    fields: list[error_details_pb2.BadRequest.FieldViolation] = dataclasses.field(default_factory=list)
    # How long to wait, where waiting helps.
    retry_after: datetime.timedelta | None = None


CODES = {code.value[0]: code for code in grpc.StatusCode}


def problem_of(error):
    """Reads the error of a call, a grpc.aio.AioRpcError, or of a row of a batch, a google.rpc.Status."""
    if isinstance(error, status_pb2.Status):
        problem, status = Problem(CODES[error.code], error.message), error
    else:
        problem, status = Problem(error.code(), error.details()), rpc_status.from_call(error)
    info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    for detail in status.details if status else ():
        if detail.Unpack(info):
            problem.reason, problem.metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad):
            problem.fields = list(bad.field_violations)
        elif detail.Unpack(retry):
            problem.retry_after = retry.retry_delay.ToTimedelta()
    return problem
