//! A stream that begins with the present state.

use std::collections::BTreeSet;

use invitations::dev::mailbox::Script;
use invitations::pb;

use super::{QUICK, Watcher, position, run, watch};
use crate::support::{Person, Service};

/// All of the present state, and the stream behind it.
async fn initial(person: &Person) -> (pb::Organization, Vec<pb::Member>, Vec<pb::Invitation>, Watcher) {
    let request = pb::WatchEventsRequest { send_initial: true, ..watch("") };
    let mut watcher = Watcher::begin(person, tonic::Request::new(request)).await.unwrap();
    let (mut organization, mut members, mut invitations) = (None, Vec::new(), Vec::new());
    loop {
        let message = watcher.message().await.unwrap();
        assert!(message.events.is_empty());
        if !message.resume_token.is_empty() {
            assert!(message.organization.is_none() && message.members.is_empty() && message.invitations.is_empty());
            return (organization.unwrap(), members, invitations, watcher);
        }
        organization = organization.or(message.organization);
        members.extend(message.members);
        invitations.extend(message.invitations);
    }
}

#[tokio::test]
async fn the_present_state_comes_first_and_then_what_happens() {
    let service = Service::start_with(&[QUICK], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let revoked = owner.invite("acme", "gone@example.com").await.unwrap();
    owner.revoke(&revoked.name).await.unwrap();
    let open = owner.invite("acme", "anna@example.com").await.unwrap();
    run(
        &service,
        "INSERT INTO members (organization, username, role) SELECT 'acme', 'm' || n, 'READER' FROM generate_series(1001, 1250) n",
    )
    .await;
    service.mail_rests().await;
    let (organization, members, invitations, mut watcher) = initial(&owner).await;
    assert_eq!(organization, owner.organization("acme").await);
    let names = members.iter().map(|member| member.name.rsplit('/').next().unwrap().to_owned()).collect::<Vec<_>>();
    let mut sorted = (1001..=1250).map(|n| format!("m{n}")).collect::<BTreeSet<_>>();
    sorted.insert("olga".to_owned());
    assert_eq!(names, sorted.into_iter().collect::<Vec<_>>());
    assert_eq!(invitations, [owner.get(&open.name).await.unwrap()]);
    owner.revoke(&open.name).await.unwrap();
    let event = watcher.happened().await.events.remove(0);
    assert_eq!((event.kind(), position(&event)), (pb::event::Kind::Revoked, 5));
}

#[tokio::test]
async fn it_shows_what_the_caller_may_see_elsewhere() {
    let service = Service::start_with(&[QUICK], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let security = service.member(&owner, "acme", "sam", "SECURITY_MANAGER").await;
    owner.invite("acme", "anna@example.com").await.unwrap();
    let platform = service.service("platform", &["invitations.read"]);
    service.mail_rests().await;
    for caller in [&security, &platform] {
        let (organization, members, invitations, _) = initial(caller).await;
        assert_eq!(organization, caller.organization("acme").await);
        let list = pb::ListMembersRequest { parent: "organizations/acme".into(), ..Default::default() };
        assert_eq!(members, caller.organizations.clone().list_members(list).await.unwrap().into_inner().members);
        let list =
            pb::ListInvitationsRequest { parent: "organizations/acme".into(), states: vec![1], ..Default::default() };
        let listed = caller.invitations.clone().list_invitations(list).await.unwrap().into_inner().invitations;
        assert_eq!(invitations, listed);
    }
}
