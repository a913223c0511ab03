//! The same questions to a distributed database, where identities, accounts and organizations live apart: a statement for
//! each kind of owner, and one for each organization.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::PgConnection;

use super::{Asked, Found, KnownAccount, Question, Who, ask, in_order};
use crate::domain::{OrganizationId, Role, Timestamp, Username};
use crate::store::{Result, accounts};

/// What the accounts of the callers are found to be.
struct Callers {
    identities: HashMap<Vec<u8>, (Username, Option<Timestamp>)>,
    /// By username; only of those whose addresses matter.
    emails: HashMap<String, Vec<Email>>,
}

struct Email {
    ordinal: i32,
    typed: String,
    key: String,
}

/// One answer for each question, in their order. `seeing`: the roles that see invitations.
pub async fn find(connection: &mut PgConnection, questions: &[Question], seeing: &[Role]) -> Result<Vec<Found>> {
    let callers = Callers::find(connection, questions).await?;
    let mut groups = BTreeMap::<Option<&OrganizationId>, Vec<usize>>::new();
    for (place, question) in questions.iter().enumerate() {
        groups.entry(question.organization.as_ref()).or_default().push(place);
    }
    let mut found = Vec::with_capacity(questions.len());
    for (organization, places) in groups {
        let asked = places.iter().map(|place| &questions[*place]);
        let asked = asked.map(|question| Asked { question, username: callers.username(question) });
        let answers = if organization.is_some() {
            ask(connection, &asked.collect::<Vec<_>>(), seeing, organization).await?
        } else {
            let now = accounts::now(connection).await?;
            asked.map(|_| Found { now, account: None, access: None, invitation: None }).collect()
        };
        found.extend(places.into_iter().zip(answers));
    }
    found.sort_unstable_by_key(|(place, _)| *place);
    Ok(found.into_iter().map(|(place, found)| callers.complete(&questions[place], found)).collect())
}

impl Callers {
    async fn find(connection: &mut PgConnection, questions: &[Question]) -> Result<Self> {
        let mut callers = Self { identities: HashMap::new(), emails: HashMap::new() };
        let hashes = questions.iter().filter_map(|question| match &question.who {
            Who::Identity { hash, .. } => Some(hash.to_vec()),
            Who::Account(_) | Who::Service => None,
        });
        let hashes = hashes.collect::<BTreeSet<_>>();
        if !hashes.is_empty() {
            let rows = sqlx::query!(
                "SELECT identity, username, attest_time FROM identities WHERE identity = ANY($1)",
                &Vec::from_iter(hashes),
            );
            let rows = rows.fetch_all(&mut *connection).await?.into_iter();
            callers.identities =
                rows.map(|row| (row.identity, (Username::stored(row.username), row.attest_time))).collect();
        }
        let needing = questions.iter().filter(|question| question.invitation.is_some() || callers.is_older(question));
        let needing = needing.filter_map(|question| callers.username(question)).collect::<BTreeSet<_>>();
        if !needing.is_empty() {
            let rows = sqlx::query!(
                "SELECT username, ordinal, email, email_key FROM account_emails WHERE username = ANY($1)",
                &Vec::from_iter(needing),
            );
            for row in rows.fetch_all(connection).await? {
                let email = Email { ordinal: row.ordinal, typed: row.email, key: row.email_key };
                callers.emails.entry(row.username).or_default().push(email);
            }
        }
        Ok(callers)
    }

    fn account(&self, question: &Question) -> Option<&(Username, Option<Timestamp>)> {
        match &question.who {
            Who::Identity { hash, .. } => self.identities.get(&hash[..]),
            Who::Account(_) | Who::Service => None,
        }
    }

    fn username(&self, question: &Question) -> Option<String> {
        match &question.who {
            Who::Account(username) => Some(username.as_str().to_owned()),
            Who::Identity { .. } => self.account(question).map(|(username, _)| username.as_str().to_owned()),
            Who::Service => None,
        }
    }

    /// Whether the addresses that are stored are those of an older token.
    fn is_older(&self, question: &Question) -> bool {
        let attested = self.account(question).and_then(|(_, attested)| *attested);
        matches!(&question.who, Who::Identity { attest_time, .. } if attested.is_some_and(|old| old < *attest_time))
    }

    /// What was found, with what is known of the caller's account.
    fn complete(&self, question: &Question, mut found: Found) -> Found {
        let username = self.username(question);
        let emails = username.as_ref().and_then(|username| self.emails.get(username));
        found.account = self.account(question).map(|(username, attest_time)| KnownAccount {
            username: username.clone(),
            attest_time: *attest_time,
            older_emails: emails
                .filter(|_| self.is_older(question))
                .map(|emails| in_order(emails.iter().map(|email| (email.ordinal, email.typed.clone())))),
        });
        if let Some(invitation) = &mut found.invitation {
            let key = invitation.invitation.email.key();
            invitation.is_own_email = emails.into_iter().flatten().any(|email| email.key == key);
        }
        found
    }
}
