//! What an answer holds at most: the newest emails of an invitation, and 256 KiB of a list.

use invitations::dev::mailbox::Script;
use invitations::pb;
use prost::Message;
use sqlx::AssertSqlSafe;

use super::{Filter, invitations};
use crate::support::{Person, Service};

const ANSWER_BYTES: usize = 256 * 1024;

async fn execute(service: &Service, statement: &str) {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(service.pool()).await.unwrap();
}

/// Older emails of every invitation.
async fn add_emails(service: &Service, count: usize) {
    let statement = format!(
        "INSERT INTO emails (organization, email_id, invitation, kind, recipient, state, attempt, answer, create_time) \
         SELECT organization, gen_random_uuid(), invitation, 'ACCESS_REQUEST_REMINDER', 'x', 'DROPPED', 100000 + n, \
                'NOT_COVERED', now() - n * interval '1 hour' FROM invitations, generate_series(1, {count}) n"
    );
    execute(service, &statement).await;
}

#[tokio::test]
async fn an_invitation_shows_its_newest_emails_and_how_many_there_are_beside_them() {
    const OF_ACME: Filter = Filter { organization: "acme", states: &[], email: "", search: "" };
    let service = Service::start_with(&[("mail_paused", "true")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let name = owner.invite("acme", "anna@example.com").await.unwrap().name;
    let get = async || owner.get(&name).await.unwrap();
    let few = get().await;
    assert_eq!((few.deliveries.len(), few.further_deliveries), (2, 0));

    add_emails(&service, 60).await;
    let read = get().await;
    assert_eq!((read.deliveries.len(), read.further_deliveries), (50, 12));
    // the two that the invitation began with are the newest
    assert_eq!(read.deliveries[48..], few.deliveries);
    assert!(read.deliveries.is_sorted_by_key(|delivery| delivery.create_time.unwrap().seconds));
    assert_eq!(read.deliveries[0].attempts, 100_048);

    let (page, _) = invitations(&owner, &OF_ACME, 200, String::new()).await.unwrap();
    assert_eq!(page[0].deliveries, read.deliveries[40..]);
    assert_eq!(page[0].further_deliveries, 52);

    // who changes it is told the same as who reads it
    let changed = owner.resend(&name, false).await.unwrap();
    let read = get().await;
    assert_eq!((read.deliveries.len(), read.further_deliveries), (50, 14));
    assert_eq!((changed.deliveries, changed.further_deliveries), (read.deliveries, read.further_deliveries));

    // more than a thousand are not counted
    add_emails(&service, 2000).await;
    assert_eq!(get().await.further_deliveries, 1000);
    assert_eq!(owner.resend(&name, false).await.unwrap().further_deliveries, 1000);
    let (page, _) = invitations(&owner, &OF_ACME, 200, String::new()).await.unwrap();
    assert_eq!(page[0].further_deliveries, 1000);
}

/// Invitations, members and events with the longest contents, more of each than a page holds.
pub async fn fill_to_the_brim(service: &Service) {
    for statement in [
        "UPDATE organizations SET display_name = repeat('\u{1f600}', 64)",
        "INSERT INTO invitations (organization, invitation, state, email, email_key, inviter, offerer, username, account_email, \
                                  account_email_key, role, locale, code_hash, code_key_id, generation, expire_time, send_time) \
         SELECT 'acme', ('01900000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'DECLINED', e, e, s, s, 'olga', e, e, \
                'SECURITY_MANAGER', repeat('l', 35), sha256(n::text::bytea), 'test', 1, now(), now() \
           FROM generate_series(1, 250) n, lpad(n::text, 254, 'ü') e, concat('services/provider-with-a-name/', repeat('s', 200)) s",
        "INSERT INTO members (organization, username, role, email, email_key, inviter) \
         SELECT 'acme', 'member-with-a-long-name-' || lpad(n::text, 12, '0'), 'READER', e, e, 'services/provider-with-a-name/' || repeat('s', 200) \
           FROM generate_series(1, 250) n, lpad(n::text, 254, 'ü') e",
        "INSERT INTO events (organization, position, kind, actor, invitation, username, changes) \
         SELECT 'acme', n, 'ORGANIZATION_UPDATED', 'services/provider-with-a-name/' || repeat('s', 200), '01900000-0000-7000-8000-000000000001', 'olga', \
                (SELECT jsonb_agg(jsonb_build_object('field', repeat('f', 40), 'before', repeat('b', 200), 'after', repeat('a', 200))) \
                   FROM generate_series(1, 17)) \
           FROM generate_series(1000001, 1000250) n",
    ] {
        execute(service, statement).await;
    }
    add_emails(service, 30).await;
}

/// Walks a list by the largest pages: how many items there are, and how large all of them together would be. Fails where
/// an answer is too large, or not as large as it could be.
async fn weigh<P: Message + Default + Clone>(
    list: impl AsyncFn(String) -> P,
    part: impl Fn(&P) -> (usize, String),
) -> (usize, usize) {
    let (mut count, mut bytes, mut token) = (0, 0, String::new());
    loop {
        let answer = list(token).await;
        let (items, next) = part(&answer);
        assert!(answer.encoded_len() <= ANSWER_BYTES, "an answer of {} bytes", answer.encoded_len());
        assert!(items > 0, "an empty page");
        assert!(next.is_empty() || items == 200 || answer.encoded_len() > ANSWER_BYTES - 16 * 1024, "a page cut short");
        count += items;
        bytes += answer.encoded_len();
        if next.is_empty() {
            return (count, bytes);
        }
        token = next;
    }
}

#[tokio::test]
async fn no_answer_of_a_list_is_larger_than_256_kib() {
    let service = Service::start_with(&[("mail_paused", "true")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    fill_to_the_brim(&service).await;
    let Person { invitations, organizations, accounts, .. } = &owner;
    let (parent, own) = (|| "organizations/acme".to_owned(), || "accounts/me".to_owned());

    let list = async |page_token| {
        let message = pb::ListInvitationsRequest { parent: parent(), page_size: 200, page_token, ..Default::default() };
        invitations.clone().list_invitations(message).await.unwrap().into_inner()
    };
    let (count, bytes) = weigh(list, |page| (page.invitations.len(), page.next_page_token.clone())).await;
    // each exactly once; and uncut, a page of 200 would be too large: the control
    assert!(count == 250 && bytes / 250 * 200 > ANSWER_BYTES, "{count} invitations of {bytes} bytes");

    let list = async |page_token| {
        let message = pb::ListAccountInvitationsRequest { parent: own(), page_size: 200, page_token };
        invitations.clone().list_account_invitations(message).await.unwrap().into_inner()
    };
    let (count, bytes) = weigh(list, |page| (page.invitations.len(), page.next_page_token.clone())).await;
    assert!(count == 250 && bytes > ANSWER_BYTES / 2, "{count} own invitations of {bytes} bytes");

    let list = async |page_token| {
        let message = pb::ListMembersRequest { parent: parent(), page_size: 200, page_token };
        organizations.clone().list_members(message).await.unwrap().into_inner()
    };
    let (count, bytes) = weigh(list, |page| (page.members.len(), page.next_page_token.clone())).await;
    assert!(count == 251 && bytes / 251 * 200 > ANSWER_BYTES / 2, "{count} members of {bytes} bytes");

    let list = async |page_token| {
        let (parent, invitation) = (parent(), String::new());
        let message = pb::ListEventsRequest { parent, invitation, page_size: 200, page_token };
        organizations.clone().list_events(message).await.unwrap().into_inner()
    };
    let (count, bytes) = weigh(list, |page| (page.events.len(), page.next_page_token.clone())).await;
    assert!(count == 251 && bytes / 251 * 200 > ANSWER_BYTES, "{count} events of {bytes} bytes");

    let list = async |page_token| {
        let message = pb::ListAccountMembershipsRequest { parent: own(), page_size: 200, page_token };
        accounts.clone().list_account_memberships(message).await.unwrap().into_inner()
    };
    assert_eq!(weigh(list, |page| (page.memberships.len(), page.next_page_token.clone())).await.0, 1);
}
