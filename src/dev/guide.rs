//! What `dev` prints: the seven steps as calls to paste.

use std::io::{self, Write as _};
use std::net::SocketAddr;

use super::setup::{DEMO_ORGANIZATION, NOTIFICATION_EMAIL, Newcomer};
use super::state::OWNER;
use super::{Error, State};
use crate::config::Difference;

const SERVICE: &str = "ipmhub.invitations.v1";

/// The calls, with tokens; all of it is input for a shell.
pub(super) fn text(state: &State, address: SocketAddr, anna: &Newcomer) -> Result<String, Error> {
    let Newcomer { username, email, token } = anna;
    let owner = state.owner_token()?;
    let dir = state.dir.display().to_string().replace('\'', r"'\''");
    let call = |caller: &str, method: &str, body: &str| {
        format!(
            r#"grpcurl -plaintext -rpc-header "authorization: Bearer ${caller}" -d {body} {address} {SERVICE}.{method}"#
        )
    };
    let invite = format!(r#"'{{"parent":"{DEMO_ORGANIZATION}","invitation":{{"email":"{email}"}}}}'"#);
    let offer = format!(
        r#"'{{"parent":"{DEMO_ORGANIZATION}","username":"{username}","email":"{email}","role":"CONTRIBUTOR"}}'"#
    );
    let steps = [
        call("OWNER", "InvitationService/CreateInvitation", &invite),
        call("ANNA", "AccountService/CreateAccount", &format!(r#"'{{"account_id":"{username}"}}'"#)),
        call("ANNA", "InvitationService/RequestAccess", r#"'{"code":"'$CODE'"}'"#),
        call("OWNER", "InvitationService/OfferMembership", &offer),
        call("ANNA", "InvitationService/ListAccountInvitations", r#"'{"parent":"accounts/me"}'"#),
        call("ANNA", "InvitationService/AcceptInvitation", r#"'{"name":"'$NAME'"}'"#),
        call(
            "OWNER",
            "OrganizationService/GetMember",
            &format!(r#"'{{"name":"{DEMO_ORGANIZATION}/members/{username}"}}'"#),
        ),
    ];
    let [invite, create, request, offer, list, accept, member] = steps;
    // no quotes and no brackets in comments: some shells read them where lines are pasted
    Ok(format!(
        r#"
# Every email that the service sends is a file in {mailbox} and goes nowhere else.
# {OWNER} owns {DEMO_ORGANIZATION}. These are the seven steps of {username}, ready to paste into a shell, one by one or all at once.
# The tokens are good for 12 hours. All there is to call: grpcurl -plaintext {address} list

OWNER={owner}
ANNA={token}
MAILBOX='{dir}/mailbox'
email() {{ until sed '/text\/html/,$d' "$(grep -ls "$1" "$MAILBOX"/*.eml | tail -n 1)" 2>/dev/null; do sleep 1; done; }}

# 1. An administrator invites a person by email.
{invite}
# 2. The person creates an account.
{create}
# 3. The person requests access with the code of the email.
CODE=$(email "^X-Envelope-To: {email}" | grep -oEm1 '([0-9A-Z]{{4}}-){{6}}[0-9A-Z]{{4}}')
{request}
# 4. The organization is told who asks, at {NOTIFICATION_EMAIL}.
email "^Subject: {username} requests access"
# 5. An administrator invites that account, with a role.
{offer}
# 6. The person gets the organization invitation by email.
email "^Hello {username},"
# 7. The person accepts, and has access.
NAME=$({list} | grep -oEm1 '{DEMO_ORGANIZATION}/invitations/[0-9a-f-]+')
{accept}
{member}
"#,
        mailbox = state.mailbox().display(),
    ))
}

/// What is not as in production, a line each.
pub(super) fn differences(differences: &[Difference]) -> String {
    let line = |Difference { key, value, default }: &Difference| format!("#   {key} = {value} instead of {default}");
    let lines = differences.iter().map(line).collect::<Vec<_>>().join("\n");
    format!(
        "# Settings that differ from the defaults; the variable of a limit is INVITATIONS_ and its name in capitals:\n{lines}"
    )
}

/// One write to standard output, also where that is a pipe. Nobody has to read it: that is no reason to end.
pub(super) fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _nobody_reads = writeln!(out, "{text}").and_then(|()| out.flush());
}
