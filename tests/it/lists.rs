//! Lists: every row exactly once over pages of any size, in the order that is promised, with tokens for one list only.

mod cost;
mod named;
mod organizations;
mod search;
pub mod size;

use invitations::pb::invitation::State;
use invitations::pb::{self, Invitation};
use tonic::Status;

use crate::support::{Person, Service, bad_fields, reason};

/// Walks a list to its end.
async fn walk<T>(size: i32, fetch: impl AsyncFn(i32, String) -> Result<(Vec<T>, String), Status>) -> Vec<T> {
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let (page, next) = fetch(size, token).await.unwrap();
        assert!(page.len() <= usize::try_from(size).unwrap(), "a page of {}", page.len());
        assert!(next.is_empty() || !page.is_empty(), "an empty page in the middle");
        all.extend(page);
        if next.is_empty() {
            return all;
        }
        token = next;
    }
}

/// A list and what narrows it.
#[derive(Clone, Default)]
struct Filter {
    organization: &'static str,
    states: &'static [State],
    email: &'static str,
    search: &'static str,
}

async fn invitations(
    person: &Person,
    filter: &Filter,
    page_size: i32,
    page_token: String,
) -> Result<(Vec<Invitation>, String), Status> {
    let message = pb::ListInvitationsRequest {
        parent: format!("organizations/{}", filter.organization),
        page_size,
        page_token,
        states: filter.states.iter().map(|state| (*state).into()).collect(),
        email: filter.email.to_owned(),
        filter: filter.search.to_owned(),
    };
    let page = person.invitations.clone().list_invitations(message).await?.into_inner();
    Ok((page.invitations, page.next_page_token))
}

async fn own_invitations(person: &Person, page_size: i32, page_token: String) -> Result<(Vec<String>, String), Status> {
    let message = pb::ListAccountInvitationsRequest { parent: "accounts/me".to_owned(), page_size, page_token };
    let page = person.invitations.clone().list_account_invitations(message).await?.into_inner();
    Ok((page.invitations.into_iter().map(|invitation| invitation.name).collect(), page.next_page_token))
}

async fn memberships(person: &Person, page_size: i32, page_token: String) -> Result<(Vec<String>, String), Status> {
    let message = pb::ListAccountMembershipsRequest { parent: "accounts/me".to_owned(), page_size, page_token };
    let page = person.accounts.clone().list_account_memberships(message).await?.into_inner();
    Ok((page.memberships.into_iter().map(|membership| membership.organization).collect(), page.next_page_token))
}

async fn organizations(person: &Person, page_size: i32, page_token: String) -> Result<(Vec<String>, String), Status> {
    let message = pb::ListOrganizationsRequest { page_size, page_token };
    let page = person.organizations.clone().list_organizations(message).await?.into_inner();
    Ok((page.organizations.into_iter().map(|organization| organization.name).collect(), page.next_page_token))
}

async fn members(person: &Person, page_size: i32, page_token: String) -> Result<(Vec<String>, String), Status> {
    let message = pb::ListMembersRequest { parent: "organizations/acme".to_owned(), page_size, page_token };
    let page = person.organizations.clone().list_members(message).await?.into_inner();
    Ok((page.members.into_iter().map(|member| member.account).collect(), page.next_page_token))
}

async fn events(
    person: &Person,
    invitation: &str,
    page_size: i32,
    page_token: String,
) -> Result<(Vec<String>, String), Status> {
    let (parent, invitation) = ("organizations/acme".to_owned(), invitation.to_owned());
    let message = pb::ListEventsRequest { parent, invitation, page_size, page_token };
    let page = person.organizations.clone().list_events(message).await?.into_inner();
    Ok((page.events.into_iter().map(|event| event.name).collect(), page.next_page_token))
}

/// Invitations in every state but PENDING_APPROVAL, some overdue, some of one address.
async fn fill(service: &Service, owner: &Person) {
    for n in 0..3 {
        owner.invite("acme", &format!("ina{n}@example.com")).await.unwrap();
        let late = owner.invite("acme", &format!("late{n}@example.com")).await.unwrap();
        service.let_expire(&late.name).await;
        let again = owner.invite("acme", "again@example.com").await.unwrap();
        owner.revoke(&again.name).await.unwrap();
        let (person, offered) = service.offered(owner, "acme", &format!("otto{n}"), "READER").await;
        match n {
            0 => drop(person.accept(&offered.name).await.unwrap()),
            1 => drop(person.decline(&offered.name).await.unwrap()),
            _ => service.let_expire(&offered.name).await,
        }
        service.requested(owner, "acme", &format!("rita{n}")).await;
    }
    let again = owner.invite("acme", "Again@Example.com").await.unwrap();
    service.let_expire(&again.name).await;
}

#[tokio::test]
async fn invitations_are_listed_newest_first_and_each_once_under_every_filter() {
    use State::{AccessRequested, Declined, Expired, Invited, Offered, Revoked};

    const ALL: Filter = Filter { organization: "acme", states: &[], email: "", search: "" };
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    fill(&service, &owner).await;
    let (all, _) = invitations(&owner, &ALL, 200, String::new()).await.unwrap();
    assert_eq!(all.len(), 16);
    assert!(all.is_sorted_by(|newer, older| newer.name > older.name));
    assert_eq!(all.iter().filter(|invitation| invitation.state() == State::Expired).count(), 5);

    for (filter, count) in [
        (ALL, 16),
        (Filter { states: &[Invited], ..ALL }, 3),
        (Filter { states: &[Expired], ..ALL }, 5),
        (Filter { states: &[Expired, Invited, Offered], ..ALL }, 8),
        (Filter { states: &[AccessRequested, Declined, Revoked], ..ALL }, 7),
        (Filter { states: &[State::PendingApproval], ..ALL }, 0),
        (Filter { email: "AGAIN@example.COM", ..ALL }, 4),
        (Filter { states: &[Expired], email: "again@example.com", ..ALL }, 1),
        (Filter { states: &[Revoked, Invited], email: "again@example.com", ..ALL }, 3),
        (Filter { email: "nobody@example.com", ..ALL }, 0),
    ] {
        let fits = |invitation: &&Invitation| {
            (filter.states.is_empty() || filter.states.contains(&invitation.state()))
                && (filter.email.is_empty() || invitation.email.eq_ignore_ascii_case(filter.email))
        };
        let expected = all.iter().filter(fits).map(|invitation| invitation.name.as_str()).collect::<Vec<_>>();
        assert_eq!(expected.len(), count);
        for size in [1, 2, 7] {
            let found = walk(size, async |size, token| invitations(&owner, &filter, size, token).await).await;
            let found = found.iter().map(|invitation| invitation.name.as_str()).collect::<Vec<_>>();
            assert_eq!(found, expected, "pages of {size}, {:?} {}", filter.states, filter.email);
        }
    }
}

#[tokio::test]
async fn every_other_list_has_each_row_once_and_in_order() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let anna = service.account("anna").await;
    for n in 0..5 {
        service.member(&owner, "acme", &format!("max{n}"), "READER").await;
        let slug = format!("acme-{n}");
        owner.create_organization(&slug).await.unwrap();
        let offer = owner.offer(&slug, "anna", "anna@example.com", "READER").await.unwrap();
        anna.accept(&offer.name).await.unwrap();
        let offer = owner.offer("acme", "anna", "anna@example.com", "READER").await.unwrap();
        anna.decline(&offer.name).await.unwrap();
    }
    let (story, _) = own_invitations(&anna, 200, String::new()).await.unwrap();
    let last = story[0].as_str();
    for size in [1, 2, 7, 200] {
        let listed = walk(size, async |size, token| own_invitations(&anna, size, token).await).await;
        assert_eq!(listed.len(), 10, "pages of {size}");
        let ids = listed.iter().map(|name| name.rsplit('/').next().unwrap()).collect::<Vec<_>>();
        assert!(ids.is_sorted_by(|newer, older| newer > older), "{ids:?}");

        let listed = walk(size, async |size, token| memberships(&anna, size, token).await).await;
        assert_eq!(listed, (0..5).map(|n| format!("organizations/acme-{n}")).collect::<Vec<_>>());
        let listed = walk(size, async |size, token| organizations(&anna, size, token).await).await;
        assert_eq!(listed, (0..5).map(|n| format!("organizations/acme-{n}")).collect::<Vec<_>>());
        let listed = walk(size, async |size, token| members(&owner, size, token).await).await;
        let mut expected = (0..5).map(|n| format!("accounts/max{n}")).collect::<Vec<_>>();
        expected.push("accounts/olga".to_owned());
        assert_eq!(listed, expected);
        let listed = walk(size, async |size, token| events(&owner, "", size, token).await).await;
        assert_eq!(listed, (1..=21).map(|n| format!("organizations/acme/events/{n}")).collect::<Vec<_>>());
        let listed = walk(size, async |size, token| events(&owner, last, size, token).await).await;
        assert_eq!(listed, ["organizations/acme/events/20", "organizations/acme/events/21"]);
    }
    // NONE sees only itself, on the one page that there is
    owner.set_role("acme", "max0", "NONE").await.unwrap();
    let max = service.stranger("max0", "max0@example.com");
    assert_eq!(walk(1, async |size, token| members(&max, size, token).await).await, ["accounts/max0"]);
}

#[tokio::test]
async fn what_comes_between_two_pages_disturbs_neither() {
    const ALL: Filter = Filter { organization: "acme", states: &[], email: "", search: "" };
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let mut names = Vec::new();
    for n in 0..4 {
        names.push(owner.invite("acme", &format!("ina{n}@example.com")).await.unwrap().name);
    }
    let (first, token) = invitations(&owner, &ALL, 2, String::new()).await.unwrap();
    owner.invite("acme", "new@example.com").await.unwrap();
    owner.revoke(&first[1].name).await.unwrap();
    let (second, end) = invitations(&owner, &ALL, 7, token).await.unwrap();
    let seen = first.iter().chain(&second).map(|invitation| invitation.name.clone()).collect::<Vec<_>>();
    names.reverse();
    assert_eq!((seen, end.as_str()), (names, ""));
}

/// Asks for a page of the `n`th list with a token; the token of the next page.
async fn next(n: usize, owner: &Person, invitation: &str, size: i32, token: String) -> Result<String, Status> {
    let acme = Filter { organization: "acme", ..Filter::default() };
    Ok(match n {
        0 => invitations(owner, &acme, size, token).await?.1,
        1 => invitations(owner, &Filter { states: &[State::Accepted], ..acme }, size, token).await?.1,
        2 => invitations(owner, &Filter { email: "again@example.com", ..acme }, size, token).await?.1,
        3 => invitations(owner, &Filter { organization: "beta", ..acme }, size, token).await?.1,
        4 => own_invitations(owner, size, token).await?.1,
        5 => memberships(owner, size, token).await?.1,
        6 => members(owner, size, token).await?.1,
        7 => events(owner, "", size, token).await?.1,
        8 => organizations(owner, size, token).await?.1,
        9 => invitations(owner, &Filter { search: "inviter = accounts/olga", ..acme }, size, token).await?.1,
        _ => events(owner, invitation, size, token).await?.1,
    })
}

#[tokio::test]
async fn a_page_token_is_good_for_its_own_list_only() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let rosa = service.owner("rosa", "beta").await;
    let mut last = String::new();
    for n in 0..2 {
        service.member(&owner, "acme", &format!("max{n}"), "READER").await;
        owner.revoke(&owner.invite("acme", "again@example.com").await.unwrap().name).await.unwrap();
        owner.create_organization(&format!("acme-{n}")).await.unwrap();
        last = rosa.offer("beta", "olga", "olga@example.com", "OWNER").await.unwrap().name;
        owner.decline(&last).await.unwrap();
    }
    owner.accept(&rosa.offer("beta", "olga", "olga@example.com", "OWNER").await.unwrap().name).await.unwrap();
    let again = owner.offer("acme", "rosa", "rosa@example.com", "READER").await.unwrap().name;
    owner.resend(&again, false).await.unwrap();

    let mut tokens = Vec::new();
    for n in 0..11 {
        let token = next(n, &owner, &again, 1, String::new()).await.unwrap();
        assert!(!token.is_empty(), "list {n} has a second page");
        tokens.push(token);
    }
    for (of, token) in tokens.iter().enumerate() {
        for at in 0..11 {
            let outcome = next(at, &owner, &again, 2, token.clone()).await;
            if at == of {
                outcome.unwrap();
            } else {
                assert_eq!(bad_fields(outcome.as_ref().unwrap_err()), ["page_token"]);
                assert_eq!(reason(outcome), "PAGE_TOKEN_INVALID", "the token of list {of} at list {at}");
            }
        }
        for made_up in [&token[1..], &token[..token.len() - 1], &format!("{token}A"), "x", "/////", &"A".repeat(300)] {
            let outcome = next(of, &owner, &again, 2, made_up.to_owned()).await;
            assert!(outcome.is_ok() || reason(outcome) == "PAGE_TOKEN_INVALID", "list {of}: {made_up}");
        }
    }
    // it authorises nothing: whoever may not see the list does not see it with a token either
    let stranger = service.account("eve").await;
    assert_eq!(reason(next(0, &stranger, &again, 1, tokens[0].clone()).await), "ORGANIZATION_NOT_FOUND");
    assert!(!last.is_empty());
}

#[tokio::test]
async fn page_sizes_have_a_default_and_a_maximum() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    sqlx::query(
        "INSERT INTO events (organization, position, kind) SELECT 'acme', n, 'RESENT' FROM generate_series(2, 260) n",
    )
    .execute(service.pool())
    .await
    .unwrap();
    for (size, length) in [(0, 50), (1, 1), (200, 200), (201, 200), (i32::MAX, 200)] {
        let (page, token) = events(&owner, "", size, String::new()).await.unwrap();
        assert_eq!((page.len(), token.is_empty()), (length, false), "page_size {size}");
    }
    let refused = events(&owner, "", -1, String::new()).await;
    assert_eq!(bad_fields(refused.as_ref().unwrap_err()), ["page_size"]);
    assert_eq!(reason(refused), "FIELD_INVALID");
}
