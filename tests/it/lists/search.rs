//! ListInvitations with a filter finds what a look at each invitation finds: by random filters over random invitations.

use invitations::pb::delivery;
use invitations::pb::invitation::State;
use invitations::pb::{self, Invitation};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use sqlx::AssertSqlSafe;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::support::{Person, Service, bad_fields, reason};

const ROWS: usize = 6000;
const FILTERS: usize = 150;

/// Random numbers below `n`, of each row others by `salt`.
fn dice(salt: &str, n: i64) -> String {
    format!("((('x' || substr(md5(n || '{salt}'), 1, 7))::bit(28)::int) % {n})")
}

/// An organization of two months. Ids are of the time of creation as far as clocks agree, up to an hour. In each state,
/// open ones overdue and not, some of the same address, account or annotations; nothing is due.
async fn fill(service: &Service) {
    let [state, account, address, skew, inviter, offerer] =
        [("s", 12), ("a", 30), ("e", 40), ("k", 7200), ("i", 40), ("o", 25)].map(|(salt, n)| dice(salt, n));
    let [late, lifetime, tag, email] = [("l", 3), ("f", 20), ("t", 50), ("m", 90)].map(|(salt, n)| dice(salt, n));
    let by = |dice: &str, rare: &str| {
        format!(
            "CASE {dice} WHEN 0 THEN '{rare}' WHEN 1 THEN 'services/k8s/ops/gateway' WHEN 2 THEN 'accounts/olga' ELSE 'accounts/ada' END"
        )
    };
    for statement in [
        format!(
            "CREATE TABLE made AS SELECT n, s, t, v7, 'acme' AS o FROM (
               SELECT n, (ARRAY['INVITED', 'INVITED', 'ACCESS_REQUESTED', 'PENDING_APPROVAL', 'OFFERED', 'ACCEPTED', 'DECLINED',
                               'REJECTED', 'REVOKED', 'EXPIRED', 'EXPIRED', 'REVOKED']::invitation_state[])[1 + {state}] AS s,
                      date_trunc('second', now()) - interval '2 days' - n * interval '14 min' AS t FROM generate_series(1, {ROWS}) n) a,
               LATERAL (SELECT (lpad(to_hex((extract(epoch FROM t) * 1000)::bigint + 1000 * ({skew} - 3600)), 12, '0')
                                || '70008000' || lpad(to_hex(n), 12, '0'))::uuid) i(v7)"
        ),
        format!(
            "INSERT INTO invitations (organization, invitation, state, email, email_key, inviter, username, account_email,
                                      account_email_key, role, offerer, annotations, code_hash, code_key_id, generation,
                                      create_time, update_time, expire_time, send_time)
             SELECT o, v7, s, e, e, {}, u, CASE WHEN u IS NOT NULL THEN e END, CASE WHEN u IS NOT NULL THEN e END,
                    CASE WHEN b IS NOT NULL THEN 'READER'::role END, b,
                    CASE WHEN {tag} < 2 THEN jsonb_build_object('env', 'prod', 'ticket', 'OPS-' || {tag})
                         WHEN {tag} < 40 THEN '{{\"env\": \"prod\"}}'::jsonb ELSE '{{}}' END,
                    sha256(n::text::bytea), 'test', 1, t, t,
                    CASE WHEN s NOT IN ('ACCESS_REQUESTED', 'REJECTED') THEN
                      CASE WHEN s NOT IN ('INVITED', 'PENDING_APPROVAL', 'OFFERED') THEN t + {lifetime} * interval '1 day' + interval '1 day'
                           WHEN {late} = 0 THEN least(t + {lifetime} * interval '1 day' + interval '1 day', now() - interval '1 day')
                           ELSE now() + {lifetime} * interval '1 day' + interval '1 day' END END, t
               FROM made,
                    LATERAL (SELECT s IN ('INVITED', 'ACCESS_REQUESTED', 'PENDING_APPROVAL', 'OFFERED')) p(is_open),
                    LATERAL (SELECT CASE WHEN is_open THEN 'p' || n || '@example.com' ELSE 'e' || {address} || '@example.com' END) q(e),
                    LATERAL (SELECT CASE WHEN s IN ('INVITED', 'EXPIRED', 'REVOKED') THEN NULL
                                         WHEN is_open THEN 'open-' || n ELSE 'user-' || {account} END) r(u),
                    LATERAL (SELECT CASE WHEN s IN ('PENDING_APPROVAL', 'OFFERED', 'ACCEPTED') THEN {} END) w(b)",
            by(&inviter, "accounts/rare"),
            by(&offerer, "accounts/seldom"),
        ),
        "INSERT INTO annotations (organization, key, value, invitation)
         SELECT i.organization, p.key, p.value, i.invitation FROM invitations i, jsonb_each_text(i.annotations) p"
            .to_owned(),
        format!(
            "INSERT INTO emails (organization, email_id, invitation, kind, recipient, state, due_time)
             SELECT o, gen_random_uuid(), v7, 'ACCOUNT_INVITATION', 'x@example.com',
                    (CASE WHEN {email} = 0 THEN 'FAILED' WHEN {email} = 1 THEN 'RETRYING' WHEN {email} < 30 THEN 'DROPPED'
                          ELSE 'SENT' END)::email_state, '2100-01-01'
               FROM made, generate_series(1, 1 + (n % 3)) again"
        ),
        "DROP TABLE made".to_owned(),
    ] {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(service.pool()).await.unwrap();
    }
}

/// A page and the token of the next one.
async fn page(person: &Person, request: &pb::ListInvitationsRequest) -> (Vec<Invitation>, String) {
    let page = person.invitations.clone().list_invitations(request.clone()).await.unwrap().into_inner();
    (page.invitations, page.next_page_token)
}

/// All pages, and how many these were.
async fn walk(person: &Person, mut request: pb::ListInvitationsRequest) -> (Vec<Invitation>, usize) {
    let (mut all, mut pages) = (Vec::new(), 0);
    loop {
        let (found, next) = page(person, &request).await;
        assert!(found.len() <= usize::try_from(request.page_size).unwrap());
        all.extend(found);
        pages += 1;
        if next.is_empty() {
            return (all, pages);
        }
        request.page_token = next;
    }
}

/// One condition: as it is written, and as it is looked at.
struct Condition {
    text: String,
    holds: Box<dyn Fn(&Invitation) -> bool>,
}

fn micros(time: Option<&prost_types::Timestamp>) -> Option<i64> {
    time.map(|time| time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000)
}

/// Texts of one field, one of them or several joined by OR.
fn any_of(dice: &mut StdRng, field: &str, sign: &str, among: &[&str]) -> (String, Vec<String>) {
    let count = dice.random_range(1..=2);
    let values = among.sample(dice, count).map(|value| (*value).to_owned()).collect::<Vec<_>>();
    let quoted = values.iter().map(|value| format!("\"{value}\"")).collect::<Vec<_>>();
    let text = match dice.random_range(0..3) {
        0 => format!("{field}{sign}({})", quoted.join(" OR ")),
        1 => format!(
            "({})",
            quoted.iter().map(|value| format!("{field} {sign} {value}")).collect::<Vec<_>>().join(" OR ")
        ),
        _ => quoted.iter().map(|value| format!("{field}{sign}{value}")).collect::<Vec<_>>().join(" OR "),
    };
    (text, values)
}

/// A bound of a time that some invitation has to the microsecond.
fn bound(
    dice: &mut StdRng,
    field: &str,
    all: &[Invitation],
    time: fn(&Invitation) -> Option<i64>,
    is_lower: bool,
) -> Condition {
    let edge = loop {
        if let Some(edge) = time(all.choose(dice).unwrap()) {
            break edge;
        }
    };
    let is_strict = dice.random_bool(0.5);
    let sign = match (is_lower, is_strict) {
        (true, true) => ">",
        (true, false) => ">=",
        (false, true) => "<",
        (false, false) => "<=",
    };
    let written =
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(edge) * 1_000).unwrap().format(&Rfc3339).unwrap();
    let holds = move |invitation: &Invitation| {
        time(invitation).is_some_and(|time| time != edge && (time > edge) == is_lower || time == edge && !is_strict)
    };
    Condition { text: format!("{field} {sign} \"{written}\""), holds: Box::new(holds) }
}

/// The `n`th kind of condition.
fn condition(n: usize, dice: &mut StdRng, all: &[Invitation]) -> Vec<Condition> {
    let by_name = |(text, values): (String, Vec<String>), name: fn(&Invitation) -> &str| {
        vec![Condition {
            text,
            holds: Box::new(move |invitation| values.iter().any(|value| value == name(invitation))),
        }]
    };
    let actors = |rare| ["accounts/ada", "accounts/olga", "services/k8s/ops/gateway", rare];
    match n {
        0 => {
            let states = [
                "INVITED",
                "ACCESS_REQUESTED",
                "PENDING_APPROVAL",
                "OFFERED",
                "ACCEPTED",
                "DECLINED",
                "REJECTED",
                "REVOKED",
                "EXPIRED",
            ];
            by_name(any_of(dice, "state", "=", &states), |invitation| invitation.state().as_str_name())
        }
        1 => {
            by_name(any_of(dice, "email", "=", &["e7@example.com", "e8@example.com", "p100@example.com"]), |i| &i.email)
        }
        2 => by_name(any_of(dice, "account", "=", &["accounts/user-3", "accounts/user-4", "accounts/open-9"]), |i| {
            &i.account
        }),
        3 => by_name(any_of(dice, "inviter", "=", &actors("accounts/rare")), |i| &i.inviter),
        4 => by_name(any_of(dice, "offerer", "=", &actors("accounts/seldom")), |i| &i.offerer),
        5 => by_name(any_of(dice, "annotations.ticket", "=", &["OPS-0", "OPS-1", "OPS-2"]), |i| {
            i.annotations.get("ticket").map_or("", String::as_str)
        }),
        6 => by_name(any_of(dice, "annotations.\"env\"", "=", &["prod"]), |i| {
            i.annotations.get("env").map_or("", String::as_str)
        }),
        7 => {
            let (text, values) = any_of(dice, "deliveries.state", ":", &["FAILED", "RETRYING", "DROPPED"]);
            let has = move |delivery: &pb::Delivery| values.iter().any(|value| value == delivery.state().as_str_name());
            vec![Condition { text, holds: Box::new(move |invitation| invitation.deliveries.iter().any(&has)) }]
        }
        8 | 9 => {
            let (field, time): (_, fn(&Invitation) -> Option<i64>) = if n == 8 {
                ("create_time", |invitation| micros(invitation.create_time.as_ref()))
            } else {
                ("expire_time", |invitation| micros(invitation.expire_time.as_ref()))
            };
            let mut both = vec![bound(dice, field, all, time, true), bound(dice, field, all, time, false)];
            if dice.random_bool(0.6) {
                both.remove(dice.random_range(0..2));
            }
            both
        }
        _ => unreachable!(),
    }
}

fn names(invitations: &[Invitation]) -> Vec<&str> {
    invitations.iter().map(|invitation| invitation.name.as_str()).collect()
}

#[tokio::test]
async fn every_combination_finds_what_a_look_at_each_invitation_finds() {
    let service = Service::start_with(&[("max_calls", "1000")], invitations::dev::mailbox::Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    fill(&service).await;
    let request =
        pb::ListInvitationsRequest { parent: "organizations/acme".to_owned(), page_size: 200, ..Default::default() };
    let (all, _) = walk(&owner, request.clone()).await;
    assert_eq!(all.len(), ROWS);
    assert!(all.is_sorted_by(|newer, older| newer.name > older.name));
    let mut dice = StdRng::seed_from_u64(14);
    let mut found_something = 0;
    for n in 0..FILTERS {
        // each kind alone, then pairs and more of them
        let count = if n < 20 { 1 } else { dice.random_range(2..=4) };
        let kinds =
            if n < 20 { vec![n % 10] } else { (0..10).collect::<Vec<_>>().sample(&mut dice, count).copied().collect() };
        let mut conditions = kinds.into_iter().flat_map(|kind| condition(kind, &mut dice, &all)).collect::<Vec<_>>();
        let filter = conditions.iter().map(|condition| condition.text.as_str()).collect::<Vec<_>>().join(" AND ");
        let mut request = pb::ListInvitationsRequest { filter, ..request.clone() };
        // beside it, the fields that there were before
        if dice.random_bool(0.2) {
            request.states = vec![State::Expired.into(), State::Invited.into(), State::Revoked.into()];
            let states = request.states.clone();
            let holds = move |invitation: &Invitation| states.contains(&invitation.state);
            conditions.push(Condition { text: String::new(), holds: Box::new(holds) });
        }
        let holds = |invitation: &&Invitation| conditions.iter().all(|condition| (condition.holds)(invitation));
        let expected = all.iter().filter(holds).cloned().collect::<Vec<_>>();
        request.page_size = if expected.len() < 40 { [1, 3, 200][n % 3] } else { 200 };
        let (found, _) = walk(&owner, request.clone()).await;
        assert_eq!(names(&found), names(&expected), "{} {:?}", request.filter, request.states);
        found_something += usize::from(!expected.is_empty());
    }
    assert!(found_something > FILTERS / 2, "most filters find something: {found_something}");
    // what no index knows is looked for among all of them, a part with each page
    let filter = "expire_time > \"2100-01-01T00:00:00Z\"".to_owned();
    let (found, pages) = walk(&owner, pb::ListInvitationsRequest { filter, ..request }).await;
    assert_eq!((found, pages), (Vec::new(), ROWS / 2000 + 1));
}

#[tokio::test]
async fn a_page_of_which_everything_matches_is_full() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    fill(&service).await;
    for filter in [
        "inviter = \"accounts/ada\"",
        "offerer = \"accounts/ada\"",
        "state = INVITED",
        "state = (EXPIRED OR OFFERED)",
        "annotations.env = prod",
        "deliveries.state:DROPPED",
        "create_time < \"2100-01-01T00:00:00Z\"",
        "state = OFFERED AND expire_time > \"2020-01-01T00:00:00Z\"",
        "inviter = \"accounts/ada\" AND state = EXPIRED AND annotations.env = prod",
    ] {
        let request = pb::ListInvitationsRequest {
            parent: "organizations/acme".to_owned(),
            filter: filter.to_owned(),
            ..Default::default()
        };
        let (found, next) = page(&owner, &request).await;
        assert_eq!((found.len(), next.is_empty()), (50, false), "{filter}");
    }
}

#[tokio::test]
async fn an_invitation_is_found_by_what_becomes_of_it() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let annotations = [("ticket", "OPS \"7\" \\"), ("example.com/env", "prod")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
    let invitation =
        Invitation { email: "Ada@Example.com".to_owned(), annotations: annotations.into(), ..Invitation::default() };
    let message = pb::CreateInvitationRequest {
        parent: "organizations/acme".to_owned(),
        invitation: Some(invitation),
        ..Default::default()
    };
    let made = owner.invitations.clone().create_invitation(message).await.unwrap().into_inner();
    service.email_to("Ada@example.com", 1).await;
    owner.invite("acme", "otto@example.com").await.unwrap();
    let list = async |filter: &str| {
        let parent = "organizations/acme".to_owned();
        let request = pb::ListInvitationsRequest { parent, filter: filter.to_owned(), ..Default::default() };
        page(&owner, &request).await.0
    };
    for filter in [
        r#"annotations.ticket = "OPS \"7\" \\""#,
        r#"annotations."example.com/env" = prod AND inviter = accounts/me AND state = INVITED"#,
        r#"email = ADA@example.com AND create_time > "2026-01-01T00:00:00Z""#,
    ] {
        assert_eq!(names(&list(filter).await), [made.name.as_str()], "{filter}");
    }
    owner.revoke(&made.name).await.unwrap();
    assert_eq!(names(&list("state = REVOKED").await), [made.name.as_str()]);
    // its reminder is not wanted any more
    let dropped = list("deliveries.state:DROPPED").await;
    assert_eq!(names(&dropped), [made.name.as_str()]);
    assert!(dropped[0].deliveries.iter().any(|delivery| delivery.state() == delivery::State::Dropped));
    assert_eq!(list("deliveries.state:FAILED").await, []);
    // two fields that cannot both hold
    let request = pb::ListInvitationsRequest {
        parent: "organizations/acme".to_owned(),
        states: vec![State::Invited.into()],
        filter: "state = REVOKED".to_owned(),
        ..Default::default()
    };
    assert_eq!(page(&owner, &request).await, (Vec::new(), String::new()));
}

#[tokio::test]
async fn a_filter_that_cannot_be_read_is_a_bad_field_and_is_repeated_nowhere() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    for filter in ["email = anna@example.com order by email", "role = OWNER", "state = OPEN", &"(".repeat(1025)] {
        let request = pb::ListInvitationsRequest {
            parent: "organizations/acme".to_owned(),
            filter: filter.to_owned(),
            ..Default::default()
        };
        let refused = owner.invitations.clone().list_invitations(request).await;
        assert_eq!(bad_fields(refused.as_ref().unwrap_err()), ["filter"], "{filter:.50}");
        assert!(!refused.as_ref().unwrap_err().message().contains("anna"));
        assert_eq!(reason(refused), "FIELD_INVALID");
    }
}
