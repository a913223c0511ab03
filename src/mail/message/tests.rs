//! What goes out, for every kind of email, and when nothing does.

use mail_parser::{HeaderName, MessageParser};
use proptest::prelude::*;
use time::macros::datetime;
use uuid::Uuid;

use super::*;
use crate::domain::{
    Actor, CodeKey, Cover, DisplayName, InvitationState, MissingProof, OrganizationId, PendingChange, Policy,
    PolicyEdit,
};
use crate::mail::parse_from;

fn writer() -> Writer {
    let key = CodeKey::new("2026".to_owned(), vec![7; 32]).unwrap();
    Writer {
        templates: Templates::new().unwrap(),
        from: parse_from("IPMHub <no-reply@hub.example>").unwrap(),
        base: "https://hub.example".parse().unwrap(),
        code_keys: CodeKeys::new(vec![key]).unwrap(),
        services: Vec::new(),
    }
}

fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

/// A state that wants the email.
fn state_for(kind: EmailKind) -> InvitationState {
    InvitationState::ALL.into_iter().find(|state| kind.is_wanted_in(*state)).unwrap()
}

/// An offer by an OWNER.
fn cover(role: Role) -> Cover {
    let owner = Actor::Account(Username::parse("olga").unwrap());
    Cover { role, offerer: (owner, Some(Role::Owner)), approver: None }
}

fn is_about_invitation(kind: EmailKind) -> bool {
    !matches!(kind, EmailKind::OrganizationChanged | EmailKind::NotificationEmailCode)
}

fn missing_proof() -> MissingProof {
    MissingProof { key_id: "2026".to_owned(), generation: 1, expire_time: datetime!(2026-11-30 12:00 UTC) }
}

fn held(kind: EmailKind) -> Held {
    let recipient = match audience(kind) {
        "invited" => "anna@example.com",
        "account" => "anna.b@example.org",
        "organization" | "unproven" => "it@acme.example",
        _ => "owner@acme.example",
    };
    let about_invitation = is_about_invitation(kind);
    Held {
        organization: OrganizationId::parse("acme").unwrap(),
        id: Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_00e1),
        invitation: about_invitation.then(|| InvitationId(Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_000a))),
        kind,
        generation: i32::from(kind.carries_code() || kind == EmailKind::NotificationEmailCode),
        recipient: address(recipient),
        attempt: 1,
        lease_until: datetime!(2026-11-23 12:01 UTC),
        missing_since: None,
        trace: None,
    }
}

/// Of the invitation's life as far as the email's state: an account from the access request on, a role from the offer on.
fn facts(kind: EmailKind) -> Facts {
    let state = state_for(kind);
    let is_bound = !matches!(state, InvitationState::Invited | InvitationState::Expired);
    let has_role = matches!(state, InvitationState::Offered | InvitationState::Accepted);
    Facts {
        now: datetime!(2026-11-23 12:00 UTC),
        organization: DisplayName::stored("Acme & Söhne".to_owned()),
        notification_email: address("it@acme.example"),
        missing_proof: (kind == EmailKind::NotificationEmailCode).then(missing_proof),
        is_to_owner: false,
        policy: Policy::default(),
        pending_change: None,
        locale: "en".to_owned(),
        invitation: is_about_invitation(kind).then(|| InvitationFacts {
            state,
            email: address("anna@example.com"),
            is_unsolicited: false,
            username: is_bound.then(|| Username::parse("anna-b").unwrap()),
            account_email: is_bound.then(|| address("anna.b@example.org")),
            role: has_role.then_some(Role::Contributor),
            cover: has_role.then(|| cover(Role::Contributor)),
            is_of_member: false,
            code_key_id: Some("2026".to_owned()),
            generation: 1,
            expire_time: Some(datetime!(2026-11-30 12:00 UTC)),
        }),
    }
}

fn github() -> SignIn {
    SignIn { provider: "github".to_owned(), tenant: None }
}

fn letter_with(kind: EmailKind, change: impl FnOnce(&mut Facts)) -> Letter {
    let mut facts = facts(kind);
    change(&mut facts);
    writer().draft(&held(kind), &facts, Some(&github())).unwrap()
}

/// The message as its reader sees it.
fn show(letter: &Letter) -> String {
    let message = MessageParser::default().parse(&letter.message).unwrap();
    let headers = std::str::from_utf8(&letter.message).unwrap().split("\r\n\r\n").next().unwrap().replace("\r\n", "\n");
    let subject = message.subject().unwrap();
    let text = message.body_text(0).unwrap().replace("\r\n", "\n");
    let html = message.body_html(0).unwrap().replace("\r\n", "\n");
    format!(
        "MAIL {} RCPT {}\n\n{headers}\n\n=== {subject}\n\n{text}\n\n=== HTML\n\n{html}",
        letter.sender, letter.recipient
    )
}

#[test]
fn every_kind_of_email_reads_as_it_should() {
    for kind in EmailKind::ALL {
        insta::assert_snapshot!(kind.as_str().to_lowercase(), show(&letter_with(kind, |_| {})));
    }
}

#[test]
fn several_notices_read_as_one_email() {
    let kinds = EmailKind::ALL.into_iter().filter(|kind| kind.is_to_organization());
    let notices = kinds.map(|kind| (held(kind), facts(kind))).collect::<Vec<_>>();
    let notices = notices.iter().map(|(held, facts)| (held, facts)).collect::<Vec<_>>();
    let letter = |notices: &[(&Held, &Facts)]| writer().draft_gathered(notices).unwrap();
    insta::assert_snapshot!("gathered", show(&letter(&notices)));
    // of a thousand, fifty are shown
    let many = notices.iter().cycle().take(1000).copied().collect::<Vec<_>>();
    assert!(show(&letter(&many)).contains("And 950 more"));
}

#[test]
fn what_waits_for_another_owner_is_told_with_its_author_and_its_end() {
    let change = |effective_time| PendingChange {
        policy: PolicyEdit { approval_role: Some(None), ..PolicyEdit::default() },
        author: Actor::stored("accounts/olga"),
        create_time: datetime!(2026-11-23 12:00 UTC),
        effective_time,
    };
    let letter = |effective_time| {
        let waits = |facts: &mut Facts| facts.pending_change = Some(change(effective_time));
        show(&letter_with(EmailKind::OrganizationChanged, waits))
    };
    insta::assert_snapshot!("organization_change_waits", letter(None));
    let alone = letter(Some(datetime!(2026-11-24 12:00 UTC)));
    assert!(alone.contains("2026-11-24 12:00 UTC, as there is no other owner") && !alone.contains("approves it"));
}

#[test]
fn an_access_request_warns_only_where_the_addresses_differ() {
    let kind = EmailKind::AccessRequested;
    assert!(show(&letter_with(kind, |_| {})).contains("WARNING"));
    let same =
        letter_with(kind, |facts| facts.invitation.as_mut().unwrap().account_email = Some(address("Anna@Example.com")));
    assert!(!show(&same).to_lowercase().contains("warning:"));
}

#[test]
fn an_access_request_shows_the_tenant_where_there_is_one() {
    let kind = EmailKind::AccessRequested;
    let entra = SignIn { provider: "entra".to_owned(), tenant: Some("6f1c-tenant".to_owned()) };
    let shown = show(&writer().draft(&held(kind), &facts(kind), Some(&entra)).unwrap());
    assert_eq!(shown.matches("Microsoft Entra").count(), 2);
    assert_eq!(shown.matches("6f1c-tenant").count(), 2);
}

#[test]
fn a_declined_offer_and_a_withdrawn_request_are_told_apart() {
    let kind = EmailKind::InvitationDeclined;
    let withdrawn = show(&letter_with(kind, |_| {}));
    let declined = show(&letter_with(kind, |facts| facts.invitation.as_mut().unwrap().role = Some(Role::Reader)));
    assert!(withdrawn.contains("anna-b no longer asks for access to Acme"));
    assert!(declined.contains("anna-b declined the offer of Acme"));
}

#[test]
fn an_expired_offer_names_the_account() {
    let expired = letter_with(EmailKind::InvitationExpired, |facts| {
        let invitation = facts.invitation.as_mut().unwrap();
        invitation.username = Some(Username::parse("anna-b").unwrap());
        invitation.account_email = Some(address("anna.b@example.org"));
        invitation.role = Some(Role::None);
    });
    assert_eq!(show(&expired).matches("anna-b").count(), 2);
}

#[test]
fn every_role_has_a_name() {
    for role in Role::ALL {
        let kind = EmailKind::AccessGranted;
        let shown = show(&letter_with(kind, |facts| facts.invitation.as_mut().unwrap().role = Some(role)));
        let name = role.as_str().to_lowercase().replace('_', " ");
        assert_eq!(shown.to_lowercase().matches(&format!("{name} (")).count(), 2, "{role:?}");
    }
}

#[test]
fn every_attempt_is_the_same_email() {
    let kind = EmailKind::AccountInvitation;
    let first = letter_with(kind, |_| {});
    let mut held = held(kind);
    held.attempt = 7;
    assert_eq!(writer().draft(&held, &facts(kind), None).unwrap().message, first.message);
    let shown = show(&first);
    let code = shown.lines().find_map(|line| InvitationCode::parse(line.strip_prefix("    ")?)).unwrap();
    assert!(shown.contains(&format!("https://hub.example/invitations#code={}", code.reveal())));
    assert!(shown.contains("Message-ID: <01930000-0000-7000-8000-0000000000e1@hub.example>"));
}

#[test]
fn an_email_that_its_invitation_no_longer_wants_is_dropped() {
    for kind in EmailKind::ALL.into_iter().filter(|kind| is_about_invitation(*kind)) {
        for state in InvitationState::ALL {
            let mut facts = facts(kind);
            facts.invitation.as_mut().unwrap().state = state;
            let dropped =
                matches!(writer().draft(&held(kind), &facts, None), Err((EmailState::Dropped, Answer::MovedOn)));
            assert_eq!(dropped, !kind.is_wanted_in(state), "{kind:?} in {state:?}");
        }
        let gone = Facts { invitation: None, ..facts(kind) };
        assert!(matches!(writer().draft(&held(kind), &gone, None), Err((EmailState::Dropped, Answer::MovedOn))));
    }
}

/// Why it is dropped.
fn dropped(kind: EmailKind, change: impl FnOnce(&mut Facts)) -> Option<Answer> {
    let mut facts = facts(kind);
    change(&mut facts);
    match writer().draft(&held(kind), &facts, Some(&github())) {
        Err((EmailState::Dropped, answer)) => Some(answer),
        _ => None,
    }
}

#[test]
fn an_email_that_the_policy_of_the_moment_does_not_want_is_dropped() {
    let domain = |name: &str| vec![name.to_owned()];
    for kind in EmailKind::ALL {
        let without_reminders = dropped(kind, |facts| facts.policy.reminders = false);
        assert_eq!(without_reminders.is_some(), kind.is_reminder(), "{kind:?}");
        let without_notices = dropped(kind, |facts| facts.policy.expiry_notifications = false);
        assert_eq!(without_notices.is_some(), kind == EmailKind::InvitationExpired, "{kind:?}");
        // anna@example.com was invited, anna.b@example.org is her account's
        let invites = matches!(kind, EmailKind::AccountInvitation | EmailKind::InvitationReminder);
        let offers = matches!(kind, EmailKind::OrganizationInvitation | EmailKind::OfferReminder);
        let blocked = |name| dropped(kind, |facts| facts.policy.blocked_email_domains = domain(name));
        assert_eq!(blocked("example.com"), invites.then_some(Answer::PolicyChanged), "{kind:?}");
        assert_eq!(blocked("example.org"), offers.then_some(Answer::PolicyChanged), "{kind:?}");
        assert_eq!(blocked("acme.example"), None, "{kind:?}: the organization's own mail");
    }
}

#[test]
fn an_offer_that_rests_on_nothing_is_dropped() {
    type Change = fn(&mut Facts);
    let changes: [(&str, Change); 4] = [
        ("a lower role", |facts| {
            facts.invitation.as_mut().unwrap().cover.as_mut().unwrap().offerer.1 = Some(Role::Reader);
        }),
        ("no member", |facts| facts.invitation.as_mut().unwrap().cover.as_mut().unwrap().offerer.1 = None),
        ("no second person", |facts| facts.policy.approval_role = Some(Role::Contributor)),
        ("no such service", |facts| {
            let cover = facts.invitation.as_mut().unwrap().cover.as_mut().unwrap();
            cover.offerer = (Actor::stored("services/k8s/robot"), None);
        }),
    ];
    for (what, change) in changes {
        for kind in EmailKind::ALL {
            let offers = matches!(kind, EmailKind::OrganizationInvitation | EmailKind::OfferReminder);
            let found =
                if facts(kind).invitation.is_some_and(|i| i.cover.is_some()) { dropped(kind, change) } else { None };
            assert_eq!(found, offers.then_some(Answer::NotCovered), "{what}: {kind:?}");
        }
    }
    let is_approved = dropped(EmailKind::OfferReminder, |facts| {
        facts.policy.approval_role = Some(Role::Contributor);
        let cover = facts.invitation.as_mut().unwrap().cover.as_mut().unwrap();
        cover.approver = Some((Actor::stored("accounts/otto"), Some(Role::Manager)));
    });
    assert_eq!(is_approved, None);
}

#[test]
fn a_member_is_not_invited_once_more() {
    for kind in EmailKind::ALL {
        let is_for_somebody_new =
            matches!(kind, EmailKind::AccountInvitation | EmailKind::InvitationReminder | EmailKind::InvitationExpired);
        let found = if is_about_invitation(kind) {
            dropped(kind, |facts| facts.invitation.as_mut().unwrap().is_of_member = true)
        } else {
            None
        };
        assert_eq!(found, is_for_somebody_new.then_some(Answer::AlreadyMember), "{kind:?}");
    }
}

#[test]
fn a_code_of_an_address_is_sent_only_while_it_is_awaited() {
    let kind = EmailKind::NotificationEmailCode;
    assert_eq!(dropped(kind, |_| {}), None);
    for change in [
        (|facts: &mut Facts| facts.missing_proof = None) as fn(&mut Facts),
        |facts| facts.missing_proof.as_mut().unwrap().generation = 2,
        |facts| facts.missing_proof.as_mut().unwrap().expire_time = datetime!(2026-11-23 12:00 UTC),
    ] {
        assert_eq!(dropped(kind, change), Some(Answer::MovedOn));
    }
}

#[test]
fn an_owner_is_told_why_they_get_what_another_address_should() {
    let told = |is_to_owner| {
        show(&letter_with(EmailKind::InvitationDeclined, |facts| {
            facts.is_to_owner = is_to_owner;
            facts.missing_proof = Some(missing_proof());
        }))
    };
    assert!(told(true).contains("belongs to an owner of") && !told(false).contains("belongs to an owner of"));
}

#[test]
fn an_email_with_a_replaced_code_is_dropped() {
    let kind = EmailKind::AccountInvitation;
    let mut facts = facts(kind);
    facts.invitation.as_mut().unwrap().generation = 2;
    assert!(matches!(writer().draft(&held(kind), &facts, None), Err((EmailState::Dropped, Answer::MovedOn))));
}

#[test]
fn a_code_without_its_key_is_never_written() {
    let kind = EmailKind::InvitationReminder;
    let mut facts = facts(kind);
    facts.invitation.as_mut().unwrap().code_key_id = Some("2025".to_owned());
    let missing = |minutes| {
        let since = facts.now - time::Duration::minutes(minutes);
        writer().draft(&Held { missing_since: Some(since), ..held(kind) }, &facts, None).unwrap_err()
    };
    assert_eq!(writer().draft(&held(kind), &facts, None).unwrap_err(), (EmailState::Retrying, Answer::KeyMissing));
    assert_eq!(missing(59), (EmailState::Retrying, Answer::KeyMissing));
    assert_eq!(missing(60), (EmailState::Failed, Answer::KeyRetired));
}

#[test]
fn what_a_newer_version_has_written_is_known_to_be_unknown() {
    let changes: [fn(&mut Facts); 6] = [
        |facts| facts.policy.approval_role = Some(Role::Newer),
        |facts| facts.invitation.as_mut().unwrap().state = InvitationState::Newer,
        |facts| facts.invitation.as_mut().unwrap().role = Some(Role::Newer),
        |facts| facts.invitation.as_mut().unwrap().cover.as_mut().unwrap().offerer.1 = Some(Role::Newer),
        |facts| facts.invitation.as_mut().unwrap().cover.as_mut().unwrap().offerer.0 = Actor::stored("groups/staff"),
        |facts| {
            let approver = (Actor::stored("groups/staff"), None);
            facts.invitation.as_mut().unwrap().cover.as_mut().unwrap().approver = Some(approver);
        },
    ];
    for change in changes {
        let mut facts = facts(EmailKind::OrganizationInvitation);
        assert!(facts.are_known());
        change(&mut facts);
        assert!(!facts.are_known());
    }
}

#[test]
fn an_email_with_a_gap_is_set_aside() {
    let kind = EmailKind::AccessGranted;
    let mut facts = facts(kind);
    facts.invitation.as_mut().unwrap().username = None;
    assert!(matches!(writer().draft(&held(kind), &facts, None), Err((EmailState::Failed, Answer::Unbuildable))));
}

#[test]
fn a_panic_while_writing_is_caught() {
    let mut writer = writer();
    // lettre panics on this; the configuration refuses it
    writer.from.name = Some("a\r\nBcc: eve@example.com".to_owned());
    let kind = EmailKind::AccessGranted;
    assert!(matches!(writer.draft(&held(kind), &facts(kind), None), Err((EmailState::Failed, Answer::Unbuildable))));
}

#[test]
fn a_hostile_name_stays_words() {
    let name = "</title><script>\"'&\r\nBcc: eve@example.com\r\n\r\nHi\u{2028}";
    let letter =
        letter_with(EmailKind::AccountInvitation, |facts| facts.organization = DisplayName::stored(name.to_owned()));
    let message = MessageParser::default().parse(&letter.message).unwrap();
    assert!(message.header(HeaderName::Bcc).is_none());
    assert!(message.subject().unwrap().contains("Bcc: eve@example.com  ")); // as words
    let html = message.body_html(0).unwrap();
    assert!(!html.contains("<script>"));
    assert!(html.contains("&lt;script&gt;&quot;&#x27;&amp;"));
    assert_eq!(message.body_text(0).unwrap().matches("\nBcc:").count(), 0);
}

#[test]
fn every_line_is_one_that_any_mail_server_takes() {
    for kind in EmailKind::ALL {
        let letter = letter_with(kind, |facts| facts.organization = DisplayName::stored("株".repeat(64)));
        let message = std::str::from_utf8(&letter.message).unwrap();
        assert!(message.is_ascii());
        for line in message.split("\r\n") {
            assert!(line.len() <= 78 && !line.contains(['\r', '\n']), "{kind:?}: {line}");
        }
        assert!(!message.to_lowercase().contains("content-transfer-encoding: 7bit"));
    }
}

#[test]
fn debug_shows_neither_address_nor_code() {
    let kind = EmailKind::AccountInvitation;
    let code = InvitationCode::derive(writer().code_keys.first(), held(kind).invitation.unwrap(), 1).reveal();
    let shown = format!("{:?} {:?} {:?}", held(kind), facts(kind), letter_with(kind, |_| {}));
    assert!(!shown.contains("example") && !shown.contains(&code), "{shown}");
}

proptest! {
    #[test]
    fn whatever_is_an_address_can_be_written_to(local in "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\\.[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]{1,10}){0,2}",
                                                domain in "([a-z0-9ü][a-z0-9]{0,10}\\.){1,3}[a-z]{2,6}") {
        let Some(recipient) = EmailAddress::parse(&format!("{local}@{domain}")) else { return Ok(()) };
        let kind = EmailKind::AccessGranted;
        let mut held = held(kind);
        held.recipient = recipient.clone();
        let letter = writer().draft(&held, &facts(kind), None).unwrap();
        prop_assert_eq!(letter.recipient.to_string(), recipient.wire());
    }
}
