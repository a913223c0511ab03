//! Many commands of one call. Each stands or falls for itself. They are carried out in their order, a part of them in each
//! transaction; whoever else has something to change there comes in between.

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::batch::{Batch, Decided, Shown};
use super::callers::Call;
use super::changer::Changer;
use super::charges::keeps_charge;
use super::reading::read;
use super::views::{Audience, InvitationView};
use super::{App, Error, Result};
use crate::domain::{Command, Deliveries, InvitationId, Method, OrganizationId, Refusal, Subject, refuse_duplicates};
use crate::store::limits::Charge;

/// How many rows one transaction carries out. While it does, other changes of the organization wait.
const TOGETHER: usize = 100;

/// A row as the request has it: a command of the organization, or why it is none.
pub type Row = std::result::Result<Command, Refusal>;

/// What became of each row; `None`: it is a command of which that is not known yet.
type Outcomes = Vec<Option<Result<Decided>>>;

/// A command and the number of its row.
type Numbered = (usize, Command);

impl App {
    /// Invites, with one outcome for each row. What has not begun by `until`, or before the caller leaves, is not carried
    /// out.
    ///
    /// # Errors
    ///
    /// The caller may not invite there; the request id was used for another request, and nothing is done; or no row could
    /// be decided.
    pub async fn create_invitations(
        &self,
        call: &Call,
        organization: &OrganizationId,
        mut rows: Vec<Row>,
        until: Option<Instant>,
    ) -> Result<Vec<Result<InvitationView>>> {
        call.admitted(Method::BatchCreateInvitations, organization, &Subject::Organization)?;
        refuse_duplicates(&mut rows);
        let (organization, changer) = (organization.clone(), call.changer());
        let left = CancellationToken::new();
        let _leaves = left.clone().drop_guard();
        self.finish(move |app| async move {
            let outcomes = app.carry_out_rows(rows, &changer, until, &left).await?;
            Ok(app.show_rows(outcomes, &organization, &changer).await)
        })
        .await
    }

    /// What would become of each row, were they carried out in their order. Nothing is written but what the caller is
    /// charged as if they had been.
    pub async fn preview_invitations(
        &self,
        call: &Call,
        organization: &OrganizationId,
        mut rows: Vec<Row>,
    ) -> Result<Vec<Result<InvitationView>>> {
        call.admitted(Method::BatchCreateInvitations, organization, &Subject::Organization)?;
        refuse_duplicates(&mut rows);
        let (mut outcomes, commands) = split(rows);
        let tried = self.try_out_rows(&commands).await?;
        let counted = tried.iter().flatten().filter(|decided| decided.is_counted).count();
        let (mut charges, limit) = self.charge_rows(&commands, counted, &call.identity).await?;
        for ((n, _), tried) in commands.iter().zip(tried) {
            let is_counted = tried.as_ref().is_ok_and(|decided| decided.is_counted);
            let refusal = limit.as_ref().filter(|_| is_counted && charges.pop().is_none());
            outcomes[*n] = Some(refusal.cloned().map_or(tried, Err).map_err(Error::from));
        }
        let view = |outcome: Result<Decided>| match outcome?.shown {
            // no email is written
            Some(Shown::Invitation(view)) => {
                Ok(InvitationView { audience: Audience::Inviter(Deliveries::default()), ..*view })
            }
            _ => Err(Error::Fault),
        };
        Ok(known(outcomes).map(view).collect())
    }

    /// Carries out what is a command, and charges what is counted of it.
    pub(super) async fn carry_out_rows(
        &self,
        rows: Vec<Row>,
        changer: &Changer,
        until: Option<Instant>,
        left: &CancellationToken,
    ) -> Result<Vec<Result<Decided>>> {
        let (mut outcomes, mut commands) = split(rows);
        let (charges, limit) = self.charge_rows(&commands, commands.len(), &changer.identity).await?;
        let mut kept = 0;
        let carried_out = async {
            if let Some(limit) = limit {
                commands = self.within_limit(commands, charges.len(), &limit, &mut outcomes).await?;
            }
            self.carry_out_parts(&commands, until, left, &mut outcomes, &mut kept).await
        };
        let carried_out = carried_out.await;
        self.give_back(charges.into_iter().skip(kept));
        carried_out.map(|()| known(outcomes).collect())
    }

    /// Charges rows of one kind, or as many as the limit allows; then the others are refused with that. Nothing is charged
    /// for what has no limit.
    async fn charge_rows(
        &self,
        commands: &[Numbered],
        count: usize,
        identity: &[u8; 32],
    ) -> Result<(Vec<Charge>, Option<Refusal>)> {
        match commands.first().and_then(|(_, command)| self.counted(command)) {
            Some(counted) if count > 0 => Ok(self.charge_many(counted, identity, count).await?.unwrap_or_default()),
            _ => Ok((Vec::new(), None)),
        }
    }

    /// Where not all of them may be counted: those that may. What becomes of the others is known by a dry run: a repetition
    /// is answered all the same, and who would be refused anyway hears why.
    async fn within_limit(
        &self,
        commands: Vec<Numbered>,
        mut room: usize,
        limit: &Refusal,
        outcomes: &mut Outcomes,
    ) -> Result<Vec<Numbered>> {
        let tried = self.try_out_rows(&commands).await?;
        let mut within = Vec::with_capacity(room);
        for ((n, command), tried) in commands.into_iter().zip(tried) {
            match tried {
                Ok(decided) if decided.is_counted && room > 0 => {
                    room -= 1;
                    within.push((n, command));
                }
                Ok(decided) if decided.is_counted => outcomes[n] = Some(Err(limit.clone().into())),
                Err(refusal) if is_of_all(&command, &refusal) => return Err(refusal.into()),
                tried => outcomes[n] = Some(tried.map_err(Error::from)),
            }
        }
        Ok(within)
    }

    /// Decides commands in their order, each as if those before it had been carried out.
    pub(super) async fn try_out_rows(
        &self,
        commands: &[Numbered],
    ) -> Result<Vec<std::result::Result<Decided, Refusal>>> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let commands = commands.iter().map(|(_, command)| command.clone()).collect::<Vec<_>>();
        let (deployment, engine) = (&*self.deployment, self.reads.engine());
        let mut batch = read!(self.reads, connection, Batch::load(&mut connection, &commands, deployment, engine))?;
        Ok(commands.iter().map(|command| batch.decide(command, deployment)).collect())
    }

    /// One part after the other. What fails in the database ends it: the rows that follow are told the same. `kept`: how many
    /// have used what they were charged.
    async fn carry_out_parts(
        &self,
        commands: &[Numbered],
        until: Option<Instant>,
        left: &CancellationToken,
        outcomes: &mut Outcomes,
        kept: &mut usize,
    ) -> Result<()> {
        let (mut end, mut is_decided) = (None, false);
        for part in commands.chunks(TOGETHER) {
            if left.is_cancelled() || until.is_some_and(|until| Instant::now() >= until) {
                end = end.or(Some(Error::Overloaded));
            }
            let has_begun = end.is_none();
            let decided = match &end {
                Some(error) => part.iter().map(|_| Err(error.clone())).collect(),
                None => self.carry_out_part(part, left).await,
            };
            for ((n, command), outcome) in part.iter().zip(decided) {
                *kept += usize::from(has_begun && keeps_charge(&outcome, |decided| decided.is_counted));
                is_decided |= matches!(outcome, Ok(_) | Err(Error::Refused(_)));
                end = match &outcome {
                    Err(Error::Refused(refusal)) if is_of_all(command, refusal) => return outcome.map(drop),
                    Err(error @ (Error::Unavailable | Error::Overloaded)) => Some(error.clone()),
                    _ => end,
                };
                outcomes[*n] = Some(outcome);
            }
        }
        match end {
            Some(error) if !is_decided => Err(error),
            _ => Ok(()),
        }
    }

    async fn carry_out_part(&self, part: &[Numbered], left: &CancellationToken) -> Vec<Result<Decided>> {
        let commands = part.iter().map(|(_, command)| command.clone()).collect::<Vec<_>>();
        let error = match left.run_until_cancelled(self.writer.submit_together(&commands)).await {
            Some(Ok(decided)) => return decided,
            Some(Err(error)) => error,
            // the caller has left, and it may have begun
            None => Error::Unavailable,
        };
        commands.iter().map(|_| Err(error.clone())).collect()
    }

    /// The answers. Only what was made before is read.
    pub(super) async fn show_rows(
        &self,
        outcomes: Vec<Result<Decided>>,
        organization: &OrganizationId,
        changer: &Changer,
    ) -> Vec<Result<InvitationView>> {
        let of_before = |outcome: &Result<Decided>| match outcome {
            Ok(Decided { shown: None, subject: Subject::Invitation(id), .. }) => Some(*id),
            _ => None,
        };
        let made_before = outcomes.iter().filter_map(of_before).collect::<Vec<_>>();
        let made_before = self.made_before(organization, changer, &made_before).await;
        let view = |decided: Decided| match (decided.shown, decided.subject) {
            (Some(Shown::Invitation(view)), _) => Ok(*view),
            (_, subject @ Subject::Invitation(_)) => {
                let found = made_before.as_ref().map_err(Error::clone)?.as_ref();
                match found.and_then(|found| found.show(organization, Some(&changer.caller), &subject)) {
                    Some(Shown::Invitation(view)) => Ok(*view),
                    _ => Err(Refusal::not_found(organization, &subject).into()),
                }
            }
            _ => Err(Error::Fault),
        };
        outcomes.into_iter().map(|outcome| outcome.and_then(view)).collect()
    }

    async fn made_before(
        &self,
        organization: &OrganizationId,
        changer: &Changer,
        ids: &[InvitationId],
    ) -> Result<Option<Batch>> {
        if ids.is_empty() {
            return Ok(None);
        }
        let (caller, engine) = (&changer.caller, self.reads.engine());
        let read = read!(self.reads, connection, Batch::read(&mut connection, organization, caller, ids, engine));
        Ok(Some(read?))
    }
}

fn split(rows: Vec<Row>) -> (Outcomes, Vec<Numbered>) {
    let mut commands = Vec::with_capacity(rows.len());
    let outcomes = rows.into_iter().enumerate().map(|(n, row)| match row {
        Ok(command) => {
            commands.push((n, command));
            None
        }
        Err(refusal) => Some(Err(refusal.into())),
    });
    (outcomes.collect(), commands)
}

fn known(outcomes: Outcomes) -> impl Iterator<Item = Result<Decided>> {
    outcomes.into_iter().map(|outcome| outcome.unwrap_or(Err(Error::Fault)))
}

/// Whether it refuses all rows: the id of their request was used for another one.
fn is_of_all(command: &Command, refusal: &Refusal) -> bool {
    *refusal == Refusal::RequestIdReused && command.request.as_ref().is_some_and(|request| request.whole.is_some())
}
