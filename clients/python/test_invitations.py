"""What CI checks: `tests/clients/run python -m unittest discover clients/python`."""

import datetime
import os
import unittest
import uuid

import grpc

import example
import invitations
from ipmhub.invitations.v1.error_reason_pb2 import FIELD_INVALID, RESENT_TOO_SOON, ErrorReason
from ipmhub.invitations.v1.field_reason_pb2 import FIELD_MALFORMED, FieldReason
from ipmhub.invitations.v1.invitation_pb2 import Invitation
from ipmhub.invitations.v1.invitation_service_pb2 import CreateInvitationRequest, ResendInvitationRequest
from ipmhub.invitations.v1.invitation_service_pb2_grpc import InvitationServiceStub
from ipmhub.invitations.v1.organization_service_pb2 import GetOrganizationRequest
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

    async def problem(self, call):
        with self.assertRaises(grpc.aio.AioRpcError) as raised:
            await call
        return invitations.problem_of(raised.exception)
