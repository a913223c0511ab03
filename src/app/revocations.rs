//! Takes back open invitations that a search finds, each as if it were taken back alone.

use std::collections::HashSet;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::batch::{Decided, Shown};
use super::callers::Call;
use super::reading::read;
use super::views::InvitationView;
use super::{App, Error, Result};
use crate::domain::{
    Caller, Command, InvitationId, InvitationSearch, InvitationState, Method, Operation, OrganizationId, Refusal,
    Request, Subject,
};
use crate::store::{request_ids, search};

/// The most invitations of one call.
const MOST: usize = 1000;
/// So many bytes of their annotations are answered with; the rest of an answer is 1.5 KiB for each at most.
const MOST_ANNOTATIONS: usize = 2 * 1024 * 1024;
/// How often is searched: where few of many match, one search finds little, after some thousand rows.
const SEARCHES: usize = 20;

/// What became of the invitations that were found.
#[derive(Debug)]
pub struct Revocations {
    /// Newest first.
    pub outcomes: Vec<(InvitationId, Result<InvitationView>)>,
    /// Whether there may be more of them.
    pub has_more: bool,
}

/// Which ones, newest first.
struct Open {
    ids: Vec<InvitationId>,
    has_more: bool,
}

impl App {
    /// Takes back those open invitations that match. What has not begun by `until`, or before the caller
    /// leaves, is not carried out. The same request again is told of those that were taken back then.
    ///
    /// # Errors
    ///
    /// The caller may not revoke there; the request id was used for another request; or nothing could be decided.
    pub async fn revoke_invitations(
        &self,
        call: &Call,
        organization: &OrganizationId,
        search: InvitationSearch,
        request: Option<Request>,
        until: Option<Instant>,
    ) -> Result<Revocations> {
        call.admitted(Method::RevokeInvitations, organization, &Subject::Organization)?;
        let (organization, changer) = (organization.clone(), call.changer());
        let left = CancellationToken::new();
        let _leaves = left.clone().drop_guard();
        self.finish(move |app| async move {
            if let Some(request) = &request
                && app.has_revoked(&organization, &changer.caller, request).await?
            {
                let mut found = app.open_invitations(&organization, &search, 1).await?;
                found.has_more |= !found.ids.is_empty();
                let before = app.revoked_before(&organization, &changer.caller, request).await?;
                let outcomes = app.show_rows(before, &organization, &changer).await;
                return Ok(Revocations::of(Open { ids: Vec::new(), ..found }, outcomes));
            }
            let found = app.open_invitations(&organization, &search, MOST).await?;
            let rows = commands(&organization, &changer.caller, request.as_ref(), &found.ids);
            let outcomes = app.carry_out_rows(rows.map(Ok).collect(), &changer, until, &left).await?;
            let outcomes = app.show_rows(outcomes, &organization, &changer).await;
            Ok(Revocations::of(found, outcomes))
        })
        .await
    }

    /// What would become of each of them. Nothing is written.
    pub async fn preview_revocations(
        &self,
        call: &Call,
        organization: &OrganizationId,
        search: InvitationSearch,
    ) -> Result<Revocations> {
        call.admitted(Method::RevokeInvitations, organization, &Subject::Organization)?;
        let found = self.open_invitations(organization, &search, MOST).await?;
        let commands = commands(organization, &call.caller, None, &found.ids).enumerate().collect::<Vec<_>>();
        let view = |tried: std::result::Result<Decided, Refusal>| match tried?.shown {
            Some(Shown::Invitation(view)) => Ok(*view),
            _ => Err(Error::Fault),
        };
        let outcomes = self.try_out_rows(&commands).await?.into_iter().map(view).collect();
        Ok(Revocations::of(found, outcomes))
    }

    /// The newest open ones, up to `most`.
    async fn open_invitations(
        &self,
        organization: &OrganizationId,
        search: &InvitationSearch,
        most: usize,
    ) -> Result<Open> {
        let open = InvitationState::ALL.into_iter().filter(|state| state.is_open()).collect::<Vec<_>>();
        let Some(search) = search.clone().narrowed(&open, None) else {
            return Ok(Open { ids: Vec::new(), has_more: false });
        };
        let (mut ids, mut bytes, mut before) = (Vec::new(), 0, None);
        for _ in 0..SEARCHES {
            let left = most - ids.len();
            let page =
                read!(self.reads, connection, search::find(&mut connection, organization, &search, before, left))?;
            for invitation in page.invitations {
                bytes += invitation.annotations.bytes();
                if bytes > MOST_ANNOTATIONS && !ids.is_empty() {
                    return Ok(Open { ids, has_more: true });
                }
                ids.push(invitation.id);
            }
            before = page.next;
            if before.is_none() || ids.len() == most {
                break;
            }
        }
        Ok(Open { ids, has_more: before.is_some() })
    }

    /// Whether the request was carried out before, at least in part.
    async fn has_revoked(&self, organization: &OrganizationId, caller: &Caller, request: &Request) -> Result<bool> {
        let key = (organization.as_str().to_owned(), caller.actor().to_string(), request.id);
        match read!(self.reads, connection, request_ids::find(&mut connection, &key))? {
            Some(known) if known.is_request(Method::RevokeInvitations.name(), request) => Ok(true),
            Some(_) => Err(Refusal::RequestIdReused.into()),
            None => Ok(false),
        }
    }

    /// Those that the request has taken back. Each part of it that has succeeded remembers which one: asked again for one
    /// that is not there, it says so.
    async fn revoked_before(
        &self,
        organization: &OrganizationId,
        caller: &Caller,
        request: &Request,
    ) -> Result<Vec<Result<Decided>>> {
        let nobodys = vec![InvitationId(Uuid::nil()); MOST];
        let commands = commands(organization, caller, Some(request), &nobodys).enumerate().collect::<Vec<_>>();
        let decided = self.try_out_rows(&commands).await?.into_iter().flatten();
        Ok(decided.map(Ok).collect())
    }
}

impl Revocations {
    /// Two calls of one request at once may have taken turns: then a row is told of the invitation that stood in its place
    /// in the other call. Each is told of once, and maybe some are left.
    fn of(found: Open, outcomes: Vec<Result<InvitationView>>) -> Self {
        let Open { ids, mut has_more } = found;
        let mut told = HashSet::new();
        let mut asked = ids.into_iter().map(Some).chain(std::iter::repeat(None));
        let outcome = |outcome: Result<InvitationView>| {
            let asked = asked.next().flatten();
            let id = outcome.as_ref().ok().map(|view| view.invitation.id).or(asked)?;
            has_more |= asked.is_some_and(|asked| asked != id);
            told.insert(id).then_some((id, outcome))
        };
        let outcomes = outcomes.into_iter().filter_map(outcome).collect();
        Self { outcomes, has_more }
    }
}

/// One for each invitation: a part of the request, if it has an id.
fn commands(
    organization: &OrganizationId,
    caller: &Caller,
    request: Option<&Request>,
    ids: &[InvitationId],
) -> impl Iterator<Item = Command> {
    (0..).zip(ids).map(move |(n, invitation)| {
        let operation = Operation::RevokeInvitation { invitation: *invitation, etag: None };
        let request = request.map(|request| request.part(n));
        Command::new(organization.clone(), Some(caller.clone()), request, operation)
    })
}
