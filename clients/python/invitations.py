"""Connects to the invitation service of IPMHub, and reads its errors.

The generated code is in ipmhub.invitations.v1.
"""

import dataclasses
import datetime
import pathlib

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

SERVICE_CONFIG = (pathlib.Path(__file__).parents[1] / "service-config.json").read_text()


def connect(address, token, credentials=None):
    """A channel whose calls carry the token and are repeated by the retry policy.

    `token()` is asked before each call, so that it can renew the token. Without credentials there is no TLS. Give each
    call a timeout: until then, it waits for the service.
    """
    options = [("grpc.service_config", SERVICE_CONFIG)]
    interceptors = [Bearer(token)]
    if credentials is None:
        return grpc.aio.insecure_channel(address, options, interceptors=interceptors)
    return grpc.aio.secure_channel(address, credentials, options, interceptors=interceptors)


class Bearer(grpc.aio.UnaryUnaryClientInterceptor):
    """Adds the token to each call."""

    def __init__(self, token):
        self.token = token

    async def intercept_unary_unary(self, continuation, call, request):
        metadata = grpc.aio.Metadata(*(call.metadata or ()), ("authorization", f"Bearer {self.token()}"))
        return await continuation(call._replace(metadata=metadata), request)


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


def problem_of(error):
    """Reads the error of a call, a grpc.aio.AioRpcError."""
    problem = Problem(error.code(), error.details())
    status = rpc_status.from_call(error)
    info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    for detail in status.details if status else ():
        if detail.Unpack(info):
            problem.reason, problem.metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad):
            problem.fields = list(bad.field_violations)
        elif detail.Unpack(retry):
            problem.retry_after = retry.retry_delay.ToTimedelta()
    return problem
