//! Random walks: after each step the code and the model agree on the answer, the rows, the events and the emails.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use super::invariants::{Checked, Outbox, check_rows, check_step};
use super::model::{Happened, Mail, Member, Model, Name, ROBOT, Row};
use super::steps::{ADDRESSES, EVERYBODY, Step, people};
use super::world::{NOTIFIED, World, at, name_of, reason, row_of, service};
use crate::domain::{
    self, EmailAddress, Invitation, Operation, OrganizationState, Policy, Refusal, Role, Scope, Subject,
};

/// What 1,200 walks meet, nearly whatever their seed; states are those that a transition is refused from.
const ANSWERS: [(&str, &str); 15] = [
    ("Create", "ok AlreadyMember EmailDomainNotAllowed OpenInvitationExists OrganizationNotFound RoleRequired"),
    ("Request", "ok AccountRequired AddressMismatch AlreadyMember CodeNotFound EmailNotVerified OpenInvitationExists"),
    ("Request", "PersonRequired REVOKED"),
    ("Settle", "ok CodeNotFound"),
    ("Offer", "ok AccountEmailNotFound AlreadyMember AlreadyOffered EmailBoundToOther EmailDomainNotAllowed"),
    (
        "Offer",
        "AccountEmailChanged OrganizationNotFound ProviderNotAllowed RoleNotGrantable RoleRequired SeatsExhausted",
    ),
    ("Approve", "ok PersonRequired RoleNotGrantable RoleRequired SecondPersonRequired OFFERED EXPIRED"),
    ("Accept", "ok AccountRequired EtagMismatch InvitationNotFound InviteeRequired OfferNotCovered PersonRequired"),
    ("Decline", "ok AccountRequired EtagMismatch InvitationNotFound ACCEPTED DECLINED EXPIRED REVOKED"),
    ("Reject", "ok EtagMismatch InvitationNotFound RoleRequired INVITED OFFERED ACCEPTED DECLINED EXPIRED REJECTED"),
    ("Revoke", "ok EtagMismatch InvitationNotFound RoleNotGrantable ACCEPTED DECLINED EXPIRED REJECTED REVOKED"),
    (
        "Resend",
        "ok EtagMismatch OfferNotCovered ResentTooSoon RoleNotGrantable RoleRequired ACCESS_REQUESTED OFFERED EXPIRED",
    ),
    ("ApproveChange", "ok ApproverTooNew NoPendingChange RoleRequired SecondPersonRequired"),
    ("WithdrawChange", "ok EtagMismatch RoleRequired"),
    ("UpdateMember", "ok EtagMismatch LastOwner MemberNotFound RoleNotGrantable RoleRequired"),
];

/// Nine throws of the dice for each step. The story of a failure is in its message, so the dice need not be shown.
#[derive(Clone)]
struct Dice(Vec<[u8; 9]>);

impl fmt::Debug for Dice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} steps", self.0.len())
    }
}

/// Up to 60 steps.
fn walks() -> impl Strategy<Value = Dice> {
    prop::collection::vec(any::<[u8; 9]>(), 1..=60).prop_map(Dice)
}

proptest! {
    #[test]
    fn the_code_does_what_the_contract_says(walk in walks()) {
        Walk::begin().go(&walk)?;
    }
}

/// The property above says nothing about what its walks never meet.
#[test]
fn the_walks_meet_the_answers_that_matter() {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config { failure_persistence: None, ..Config::default() }, rng);
    let mut met = BTreeSet::new();
    for _ in 0..1_200 {
        let dice = walks().new_tree(&mut runner).unwrap().current();
        let mut walk = Walk::begin();
        walk.go(&dice).unwrap();
        met.extend(walk.met);
    }
    let answers = |(operation, answers): (&str, &str)| {
        answers.split_whitespace().map(|answer| format!("{operation} {answer}")).collect::<Vec<_>>()
    };
    let missing = ANSWERS.into_iter().flat_map(answers).filter(|answer| !met.contains(answer)).collect::<Vec<_>>();
    assert!(missing.is_empty(), "never met: {missing:?}");
}

struct Walk {
    world: World,
    model: Model,
    outbox: Outbox,
    log: Vec<String>,
    /// Operations with their answers.
    met: BTreeSet<String>,
}

impl Walk {
    /// Olga owns the organization, Mia manages it, Sam manages its users, Rita reads.
    fn begin() -> Self {
        let mut world = World::empty();
        let scopes = [Scope::InvitationsWrite, Scope::MembersGrant, Scope::OrganizationsAdmin];
        world.deployment.services = vec![service(ROBOT, &scopes)];
        let mut model = Model {
            now: 0,
            keys: &["k1"],
            accounts: people().into_iter().collect(),
            members: [].into(),
            rows: Vec::new(),
            policy: Policy::default(),
            waiting: None,
            notified: NOTIFIED,
            display_name: "Acme",
            seat_limit: None,
            revision: 1,
            counted: 0,
            told: Vec::new(),
            events: Vec::new(),
        };
        for (name, person) in people() {
            world.account(name, person.provider, &person.emails);
        }
        let roles =
            [("olga", Role::Owner), ("mia", Role::Manager), ("sam", Role::SecurityManager), ("rita", Role::Reader)];
        for (name, role) in roles {
            world.member(name, role);
            let member = Member { role, email: None, inviter: None, joined: 0, updated: 0, revision: 1 };
            model.members.insert(name, member);
        }
        Self { world, model, outbox: Outbox::default(), log: Vec::new(), met: BTreeSet::new() }
    }

    fn go(&mut self, walk: &Dice) -> Checked {
        for (n, dice) in walk.0.iter().enumerate() {
            // policies and limits that come late meet too little
            let step = if n < 2 { Step::set_up(dice) } else { Step::thrown(&self.model, dice) };
            self.log.push(format!("{:>4} h  {step:?}", self.model.now));
            self.step(&step)
                .map_err(|error| TestCaseError::fail(format!("{error}\nafter\n{}", self.log.join("\n"))))?;
        }
        Ok(())
    }

    /// In a failure the code's value is left, the model's is right.
    fn step(&mut self, step: &Step) -> Checked {
        let before = self.world.state().clone();
        let answer = self.world.perform(&self.model, step);
        prop_assert_eq!(&answer, &self.model.apply(step));

        let (model, now) = (&self.model, self.world.now);
        let state = self.world.state.as_mut().unwrap();
        prop_assert_eq!(rows(state), model.rows.clone());
        prop_assert_eq!(members(state), model.members.clone());
        prop_assert_eq!(happened(state), model.events.clone());
        prop_assert_eq!(mails(state), sorted(model.told.clone()));
        let organization = &state.organization;
        prop_assert_eq!(organization.display_name.as_str(), model.display_name);
        prop_assert_eq!(organization.notification_email.typed(), model.notified);
        prop_assert_eq!(&organization.policy, &model.policy);
        prop_assert_eq!(organization.pending_change.is_some(), model.waiting.is_some());
        prop_assert_eq!((organization.revision, state.head.seat_limit), (model.revision, model.seat_limit));
        prop_assert_eq!(state.counted, model.counted);

        check_rows(state)?;
        check_step(&before, state, now)?;
        if answer.is_err() {
            self.check_refused(before)?;
        }
        if let Step::Call(_, call) = step {
            let operation = format!("{call:?}");
            let operation = operation.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
            self.met.insert(format!("{operation} {}", name_of_answer(&answer)));
        }
        let state = self.world.state.as_mut().unwrap();
        state.events.clear();
        state.transitions.clear();
        self.outbox.take(state);
        self.outbox.check(state)?;
        let owners = state.members.values().filter(|member| member.role == Role::Owner).map(|m| m.username.clone());
        let owners = owners.collect::<Vec<_>>();
        let is_there = |owner| self.world.accounts.contains_key(owner);
        prop_assert!(owners.iter().any(is_there), "nobody is left who could own it");
        Ok(())
    }

    /// Whoever is refused changes no more than the sweep would have at that moment.
    fn check_refused(&mut self, before: OrganizationState) -> Checked {
        let after = self.world.state.replace(before);
        self.world.decide_itself(Operation::Expire(Vec::new())).unwrap();
        let swept = self.world.state.take().unwrap();
        let after = after.unwrap();
        let parts =
            |t: &OrganizationState| (t.organization.clone(), t.head.clone(), t.members.clone(), t.invitations.clone());
        prop_assert_eq!(parts(&after), parts(&swept));
        prop_assert_eq!(&after.events, &swept.events);
        prop_assert_eq!(&after.emails, &swept.emails);
        prop_assert_eq!(&after.withdrawals, &swept.withdrawals);
        prop_assert_eq!(&after.transitions, &swept.transitions);
        self.world.state = Some(after);
        Ok(())
    }
}

fn name_of_answer(answer: &Result<Subject, Refusal>) -> String {
    match answer {
        Ok(_) => "ok".to_owned(),
        Err(Refusal::InvitationState { state, .. }) => state.as_str().to_owned(),
        Err(refusal) => reason(refusal),
    }
}

// what the code holds, in the model's words

fn known(text: &str) -> Name {
    let mut names = EVERYBODY.into_iter().chain(ADDRESSES).chain(["k1", "k2"]);
    names.find(|name| *name == text).unwrap_or_else(|| panic!("{text} is new"))
}

fn typed(email: &EmailAddress) -> Name {
    known(email.typed())
}

fn hours(time: domain::Timestamp) -> i64 {
    (time - at(0)).whole_hours()
}

fn rows(state: &OrganizationState) -> Vec<Row> {
    let row = |i: &Invitation| Row {
        state: i.state,
        email: typed(&i.email),
        account: i.username.as_ref().map(|username| known(username.as_str())),
        account_email: i.account_email.as_ref().map(typed),
        role: i.role,
        inviter: i.inviter.as_ref().map(|actor| known(name_of(actor))),
        offerer: i.offerer.as_ref().map(|actor| known(name_of(actor))),
        approver: i.approver.as_ref().map(|actor| known(name_of(actor))),
        generation: i.code.as_ref().map_or(0, |code| code.generation),
        key: i.code.as_ref().map_or("", |code| known(&code.key_id)),
        created: hours(i.create_time),
        updated: hours(i.update_time),
        ends: i.expire_time.map(hours),
        asked: hours(i.send_time),
        requested: i.request_time.is_some(),
        revision: i.revision,
    };
    state.invitations.values().map(row).collect()
}

fn members(state: &OrganizationState) -> BTreeMap<Name, Member> {
    let member = |m: &domain::Member| Member {
        role: m.role,
        email: m.email.as_ref().map(typed),
        inviter: m.inviter.as_ref().map(|actor| known(name_of(actor))),
        joined: hours(m.create_time),
        updated: hours(m.update_time),
        revision: m.revision,
    };
    state.members.iter().map(|(username, m)| (known(username.as_str()), member(m))).collect()
}

fn happened(state: &OrganizationState) -> Vec<Happened> {
    let happened = |event: &domain::Event| Happened {
        kind: event.kind.unwrap(),
        by: event.actor.as_ref().map(|actor| known(name_of(actor))),
        row: event.invitation.map(row_of),
        member: event.member.as_ref().map(|username| known(username.as_str())),
    };
    state.events.iter().map(happened).collect()
}

fn mails(state: &OrganizationState) -> Vec<Mail> {
    let mail = |email: &domain::Email| Mail {
        kind: email.kind,
        row: email.invitation.map(row_of),
        to: typed(&email.recipient),
        due: hours(email.due_time),
        generation: email.generation,
    };
    sorted(state.emails.iter().map(mail).collect())
}

fn sorted(mut mails: Vec<Mail>) -> Vec<Mail> {
    mails.sort_by_key(|mail| format!("{mail:?}"));
    mails
}
