//! What `dev` prints: the seven steps as calls to paste.

use super::{DEMO_ORGANIZATION, Error, State};
use crate::dev::issuer::{self, Provider};

const SERVICE: &str = "ipmhub.invitations.v1";

/// The calls, with tokens that are good for twelve hours.
pub(super) fn text(state: &State, address: &str) -> Result<String, Error> {
    let owner = state.owner_token()?;
    let anna = issuer::user_token(&state.dir, "anna", Some("anna@example.com"), true, Provider::Github)?;
    let mailbox = state.mailbox().display().to_string();
    let call = |token: &str, service: &str, method: &str, body: &str| {
        format!(
            "grpcurl -plaintext -rpc-header \"authorization: Bearer ${token}\" -d '{body}' {address} {SERVICE}.{service}/{method}"
        )
    };
    let newest = format!("$(ls {mailbox}/*.eml | tail -n 1)");
    let code = r#"'{"code":"'$CODE'"}'"#;
    let name = r#"'{"name":"'$NAME'"}'"#;
    let with = |call: String, body: &str| call.replace("'{}'", body);
    Ok(format!(
        r#"
Every email is a file in {mailbox}
The owner of {DEMO_ORGANIZATION} and a person to be invited:

OWNER={owner}
ANNA={anna}

# 1. the administrator invites a person by email
{create}
# 2. the person creates an account
{account}
# 3. the person requests access with the code of the email
CODE=$(grep -ohE '([0-9A-Z]{{4}}-){{6}}[0-9A-Z]{{4}}' {mailbox}/*.eml | tail -n 1)
{request}
# 4. the organization is told who asks
cat "{newest}"
# 5. the administrator invites that account, with a role
{offer}
# 6. the person gets the organization invitation
cat "{newest}"
# 7. the person accepts, and has access
NAME=$({list} | grep -oE '{DEMO_ORGANIZATION}/invitations/[0-9a-f-]+' | head -n 1)
{accept}
{member}
"#,
        create = call(
            "OWNER",
            "InvitationService",
            "CreateInvitation",
            &format!(r#"{{"parent":"{DEMO_ORGANIZATION}","invitation":{{"email":"anna@example.com"}}}}"#)
        ),
        account = call("ANNA", "AccountService", "CreateAccount", r#"{"account_id":"anna"}"#),
        request = with(call("ANNA", "InvitationService", "RequestAccess", "{}"), code),
        offer = call(
            "OWNER",
            "InvitationService",
            "OfferMembership",
            &format!(
                r#"{{"parent":"{DEMO_ORGANIZATION}","username":"anna","email":"anna@example.com","role":"CONTRIBUTOR"}}"#
            )
        ),
        list = call("ANNA", "InvitationService", "ListAccountInvitations", r#"{"parent":"accounts/me"}"#),
        accept = with(call("ANNA", "InvitationService", "AcceptInvitation", "{}"), name),
        member = call(
            "OWNER",
            "OrganizationService",
            "GetMember",
            &format!(r#"{{"name":"{DEMO_ORGANIZATION}/members/anna"}}"#)
        ),
    ))
}
