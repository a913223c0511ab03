//! Accept against revoke, and accept against itself.

use invitations::domain::{
    Caller, Command, Context, InvitationId, Operation, OrganizationId, OrganizationState, Subject, Timestamp, Username,
    decide,
};
use invitations::pb::Invitation;
use invitations::pb::invitation::State;
use invitations::store;
use invitations::store::changes::{self, Changed};
use invitations::store::load::{Loaded, Wanted, load};
use sqlx::{Postgres, Transaction};

use super::{Replicas, at_once, count, deployment};
use crate::support::{Person, Service, patiently, reason};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_is_accepted_or_revoked_and_never_both() {
    let replicas = Replicas::start().await;
    let service = &replicas.service;
    let owner = service.owner("olga", "acme").await;
    let people = at_once((0..8).map(async |n| (format!("guest-{n}"), service.account(&format!("guest-{n}")).await)));
    let people = people.await;
    let race = async |(n, (name, guest)): (usize, &(String, Person))| {
        let (owners, guests) = (replicas.spread(&owner, 2), replicas.spread(guest, 2));
        let mut accepted = 0;
        for round in n..n + 25 {
            let email = format!("{name}@example.com");
            let offer = patiently(async || owner.offer("acme", name, &email, "READER").await).await.unwrap().name;
            let accept = patiently(async || guests[round % 2].accept(&offer).await);
            // sometimes on the same replica, sometimes not; sometimes the one first, sometimes the other
            let revoke = patiently(async || owners[round / 2 % 2].revoke(&offer).await);
            let (accept, revoke) = if round % 3 == 0 {
                tokio::join!(accept, revoke)
            } else {
                let (revoke, accept) = tokio::join!(revoke, accept);
                (accept, revoke)
            };
            let member = patiently(async || owner.member("acme", name).await).await;
            if accept.is_ok() {
                assert_eq!(reason(revoke), "INVITATION_ACCEPTED");
                member.unwrap();
                patiently(async || owner.remove("acme", name).await).await.unwrap();
                accepted += 1;
            } else {
                assert_eq!(reason(accept), "INVITATION_REVOKED");
                revoke.unwrap();
                assert_eq!(reason(member), "MEMBER_NOT_FOUND");
            }
        }
        accepted
    };
    // who comes first is the machine's to say
    let (mut accepted, mut all) = (0, 0);
    while (accepted == 0 || accepted == all) && all < 2000 {
        accepted += at_once(people.iter().enumerate().map(&race)).await.into_iter().sum::<usize>();
        all += 200;
    }
    assert!(0 < accepted && accepted < all, "{accepted} of {all}: that was no race");
    let decided_twice = "SELECT count(*) FROM (SELECT FROM events WHERE kind IN ('ACCEPTED', 'REVOKED') \
                           GROUP BY invitation HAVING count(*) <> 1) twice";
    assert_eq!(count(service.pool(), decided_twice).await, 0);
    service.recount().await;
}

/// The control: what happens to those who read, and then write.
#[tokio::test]
async fn without_lock_and_condition_both_decide() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    service.account("anna").await;
    owner.offer("acme", "anna", "anna@example.com", "READER").await.unwrap();

    let mut accept = service.pool().begin().await.unwrap();
    let mut revoke = service.pool().begin().await.unwrap();
    for transaction in [&mut accept, &mut revoke] {
        let state: String = sqlx::query_scalar("SELECT state::text FROM invitations WHERE organization = 'acme'")
            .fetch_one(&mut **transaction)
            .await
            .unwrap();
        assert_eq!(state, "OFFERED", "so it may be decided");
    }
    run(&mut accept, "UPDATE invitations SET state = 'ACCEPTED' WHERE organization = 'acme'").await;
    run(&mut accept, "INSERT INTO members (organization, username, role) VALUES ('acme', 'anna', 'READER')").await;
    accept.commit().await.unwrap();
    run(&mut revoke, "UPDATE invitations SET state = 'REVOKED' WHERE organization = 'acme'").await;
    revoke.commit().await.unwrap();

    let wrong = "SELECT count(*) FROM members m JOIN invitations i USING (organization, username) \
                  WHERE i.state = 'REVOKED'";
    assert_eq!(count(service.pool(), wrong).await, 1, "a member of a revoked invitation");
}

/// The other control: the writer's own steps without the lock. The statements hold alone: the second one fails.
#[tokio::test]
async fn without_the_lock_the_second_writer_fails_visibly() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let mut offers = Vec::new();
    for name in ["anna", "bob", "cyd"] {
        service.account(name).await;
        offers.push(owner.offer("acme", name, &format!("{name}@example.com"), "READER").await.unwrap());
    }
    let [anna, bo, cy] = &offers[..] else { unreachable!() };

    let accept = Unlocked::decide(&service, "anna", accept(anna)).await;
    let revoke = Unlocked::decide(&service, "olga", revoke(anna)).await;
    accept.write().await.unwrap();
    assert_eq!(revoke.write().await.unwrap_err().to_string(), "an invitation changed under the lock");

    let revoke = Unlocked::decide(&service, "olga", self::revoke(bo)).await;
    let accept = Unlocked::decide(&service, "bob", self::accept(bo)).await;
    revoke.write().await.unwrap();
    assert_eq!(accept.write().await.unwrap_err().to_string(), "an invitation changed under the lock");

    // rows of their own, but the head row counts for both
    owner.remove("acme", "anna").await.unwrap();
    let anew = owner.offer("acme", "anna", "anna@example.com", "READER").await.unwrap();
    let accept = Unlocked::decide(&service, "anna", self::accept(&anew)).await;
    let revoke = Unlocked::decide(&service, "olga", self::revoke(cy)).await;
    accept.write().await.unwrap();
    assert_eq!(revoke.write().await.unwrap_err().to_string(), "constraint events_pkey refused the write");

    assert_eq!(owner.get(&anna.name).await.unwrap().state(), State::Accepted);
    assert_eq!(owner.get(&bo.name).await.unwrap().state(), State::Revoked);
    assert_eq!(owner.get(&cy.name).await.unwrap().state(), State::Offered);
    service.recount().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_accepts_twice_at_once_becomes_a_member_once() {
    let replicas = Replicas::start().await;
    let service = &replicas.service;
    let owner = service.owner("olga", "acme").await;
    let people = at_once((0..6).map(async |n| (format!("guest-{n}"), service.account(&format!("guest-{n}")).await)));
    let rounds = people.await.into_iter().map(async |(name, guest)| {
        for _ in 0..20 {
            let email = format!("{name}@example.com");
            let offer = patiently(async || owner.offer("acme", &name, &email, "READER").await).await.unwrap();
            let callers = replicas.spread(&guest, 4);
            let accept = async |guest: &Person| patiently(async || guest.accept(&offer.name).await).await;
            for accepted in at_once(callers.iter().map(accept)).await {
                let accepted = accepted.unwrap();
                assert_eq!((accepted.state(), &accepted.name), (State::Accepted, &offer.name));
            }
            patiently(async || owner.remove("acme", &name).await).await.unwrap();
        }
    });
    at_once(rounds).await;
    let events = "SELECT count(*) FROM events WHERE kind = 'ACCEPTED'";
    assert_eq!(count(service.pool(), events).await, 120);
    let granted = "SELECT count(*) FROM emails WHERE kind = 'ACCESS_GRANTED'";
    assert_eq!(count(service.pool(), granted).await, 120);
    let joined = "SELECT count(*) FROM emails WHERE kind = 'MEMBER_JOINED'";
    assert_eq!(count(service.pool(), joined).await, 120);
    service.recount().await;
}

async fn run(transaction: &mut Transaction<'static, Postgres>, statement: &'static str) {
    sqlx::query(statement).execute(&mut **transaction).await.unwrap();
}

fn accept(invitation: &Invitation) -> Operation {
    Operation::AcceptInvitation { invitation: id(invitation), etag: None }
}

fn revoke(invitation: &Invitation) -> Operation {
    Operation::RevokeInvitation { invitation: id(invitation), etag: None }
}

fn id(invitation: &Invitation) -> InvitationId {
    InvitationId::parse(invitation.name.rsplit('/').next().unwrap()).unwrap()
}

/// A change that was decided on what was there a moment ago.
struct Unlocked {
    transaction: Transaction<'static, Postgres>,
    before: OrganizationState,
    after: OrganizationState,
    now: Timestamp,
}

impl Unlocked {
    async fn decide(service: &Service, caller: &str, operation: Operation) -> Self {
        let username = |name: &str| Username::parse(name).unwrap();
        let organization = OrganizationId::parse("acme").unwrap();
        let (Operation::AcceptInvitation { invitation, .. } | Operation::RevokeInvitation { invitation, .. }) =
            &operation
        else {
            unreachable!()
        };
        let person = |name: &str| ("acme".to_owned(), name.to_owned());
        let wanted = Wanted {
            organizations: vec!["acme".to_owned()],
            invitations: vec![("acme".to_owned(), invitation.0)],
            people: vec![person(caller), person("olga")],
            ..Wanted::default()
        };
        let mut transaction = service.pool().begin().await.unwrap();
        let Loaded { now, mut organizations, accounts, .. } = load(&mut transaction, &wanted).await.unwrap();
        let before = organizations.remove(&organization).unwrap();
        let deployment = deployment();
        let context = Context { now, accounts: &accounts, deployment: &deployment };
        let caller = Some(Caller::Account(username(caller)));
        let command = Command::new(organization, caller, None, operation);
        let mut after = Some(before.clone());
        assert!(matches!(decide(&mut after, &context, &command, None), Ok(Subject::Invitation(_))));
        Self { transaction, before, after: after.unwrap(), now }
    }

    async fn write(mut self) -> store::Result<()> {
        let changed = Changed { before: Some(&self.before), after: &self.after };
        changes::write(&mut self.transaction, &[changed], &[], self.now).await?;
        Ok(self.transaction.commit().await?)
    }
}
