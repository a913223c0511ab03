"""Walks the seven steps of README, and shows what the service says to a mistake."""

import asyncio
import os
import pathlib
import re
import uuid

import grpc

import invitations
from ipmhub.invitations.v1.account_service_pb2 import CreateAccountRequest
from ipmhub.invitations.v1.account_service_pb2_grpc import AccountServiceStub
from ipmhub.invitations.v1.invitation_pb2 import Invitation
from ipmhub.invitations.v1.invitation_service_pb2 import (
    AcceptInvitationRequest,
    CreateInvitationRequest,
    ListAccountInvitationsRequest,
    OfferMembershipRequest,
    RequestAccessRequest,
)
from ipmhub.invitations.v1.invitation_service_pb2_grpc import InvitationServiceStub
from ipmhub.invitations.v1.organization_service_pb2 import GetMemberRequest
from ipmhub.invitations.v1.organization_service_pb2_grpc import OrganizationServiceStub
from ipmhub.invitations.v1.role_pb2 import CONTRIBUTOR, Role

ORGANIZATION = "organizations/acme"
CODE = re.compile("([0-9A-Z]{4}-){6}[0-9A-Z]{4}")
# The deadline of each call.
TIMEOUT = 10


def connect(who):
    # In production: credentials=grpc.ssl_channel_credentials().
    return invitations.connect(os.environ["IPMHUB_ADDRESS"], lambda: os.environ[f"IPMHUB_{who}_TOKEN"])


def request_id():
    """However often a call is repeated with it, it is one change."""
    return str(uuid.uuid4())


async def main():
    async with connect("OWNER") as owner, connect("PERSON") as person:
        member = await walk(owner, person, os.environ["IPMHUB_PERSON_USERNAME"], os.environ["IPMHUB_PERSON_EMAIL"])
        print(member.name, "is", Role.Name(member.role))
        try:
            request = CreateInvitationRequest(parent="acme", invitation=Invitation(email="anna"))
            await InvitationServiceStub(owner).CreateInvitation(request, timeout=TIMEOUT)
        except grpc.aio.AioRpcError as error:
            explain(invitations.problem_of(error))


async def walk(owner, person, username, email):
    print("1. an administrator invites", email)
    request = CreateInvitationRequest(
        parent=ORGANIZATION, invitation=Invitation(email=email), request_id=request_id()
    )
    await InvitationServiceStub(owner).CreateInvitation(request, timeout=TIMEOUT)

    print("2. the person creates the account", username)
    request = CreateAccountRequest(account_id=username, request_id=request_id())
    await AccountServiceStub(person).CreateAccount(request, timeout=TIMEOUT)

    print("3. the person requests access with the code of the email")
    code = CODE.search(await newest(f"X-Envelope-To: {email}")).group()
    request = RequestAccessRequest(code=code, request_id=request_id())
    await InvitationServiceStub(person).RequestAccess(request, timeout=TIMEOUT)

    print("4. the organization is told")
    await newest(f"Subject: {username} requests access")

    print("5. an administrator offers a role")
    request = OfferMembershipRequest(
        parent=ORGANIZATION, username=username, email=email, role=CONTRIBUTOR, request_id=request_id()
    )
    await InvitationServiceStub(owner).OfferMembership(request, timeout=TIMEOUT)

    print("6. the person gets the organization invitation")
    await newest(f"Hello {username},")

    print("7. the person accepts")
    request = ListAccountInvitationsRequest(parent="accounts/me")
    offers = await InvitationServiceStub(person).ListAccountInvitations(request, timeout=TIMEOUT)
    for offer in offers.invitations:
        request = AcceptInvitationRequest(name=offer.name, request_id=request_id())
        await InvitationServiceStub(person).AcceptInvitation(request, timeout=TIMEOUT)
    request = GetMemberRequest(name=f"{ORGANIZATION}/members/{username}")
    return await OrganizationServiceStub(owner).GetMember(request, timeout=TIMEOUT)


async def newest(words):
    """The newest email with these words, once it is there: what a person does at the mail program."""
    async with asyncio.timeout(30):
        while True:
            for file in sorted(pathlib.Path(os.environ["IPMHUB_MAILBOX"]).glob("*.eml"), reverse=True):
                if words in (message := file.read_text()):
                    return message
            await asyncio.sleep(0.1)


def explain(problem):
    print(f"{problem.reason} ({problem.code.name}): {problem.message}")
    for field in problem.fields:
        print(f"  {field.field}: {field.reason}, {field.description}")
    if problem.retry_after:
        print("  wait", problem.retry_after)


if __name__ == "__main__":
    asyncio.run(main())
