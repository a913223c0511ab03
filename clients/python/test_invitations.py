"""What CI checks: `tests/clients/run python -m unittest discover clients/python`."""

import asyncio
import datetime
import os
import unittest
import uuid

import grpc

import example
import invitations
from ipmhub.invitations.v1.error_reason_pb2 import FIELD_INVALID, RESENT_TOO_SOON, RESUME_TOKEN_INVALID, ErrorReason
from ipmhub.invitations.v1.field_reason_pb2 import FIELD_MALFORMED, FieldReason
from ipmhub.invitations.v1.invitation_pb2 import Invitation
from ipmhub.invitations.v1.invitation_service_pb2 import (
    BatchCreateInvitationsRequest,
    CreateInvitationRequest,
    ResendInvitationRequest,
)
from ipmhub.invitations.v1.invitation_service_pb2_grpc import InvitationServiceStub
from ipmhub.invitations.v1.organization_service_pb2 import GetOrganizationRequest, WatchEventsRequest
from ipmhub.invitations.v1.organization_service_pb2_grpc import OrganizationServiceStub
from ipmhub.invitations.v1.role_pb2 import CONTRIBUTOR


class Invitations(unittest.IsolatedAsyncioTestCase):
    async def test_person_has_access_after_the_seven_steps(self):
        username, email = os.environ["IPMHUB_PERSON_USERNAME"], os.environ["IPMHUB_PERSON_EMAIL"]
        async with example.connect("OWNER") as owner, example.connect("PERSON") as person:
            member = await example.walk(owner, person, username, email)
        self.assertEqual((member.account, member.role), (f"accounts/{username}", CONTRIBUTOR))

    async def test_problem_names_all_bad_fields(self):
        async with example.connect("OWNER") as owner:
            request = CreateInvitationRequest(parent="acme", invitation=Invitation(email="anna"))
            problem = await self.problem(InvitationServiceStub(owner).CreateInvitation(request, timeout=10))
        self.assertEqual(problem.code, grpc.StatusCode.INVALID_ARGUMENT)
        self.assertEqual(problem.reason, ErrorReason.Name(FIELD_INVALID))
        malformed = FieldReason.Name(FIELD_MALFORMED)
        self.assertEqual({field.field: field.reason for field in problem.fields},
                         {"parent": malformed, "invitation.email": malformed})

    async def test_problem_says_how_long_to_wait(self):
        async with example.connect("OWNER") as owner:
            invitation = Invitation(email=f"{uuid.uuid4()}@example.com")
            request = CreateInvitationRequest(parent=example.ORGANIZATION, invitation=invitation)
            invitation = await InvitationServiceStub(owner).CreateInvitation(request, timeout=10)
            request = ResendInvitationRequest(name=invitation.name)
            problem = await self.problem(InvitationServiceStub(owner).ResendInvitation(request, timeout=10))
        self.assertEqual(problem.reason, ErrorReason.Name(RESENT_TOO_SOON))
        self.assertTrue(datetime.timedelta() < problem.retry_after <= datetime.timedelta(minutes=1), problem)

    async def test_call_outlasts_an_unavailable_service(self):
        address = os.environ["IPMHUB_FLAKY_ADDRESS"]

        def token():
            return os.environ["IPMHUB_OWNER_TOKEN"]

        request = GetOrganizationRequest(name=example.ORGANIZATION)
        bare = grpc.aio.insecure_channel(address, interceptors=[invitations.Bearer(token)])
        async with bare, invitations.connect(address, token) as channel:
            problem = await self.problem(OrganizationServiceStub(bare).GetOrganization(request, timeout=30))
            self.assertEqual(problem.code, grpc.StatusCode.UNAVAILABLE)
            await OrganizationServiceStub(channel).GetOrganization(request, timeout=30)

    async def test_each_row_of_a_batch_has_a_result(self):
        email = f"{uuid.uuid4()}@example.com"
        rows = [CreateInvitationRequest(invitation=Invitation(email=one)) for one in (email, "anna")]
        request = BatchCreateInvitationsRequest(parent=example.ORGANIZATION, requests=rows, request_id=str(uuid.uuid4()))
        async with example.connect("OWNER") as owner:
            made, refused = (await InvitationServiceStub(owner).BatchCreateInvitations(request, timeout=10)).results
        self.assertEqual((made.WhichOneof("result"), made.invitation.email), ("invitation", email))
        problem = invitations.problem_of(refused.status)
        self.assertEqual((problem.code, problem.reason), (grpc.StatusCode.INVALID_ARGUMENT, ErrorReason.Name(FIELD_INVALID)))
        self.assertEqual([field.field for field in problem.fields], ["requests[1].invitation.email"])

    async def test_watch_goes_on_after_the_end_of_a_stream(self):
        # streams end after a second here, each with two messages where nothing happens
        quiet, name = 0, None
        async with example.connect("OWNER") as owner, asyncio.timeout(30):
            async for message in invitations.watch(owner, WatchEventsRequest(parent=example.ORGANIZATION, filter="kind = INVITED")):
                quiet += 1
                if quiet == 5:
                    request = CreateInvitationRequest(parent=example.ORGANIZATION, invitation=Invitation(email=f"{uuid.uuid4()}@example.com"))
                    name = (await InvitationServiceStub(owner).CreateInvitation(request, timeout=10)).name
                if name in [event.invitation for event in message.events]:
                    break
            request = WatchEventsRequest(parent=example.ORGANIZATION, resume_token="x")
            problem = await self.problem(anext(invitations.watch(owner, request)))
        self.assertEqual(problem.reason, ErrorReason.Name(RESUME_TOKEN_INVALID))

    async def problem(self, call):
        with self.assertRaises(grpc.aio.AioRpcError) as raised:
            await call
        return invitations.problem_of(raised.exception)
