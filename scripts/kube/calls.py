#!/usr/bin/env python3
"""Calls the service while something is done to it, and counts what fails:

    scripts/kube/calls.py load FILE               as long as there is FILE.wanted; the counts go to FILE, as JSON
    scripts/kube/calls.py found                   the organization of the trial, and its owner's account
    scripts/kube/calls.py invite COUNT FILE       so many invitations; the addresses of the confirmed ones go to FILE

With IPMHUB_ADDRESS and IPMHUB_OWNER_TOKEN. `load` makes 20 calls a second in each of three ways, every tenth a write:

    policy    one connection, with the published retry policy
    plain     one connection, without a retry
    fresh     a new connection for each call, without a retry
"""

import asyncio
import collections
import json
import os
import pathlib
import secrets
import sys
import time
import uuid

import grpc

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "clients/python"))

import invitations
from ipmhub.invitations.v1.account_service_pb2 import CreateAccountRequest
from ipmhub.invitations.v1.account_service_pb2_grpc import AccountServiceStub
from ipmhub.invitations.v1.invitation_pb2 import Invitation
from ipmhub.invitations.v1.invitation_service_pb2 import CreateInvitationRequest
from ipmhub.invitations.v1.invitation_service_pb2_grpc import InvitationServiceStub
from ipmhub.invitations.v1.organization_pb2 import Organization
from ipmhub.invitations.v1.organization_service_pb2 import CreateOrganizationRequest, GetOrganizationRequest
from ipmhub.invitations.v1.organization_service_pb2_grpc import OrganizationServiceStub

ADDRESS = os.environ["IPMHUB_ADDRESS"]
TOKEN = os.environ["IPMHUB_OWNER_TOKEN"]
ORGANIZATION = "organizations/acme"
RATE = int(os.environ.get("IPMHUB_RATE", "20"))
# The deadline of each call.
TIMEOUT = 15
# Of one invitation, with the same request id.
ATTEMPTS = 10


def policy():
    return invitations.connect(ADDRESS, lambda: TOKEN)


def plain():
    # a pool of its own: channels of one process share their connections otherwise
    options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
    return grpc.aio.insecure_channel(ADDRESS, options, interceptors=[invitations.Bearer(lambda: TOKEN)])


def address():
    return f"{secrets.token_hex(8)}@example.net"


async def invite(channel, email, request_id):
    request = CreateInvitationRequest(parent=ORGANIZATION, invitation=Invitation(email=email), request_id=request_id)
    await InvitationServiceStub(channel).CreateInvitation(request, timeout=TIMEOUT)


async def read(channel):
    await OrganizationServiceStub(channel).GetOrganization(GetOrganizationRequest(name=ORGANIZATION), timeout=TIMEOUT)


class Way:
    """One of the ways to call, and how its calls went."""

    def __init__(self, connect, shared):
        self.connect = connect
        self.channel = connect() if shared else None
        self.calls = self.failed = 0
        self.slowest = 0.0
        self.reasons = collections.Counter()

    async def call(self):
        self.calls += 1
        write = self.calls % 10 == 0
        started = time.monotonic()
        channel = self.channel or self.connect()
        try:
            await (invite(channel, address(), str(uuid.uuid4())) if write else read(channel))
        except grpc.aio.AioRpcError as error:
            self.failed += 1
            self.reasons[f"{error.code().name}: {error.details()}"[:200]] += 1
        finally:
            self.slowest = max(self.slowest, time.monotonic() - started)
            if not self.channel:
                await channel.close()

    def counts(self):
        counts = {"calls": self.calls, "failed": self.failed, "slowest": round(self.slowest, 2)}
        return counts | {"reasons": dict(self.reasons.most_common(5))} if self.failed else counts


async def load(file):
    wanted, begun = pathlib.Path(f"{file}.wanted"), pathlib.Path(f"{file}.begun")
    ways = {"policy": Way(policy, True), "plain": Way(plain, True), "fresh": Way(plain, False)}
    running = set()
    due = time.monotonic()
    while wanted.exists():
        for way in ways.values():
            task = asyncio.create_task(way.call())
            running.add(task)
            task.add_done_callback(running.discard)
        due += 1 / RATE
        await asyncio.sleep(max(0, due - time.monotonic()))
        if any(way.calls > RATE for way in ways.values()):
            begun.touch()
    await asyncio.gather(*running)
    begun.unlink(missing_ok=True)
    pathlib.Path(file).write_text(json.dumps({name: way.counts() for name, way in ways.items()}))


async def found():
    async with policy() as channel:
        calls = (
            (AccountServiceStub(channel).CreateAccount, CreateAccountRequest(account_id="olga")),
            (
                OrganizationServiceStub(channel).CreateOrganization,
                CreateOrganizationRequest(
                    organization_id="acme",
                    organization=Organization(display_name="Acme", notification_email="olga@acme.example"),
                ),
            ),
        )
        for method, request in calls:
            try:
                await method(request, timeout=TIMEOUT)
            except grpc.aio.AioRpcError as error:
                if error.code() != grpc.StatusCode.ALREADY_EXISTS:
                    raise


async def invite_many(count, file):
    async with policy() as channel:
        room = asyncio.Semaphore(16)

        async def one(confirmed):
            async with room:
                email, request_id = address(), str(uuid.uuid4())
                for attempt in range(ATTEMPTS):
                    try:
                        await invite(channel, email, request_id)
                        break
                    except grpc.aio.AioRpcError as error:
                        # The policy repeats few of many calls that fail at once (retryThrottling).
                        if error.code() != grpc.StatusCode.UNAVAILABLE or attempt == ATTEMPTS - 1:
                            raise
                # at once: whoever watches the file sees how far this is
                confirmed.write(email + "\n")
                confirmed.flush()

        with open(file, "w") as confirmed:
            outcomes = await asyncio.gather(*(one(confirmed) for _ in range(int(count))), return_exceptions=True)
    failed = [outcome for outcome in outcomes if outcome]
    print(f"{len(failed)} of {count} invitations failed", *failed[:3])
    sys.exit(bool(failed))


COMMANDS = {"load": load, "found": found, "invite": invite_many}
asyncio.run(COMMANDS[sys.argv[1]](*sys.argv[2:]))
