//! One owner who wants to do without the second person that the organization asks for.

use invitations::pb::{self, Role, event::Kind, invitation::State, policy::AddressMatch};

use crate::support::{Person, Service, reason};

const OF_RULE: &[&str] = &["approval_role"];

/// Olga and Otto own acme, where a second person is needed; Max manages it.
async fn scene() -> (Service, Person, Person) {
    let service = Service::start().await;
    let olga = service.owner("olga", "acme").await;
    let otto = service.member(&olga, "acme", "otto", "OWNER").await;
    service.member(&olga, "acme", "max", "MANAGER").await;
    service.account("puppet").await;
    olga.ask_for_approval_of("acme", Role::Manager).await;
    (service, olga, otto)
}

/// Unsets the rule, appoints an OWNER alone, sets it again. `None`: the rule is still there.
async fn take_over(service: &Service, olga: &Person, who: &Person) -> Option<Role> {
    who.set_policy("acme", OF_RULE, pb::Policy::default()).await;
    let offer = olga.offer("acme", "puppet", "puppet@example.com", "OWNER").await.unwrap();
    if offer.state() == State::PendingApproval {
        assert_eq!(reason(olga.approve(&offer.name).await), "SECOND_PERSON_REQUIRED");
        olga.revoke(&offer.name).await.unwrap();
        assert_eq!(reason(olga.set_role("acme", "max", "OWNER").await), "APPROVAL_REQUIRED");
        return None;
    }
    service.stranger("puppet", "puppet@example.com").accept(&offer.name).await.unwrap();
    olga.ask_for_approval_of("acme", Role::Manager).await;
    Some(olga.member("acme", "puppet").await.unwrap().role())
}

/// Hours pass for what waits.
async fn pass(service: &Service, hours: i32) {
    let age = "UPDATE organizations SET pending_create_time = pending_create_time - make_interval(hours => $1), \
                      pending_effective_time = pending_effective_time - make_interval(hours => $1)";
    sqlx::query(age).bind(hours).execute(service.pool()).await.unwrap();
}

fn rule(organization: &pb::Organization) -> Role {
    organization.policy.as_ref().unwrap().approval_role()
}

#[tokio::test]
async fn one_owner_appoints_no_other_one_alone() {
    let (service, olga, otto) = scene().await;
    assert_eq!(take_over(&service, &olga, &olga).await, None);
    let waiting = olga.organization("acme").await;
    assert_eq!(rule(&waiting), Role::Manager);
    let change = waiting.pending_change.unwrap();
    assert_eq!((change.author.as_str(), change.effective_time), ("accounts/olga", None));
    assert_eq!(change.update_mask.unwrap().paths, ["policy.approval_role"]);
    let max = service.stranger("max", "max@example.com");
    assert_eq!(reason(olga.approve_change("acme").await), "SECOND_PERSON_REQUIRED");
    assert_eq!(reason(max.approve_change("acme").await), "ROLE_REQUIRED");
    let all = service.service("all", &["organizations.admin", "members.grant"]);
    assert_eq!(reason(all.approve_change("acme").await), "PERSON_REQUIRED");
    // what Otto has read is what he approves
    let stale = pb::ApproveOrganizationChangeRequest {
        name: "organizations/acme".to_owned(),
        etag: olga.organization("acme").await.etag,
        ..Default::default()
    };
    let other = pb::Policy { approval_role: Role::Owner.into(), ..Default::default() };
    olga.set_policy("acme", OF_RULE, other).await;
    assert_eq!(reason(otto.organizations.clone().approve_organization_change(stale).await), "ETAG_MISMATCH");
    assert_eq!(rule(&olga.organization("acme").await), Role::Manager);

    // the control: where nothing waits, as for the operator's service, it is a takeover
    let (service, olga, _otto) = scene().await;
    let billing = service.service("billing", &["organizations.admin"]);
    assert_eq!(take_over(&service, &olga, &billing).await, Some(Role::Owner));
    service.recount().await;
}

#[tokio::test]
async fn whoever_removes_the_others_waits_a_day_from_then_on() {
    let (service, olga, _otto) = scene().await;
    olga.set_policy("acme", OF_RULE, pb::Policy::default()).await;
    pass(&service, 100).await;
    olga.remove("acme", "otto").await.unwrap();
    let alone = olga.organization("acme").await;
    assert_eq!(rule(&alone), Role::Manager, "not by what has passed before");
    assert!(alone.pending_change.unwrap().effective_time.is_some());
    pass(&service, 23).await;
    assert_eq!(take_over(&service, &olga, &olga).await, None);
    // the control: a day later; every read says so, and whatever is decided follows it
    pass(&service, 2).await;
    let free = olga.organization("acme").await;
    assert_eq!((rule(&free), free.pending_change), (Role::Unspecified, None));
    assert_eq!(take_over(&service, &olga, &olga).await, Some(Role::Owner));
    service.recount().await;
}

/// Each thing that an organization can ask of people.
#[tokio::test]
async fn whatever_asks_less_waits_for_another_owner_and_the_rest_does_not() {
    let (service, olga, otto) = scene().await;
    let domains = |domains: &[&str]| domains.iter().map(|domain| (*domain).to_owned()).collect::<Vec<_>>();
    let strict = pb::Policy {
        allowed_email_domains: domains(&["example.com"]),
        blocked_email_domains: domains(&["bad.example", "worse.example"]),
        allowed_providers: vec!["github".to_owned()],
        address_match: AddressMatch::Require.into(),
        approval_role: Role::Contributor.into(),
        ..Default::default()
    };
    let lax = pb::Policy {
        allowed_email_domains: domains(&["example.com", "elsewhere.example"]),
        blocked_email_domains: domains(&["bad.example"]),
        allowed_providers: vec!["github".to_owned(), "entra".to_owned()],
        address_match: AddressMatch::Warn.into(),
        approval_role: Role::Owner.into(),
        reminders_disabled: true,
        ..Default::default()
    };
    let paths =
        ["allowed_email_domains", "blocked_email_domains", "allowed_providers", "address_match", "approval_role"];
    olga.set_policy("acme", &paths, strict.clone()).await;
    let set = olga.organization("acme").await;
    assert_eq!(set.pending_change, None, "what asks for more takes effect at once");
    for path in paths {
        olga.set_policy("acme", &[path, "reminders_disabled"], lax.clone()).await;
        let waiting = olga.organization("acme").await;
        assert!(waiting.policy.as_ref().unwrap().reminders_disabled, "{path}");
        let change = waiting.pending_change.unwrap();
        assert_eq!(change.update_mask.unwrap().paths, [format!("policy.{path}")]);
        assert_eq!(pb::Policy { reminders_disabled: false, ..waiting.policy.unwrap() }, set.policy.clone().unwrap());
        olga.set_policy("acme", &["reminders_disabled"], strict.clone()).await;
    }
    // all of them, approved
    olga.set_policy("acme", &paths, lax.clone()).await;
    let told = "SELECT count(*) FROM emails WHERE kind = 'ORGANIZATION_CHANGED'";
    let before: i64 = sqlx::query_scalar(told).fetch_one(service.pool()).await.unwrap();
    let approved = otto.approve_change("acme").await.unwrap();
    let after: i64 = sqlx::query_scalar(told).fetch_one(service.pool()).await.unwrap();
    assert_eq!(after - before, 3, "the notification address and both owners");
    let policy = approved.policy.unwrap();
    assert_eq!((policy.approval_role(), policy.allowed_email_domains.len()), (Role::Owner, 2));
    assert_eq!((policy.address_match(), policy.allowed_providers.len()), (AddressMatch::Warn, 2));
    assert_eq!((policy.blocked_email_domains.len(), approved.pending_change), (1, None));
    let message =
        pb::ListEventsRequest { parent: "organizations/acme".to_owned(), page_size: 200, ..Default::default() };
    let events = otto.organizations.clone().list_events(message).await.unwrap().into_inner().events;
    let [.., proposed, approved] = &events[..] else { panic!("no events") };
    assert_eq!((proposed.kind(), proposed.actor.as_str()), (Kind::OrganizationChangeProposed, "accounts/olga"));
    assert_eq!((approved.kind(), approved.actor.as_str()), (Kind::OrganizationChangeApproved, "accounts/otto"));
    assert_eq!((proposed.changes.len(), &proposed.changes), (5, &approved.changes));
}

#[tokio::test]
async fn what_waits_is_taken_back_by_any_owner_and_ends_by_itself() {
    let (service, olga, otto) = scene().await;
    for person in [&olga, &otto] {
        olga.set_policy("acme", OF_RULE, pb::Policy::default()).await;
        let withdrawn = person.withdraw_change("acme").await.unwrap();
        assert_eq!((rule(&withdrawn), withdrawn.pending_change), (Role::Manager, None));
        assert_eq!(reason(otto.approve_change("acme").await), "NO_PENDING_CHANGE");
    }
    olga.set_policy("acme", OF_RULE, pb::Policy::default()).await;
    pass(&service, 7 * 24 - 1).await;
    assert!(olga.organization("acme").await.pending_change.is_some());
    pass(&service, 1).await;
    assert_eq!(olga.organization("acme").await.pending_change, None);
    assert_eq!(reason(otto.approve_change("acme").await), "NO_PENDING_CHANGE");
    // an owner who comes after it was proposed is no second person
    olga.set_policy("acme", OF_RULE, pb::Policy::default()).await;
    let rita = service.account("rita").await;
    let offer = olga.offer("acme", "rita", "rita@example.com", "OWNER").await.unwrap();
    otto.approve(&offer.name).await.unwrap();
    rita.accept(&offer.name).await.unwrap();
    assert_eq!(reason(rita.approve_change("acme").await), "APPROVER_TOO_NEW");
    assert_eq!(rule(&otto.approve_change("acme").await.unwrap()), Role::Unspecified, "the control");
    service.recount().await;
}

/// What a newer version has written in another form is not lost by what this one changes.
#[tokio::test]
async fn a_change_that_is_newer_is_left_alone() {
    let (service, olga, _otto) = scene().await;
    let newer = "UPDATE organizations SET pending_change = '{\"votes\": 2}', pending_create_time = now()";
    sqlx::query(newer).execute(service.pool()).await.unwrap();
    assert_eq!(olga.organization("acme").await.pending_change, None);
    olga.set_policy("acme", &["reminders_disabled"], pb::Policy { reminders_disabled: true, ..Default::default() })
        .await;
    let kept = "SELECT count(*) FROM organizations WHERE pending_change ? 'votes' AND pending_create_time IS NOT NULL";
    assert_eq!(sqlx::query_scalar::<_, i64>(kept).fetch_one(service.pool()).await.unwrap(), 1);
}
