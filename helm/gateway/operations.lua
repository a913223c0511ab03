-- Made by .ci/gateway-operations out of the protos. Do not edit.
local Account = { name = true, email = true, emails = true, provider = true, displayName = true, createTime = true }
local Delivery = { kind = true, state = true, attempts = true, smtpCode = true, detail = true, createTime = true, updateTime = true, waitsFor = true }
local Invitation = { name = true, state = true, email = true, account = true, accountEmail = true, role = true, inviter = true, offerer = true, approver = true, organizationDisplayName = true, locale = true, createTime = true, updateTime = true, expireTime = true, deliveries = Delivery, etag = true, annotations = "map", furtherDeliveries = true }
local CreateInvitationRequest = { parent = true, invitation = Invitation, requestId = true, validateOnly = true }
local BatchCreateInvitationsRequest = { parent = true, requests = CreateInvitationRequest, requestId = true, validateOnly = true }
local RequestAccessRequest = { code = true, requestId = true }
local OfferMembershipRequest = { parent = true, username = true, email = true, role = true, requestId = true }
local ApproveOfferRequest = { name = true, etag = true, requestId = true }
local RejectAccessRequest = { name = true, etag = true, requestId = true }
local RevokeInvitationRequest = { name = true, etag = true, requestId = true }
local RevokeInvitationsRequest = { parent = true, filter = true, requestId = true, validateOnly = true }
local ResendInvitationRequest = { name = true, etag = true, requestId = true, rotateCode = true }
local AcceptInvitationRequest = { name = true, etag = true, requestId = true }
local DeclineInvitationRequest = { name = true, etag = true, requestId = true }
local SuppressEmailRequest = { email = true, requestId = true }
local UnsuppressEmailRequest = { email = true, requestId = true }
local Policy = { allowedEmailDomains = true, blockedEmailDomains = true, allowedProviders = true, addressMatch = true, invitationLifetime = true, offerLifetime = true, approvalRole = true, remindersDisabled = true, expiryNotificationsDisabled = true, maxAttestationAge = true }
local OrganizationLimits = { invitationsPerDay = true, openInvitations = true }
local OrganizationChange = { policy = Policy, updateMask = true, author = true, createTime = true, effectiveTime = true, expireTime = true }
local Organization = { name = true, displayName = true, notificationEmail = true, locale = true, policy = Policy, seatLimit = true, seatsTaken = true, createTime = true, updateTime = true, etag = true, limits = OrganizationLimits, notificationEmailVerified = true, pendingChange = OrganizationChange }
local ApproveOrganizationChangeRequest = { name = true, etag = true, requestId = true }
local WithdrawOrganizationChangeRequest = { name = true, etag = true, requestId = true }
local VerifyNotificationEmailRequest = { name = true, code = true, requestId = true }
local Member = { name = true, account = true, email = true, role = true, inviter = true, createTime = true, updateTime = true, etag = true }

return {
  { method = "POST", path = "^/v1/accounts$", body = Account, query = { accountId = true, requestId = true } },
  { method = "POST", path = "^/v1/invitations:requestAccess$", body = RequestAccessRequest, query = {} },
  { method = "GET", path = "^/v1/organizations$", body = nil, query = { pageSize = true, pageToken = true } },
  { method = "POST", path = "^/v1/organizations$", body = Organization, query = { organizationId = true, owner = true, requestId = true } },
  { method = "PATCH", path = "^/v1/organizations/[^/:]+/members/[^/:]+$", body = Member, query = { updateMask = true, requestId = true } },
  { method = "DELETE", path = "^/v1/accounts/[^/:]+$", body = nil, query = { requestId = true } },
  { method = "GET", path = "^/v1/accounts/[^/:]+$", body = nil, query = {} },
  { method = "GET", path = "^/v1/organizations/[^/:]+/invitations/[^/:]+$", body = nil, query = {} },
  { method = "POST", path = "^/v1/organizations/[^/:]+/invitations/[^/:]+:accept$", body = AcceptInvitationRequest, query = {} },
  { method = "POST", path = "^/v1/organizations/[^/:]+/invitations/[^/:]+:approve$", body = ApproveOfferRequest, query = {} },
  { method = "POST", path = "^/v1/organizations/[^/:]+/invitations/[^/:]+:decline$", body = DeclineInvitationRequest, query = {} },
  { method = "POST", path = "^/v1/organizations/[^/:]+/invitations/[^/:]+:reject$", body = RejectAccessRequest, query = {} },
  { method = "POST", path = "^/v1/organizations/[^/:]+/invitations/[^/:]+:resend$", body = ResendInvitationRequest, query = {} },
  { method = "POST", path = "^/v1/organizations/[^/:]+/invitations/[^/:]+:revoke$", body = RevokeInvitationRequest, query = {} },
  { method = "DELETE", path = "^/v1/organizations/[^/:]+/members/[^/:]+$", body = nil, query = { etag = true, requestId = true } },
  { method = "GET", path = "^/v1/organizations/[^/:]+/members/[^/:]+$", body = nil, query = {} },
  { method = "GET", path = "^/v1/organizations/[^/:]+$", body = nil, query = {} },
  { method = "POST", path = "^/v1/organizations/[^/:]+:approveChange$", body = ApproveOrganizationChangeRequest, query = {} },
  { method = "POST", path = "^/v1/organizations/[^/:]+:verifyNotificationEmail$", body = VerifyNotificationEmailRequest, query = {} },
  { method = "POST", path = "^/v1/organizations/[^/:]+:withdrawChange$", body = WithdrawOrganizationChangeRequest, query = {} },
  { method = "PATCH", path = "^/v1/organizations/[^/:]+$", body = Organization, query = { updateMask = true, requestId = true } },
  { method = "GET", path = "^/v1/accounts/[^/:]+/invitations$", body = nil, query = { pageSize = true, pageToken = true } },
  { method = "GET", path = "^/v1/accounts/[^/:]+/memberships$", body = nil, query = { pageSize = true, pageToken = true } },
  { method = "GET", path = "^/v1/organizations/[^/:]+/events$", body = nil, query = { invitation = true, pageSize = true, pageToken = true } },
  { method = "GET", path = "^/v1/organizations/[^/:]+/events:watch$", body = nil, query = { filter = true, resumeToken = true, sendInitial = true }, stream = true },
  { method = "GET", path = "^/v1/organizations/[^/:]+/invitations$", body = nil, query = { pageSize = true, pageToken = true, states = "repeated", email = true, filter = true } },
  { method = "POST", path = "^/v1/organizations/[^/:]+/invitations$", body = Invitation, query = { requestId = true, validateOnly = true } },
  { method = "POST", path = "^/v1/organizations/[^/:]+/invitations:batchCreate$", body = BatchCreateInvitationsRequest, query = {} },
  { method = "GET", path = "^/v1/organizations/[^/:]+/invitations:batchGet$", body = nil, query = { names = "repeated" } },
  { method = "POST", path = "^/v1/organizations/[^/:]+/invitations:offerMembership$", body = OfferMembershipRequest, query = {} },
  { method = "POST", path = "^/v1/organizations/[^/:]+/invitations:revoke$", body = RevokeInvitationsRequest, query = {} },
  { method = "GET", path = "^/v1/organizations/[^/:]+/members$", body = nil, query = { pageSize = true, pageToken = true } },
  { method = "POST", path = "^/v1:suppressEmail$", body = SuppressEmailRequest, query = {} },
  { method = "POST", path = "^/v1:unsuppressEmail$", body = UnsuppressEmailRequest, query = {} },
}
