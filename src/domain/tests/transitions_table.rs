//! Every transition from every state by every kind of caller, as data: who, from where, what becomes of it, and why.
//!
//! The first line that fits decides. The invitation is for `anna@one.example`; from ACCESS_REQUESTED on it is bound to
//! Anna, and offers are of READER, by an OWNER. In ACCEPTED she is a member with that role.

/// Who calls: a member is called by its role, a service by its scope (`bare` has none, `outside` has all of them for
/// another organization). `other` is bound to another invitation, `deleted` is an OWNER whose account is deleted.
pub(super) const CALLERS: &str = "stranger NONE READER CONTRIBUTOR SECURITY_MANAGER MANAGER OWNER bound other deleted \
                                  bare read write grant admin outside";
/// `late`: its time has just passed and no sweep has been there.
pub(super) const STATES: &str = "none INVITED INVITED-late ACCESS_REQUESTED PENDING_APPROVAL PENDING_APPROVAL-late \
                                 OFFERED OFFERED-late ACCEPTED DECLINED REJECTED REVOKED EXPIRED";
/// Words for several of them.
pub(super) const GROUPS: [(&str, &str); 5] = [
    ("outsiders", "stranger other deleted outside"),
    ("users", "NONE READER CONTRIBUTOR"),
    ("members", "NONE READER CONTRIBUTOR SECURITY_MANAGER MANAGER OWNER"),
    ("services", "bare read write grant admin"),
    ("open", "INVITED ACCESS_REQUESTED PENDING_APPROVAL OFFERED"),
];

/// Callers, states, outcome, reason. An outcome is the name of a refusal; `its state`: the refusal that says which state
/// it is in; `becomes …`; `stays`: a success that changes nothing; `another is …`: a success with a new invitation.
pub(super) type Line = (&'static str, &'static str, &'static str, &'static str);

pub(super) const CREATE: &[Line] = &[
    ("bound", "ACCEPTED", "RoleRequired", "she is a READER by now"),
    ("outsiders bound", "any", "OrganizationNotFound", "nobody outside learns that the organization exists"),
    ("users", "any", "RoleRequired", "they do not invite"),
    ("bare read grant admin", "any", "ScopeRequired", "inviting is invitations.write"),
    ("any", "open", "OpenInvitationExists", "one open invitation for each address"),
    ("any", "ACCEPTED", "AlreadyMember", "the address that a member was offered under"),
    ("any", "any", "another is INVITED", "what is over is in nobody's way, swept or not"),
];

pub(super) const REQUEST: &[Line] = &[
    ("outside", "any", "InvitationNotFound", "it does not reach the organization"),
    ("services", "any", "PersonRequired", "no service asks for a person"),
    ("deleted", "any", "AccountRequired", "the account is gone"),
    ("any", "none INVITED-late", "CodeNotFound", "an expired code is like an unknown one"),
    ("members", "INVITED", "AlreadyMember", "there is nothing to ask for"),
    ("other", "INVITED", "OpenInvitationExists", "one open invitation for each account"),
    ("stranger bound", "INVITED", "becomes ACCESS_REQUESTED", "the first account binds the code"),
    ("bound", "ACCESS_REQUESTED PENDING_APPROVAL OFFERED ACCEPTED", "stays", "a repetition is answered as it is"),
    ("bound", "any", "its state", "she may know how it ended"),
    ("any", "any", "CodeNotFound", "a used code is like an unknown one"),
];

pub(super) const OFFER: &[Line] = &[
    ("bound", "ACCEPTED", "RoleRequired", "she is a READER by now"),
    ("outsiders bound", "any", "OrganizationNotFound", "nobody outside learns that the organization exists"),
    ("users", "any", "RoleRequired", "they grant nothing"),
    ("bare read write admin", "any", "ScopeRequired", "offering is members.grant"),
    ("any", "INVITED", "becomes OFFERED", "the invitation of that address, which nobody has used"),
    ("any", "ACCESS_REQUESTED", "becomes OFFERED", "the answer to the request"),
    ("any", "PENDING_APPROVAL OFFERED", "stays", "the same offer again"),
    ("any", "ACCEPTED", "AlreadyMember", "a member's role is UpdateMember's"),
    ("any", "any", "another is OFFERED", "a direct offer; what is over is in nobody's way"),
];

/// Of CONTRIBUTOR, where READER has been offered.
pub(super) const OFFER_ANOTHER_ROLE: &[Line] = &[
    ("bound", "ACCEPTED", "RoleRequired", "she is a READER by now"),
    ("outsiders bound", "any", "OrganizationNotFound", "nobody outside learns that the organization exists"),
    ("users", "any", "RoleRequired", "they grant nothing"),
    ("bare read write admin", "any", "ScopeRequired", "offering is members.grant"),
    ("any", "INVITED ACCESS_REQUESTED", "becomes OFFERED", "nothing has been offered yet"),
    ("any", "PENDING_APPROVAL OFFERED", "AlreadyOffered", "another role needs a revocation first"),
    ("any", "ACCEPTED", "AlreadyMember", "a member's role is UpdateMember's"),
    ("any", "any", "another is OFFERED", "a direct offer; what is over is in nobody's way"),
];

pub(super) const APPROVE: &[Line] = &[
    ("bound", "ACCEPTED", "RoleRequired", "she is a READER by now"),
    ("outsiders bound", "any", "InvitationNotFound", "nobody outside may handle it, the invited account least of all"),
    ("services", "any", "PersonRequired", "the second one is a person"),
    ("users", "any", "RoleRequired", "refused before anything is looked up"),
    ("any", "none", "InvitationNotFound", "there is none"),
    ("OWNER", "PENDING_APPROVAL", "SecondPersonRequired", "it is this OWNER's own offer"),
    ("any", "PENDING_APPROVAL", "becomes OFFERED", "the second person has agreed"),
    ("any", "any", "its state", "nothing else waits for a second person"),
];

pub(super) const ACCEPT: &[Line] = &[
    ("outside", "any", "InvitationNotFound", "it does not reach the organization"),
    ("services", "any", "PersonRequired", "no service answers for a person"),
    ("deleted", "any", "AccountRequired", "the account is gone"),
    ("users", "any", "InvitationNotFound", "they see no invitation of others"),
    ("members", "none", "InvitationNotFound", "there is none"),
    ("members", "any", "InviteeRequired", "an OWNER cannot accept for her either"),
    ("stranger other", "any", "InvitationNotFound", "it is not theirs"),
    ("bound", "none INVITED INVITED-late", "InvitationNotFound", "the address alone is no claim"),
    ("bound", "OFFERED", "becomes ACCEPTED", "this is the way in"),
    ("bound", "ACCEPTED", "stays", "a repetition is answered as it is"),
    ("bound", "any", "its state", "there is nothing to accept"),
];

pub(super) const DECLINE: &[Line] = &[
    ("outside", "any", "InvitationNotFound", "it does not reach the organization"),
    ("services", "any", "PersonRequired", "no service answers for a person"),
    ("deleted", "any", "AccountRequired", "the account is gone"),
    ("users", "any", "InvitationNotFound", "they see no invitation of others"),
    ("members", "none", "InvitationNotFound", "there is none"),
    ("members", "any", "InviteeRequired", "administrators revoke or reject"),
    ("stranger other", "any", "InvitationNotFound", "it is not theirs"),
    ("bound", "none INVITED INVITED-late", "InvitationNotFound", "the address alone is no claim"),
    ("bound", "ACCESS_REQUESTED", "becomes DECLINED", "she withdraws"),
    ("bound", "PENDING_APPROVAL OFFERED", "becomes DECLINED", "she does not want it"),
    ("bound", "any", "its state", "it is over"),
];

pub(super) const REJECT: &[Line] = &[
    ("bound", "ACCEPTED", "RoleRequired", "she is a READER by now"),
    ("outsiders bound", "any", "InvitationNotFound", "nobody outside may handle it, the invited account least of all"),
    ("users", "any", "RoleRequired", "refused before anything is looked up"),
    ("bare read grant admin", "any", "ScopeRequired", "rejecting is invitations.write"),
    ("any", "none", "InvitationNotFound", "there is none"),
    ("any", "ACCESS_REQUESTED", "becomes REJECTED", "the answer to the request"),
    ("any", "any", "its state", "only a request is rejected"),
];

pub(super) const REVOKE: &[Line] = &[
    ("bound", "ACCEPTED", "RoleRequired", "she is a READER by now"),
    ("outsiders bound", "any", "InvitationNotFound", "nobody outside may handle it, the invited account least of all"),
    ("users", "any", "RoleRequired", "refused before anything is looked up"),
    ("bare read grant admin", "any", "ScopeRequired", "revoking is invitations.write"),
    ("any", "none", "InvitationNotFound", "there is none"),
    ("any", "open", "becomes REVOKED", "from every open state"),
    ("any", "any", "its state", "what is final stays; a member is removed by DeleteMember"),
];

pub(super) const RESEND: &[Line] = &[
    ("bound", "ACCEPTED", "RoleRequired", "she is a READER by now"),
    ("outsiders bound", "any", "InvitationNotFound", "nobody outside may handle it, the invited account least of all"),
    ("users", "any", "RoleRequired", "refused before anything is looked up"),
    ("bare read grant admin", "any", "ScopeRequired", "resending is invitations.write"),
    ("any", "none", "InvitationNotFound", "there is none"),
    ("any", "INVITED", "becomes INVITED", "the same code, for longer"),
    ("any", "ACCESS_REQUESTED", "becomes ACCESS_REQUESTED", "the notification address hears of it again"),
    ("any", "OFFERED", "becomes OFFERED", "the same offer, for longer"),
    ("any", "any", "its state", "what is pending has no email, what is over is not revived"),
];

pub(super) const ROTATE: &[Line] = &[
    ("bound", "ACCEPTED", "RoleRequired", "she is a READER by now"),
    ("outsiders bound", "any", "InvitationNotFound", "nobody outside may handle it, the invited account least of all"),
    ("users", "any", "RoleRequired", "refused before anything is looked up"),
    ("bare read grant admin", "any", "ScopeRequired", "resending is invitations.write"),
    ("any", "none", "InvitationNotFound", "there is none"),
    ("any", "INVITED", "becomes INVITED", "with another code"),
    ("any", "any", "its state", "only an unused code can be changed"),
];
