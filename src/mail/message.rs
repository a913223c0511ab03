//! From an email of the outbox to the letter that goes out, or to the reason why none does.

mod gathered;
mod quoted_printable;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::SystemTime;

use icu_properties::CodePointMapData;
use icu_properties::props::BidiClass;
use lettre::Address;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, Message, MultiPart, MultiPartKind, SinglePart};
use minijinja::{Value, context};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use uuid::Uuid;

use super::backoff;
use super::settings::BaseUrl;
use super::smtp::Letter;
use super::templates::{Templates, Words};
use super::wanted;
use crate::domain::{
    Answer, CodeKeys, EmailAddress, EmailKind, EmailState, InvitationCode, InvitationId, Role, Service, Timestamp,
    Username,
};
use crate::store::outbox::{Facts, Held, InvitationFacts, SignIn};

/// The same in every language.
const TIME: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");

/// What emails are written with.
#[derive(Debug)]
pub struct Writer {
    pub templates: Templates,
    pub from: Mailbox,
    pub base: BaseUrl,
    pub code_keys: CodeKeys,
    /// The configured ones, for the offers that they made.
    pub services: Vec<Service>,
}

/// How an attempt ends for which there is nothing to send.
pub type Ending = (EmailState, Answer);

/// Whether the email shows where the account signs in.
pub fn shows_sign_in(kind: EmailKind) -> bool {
    matches!(kind, EmailKind::AccessRequested | EmailKind::AccessRequestReminder)
}

impl Writer {
    /// Whether there is something to write, by the facts of this moment; with the code that it carries.
    pub fn check(&self, held: &Held, facts: &Facts) -> Result<Option<InvitationCode>, Ending> {
        wanted::check(held, facts, &self.services).map_err(|answer| (EmailState::Dropped, answer))?;
        let code = match held.kind {
            EmailKind::NotificationEmailCode => self.code_of_address(held, facts),
            _ => self.code(held, facts.invitation.as_ref()),
        };
        code.map_err(|()| without_key(held, facts.now))
    }

    /// Checks, and writes.
    pub fn draft(&self, held: &Held, facts: &Facts, sign_in: Option<&SignIn>) -> Result<Letter, Ending> {
        let code = self.check(held, facts)?;
        built(|| {
            let values = self.values(held, facts, sign_in, code);
            let words = self.templates.write(held.kind, &facts.locale, &values);
            self.assemble(held.id, held, facts.now, &words.inspect_err(|error| log(held.kind, error)).ok()?)
        })
    }

    /// Writes one email for several notices to one address.
    pub fn draft_gathered(&self, notices: &[(&Held, &Facts)]) -> Result<Letter, Ending> {
        built(|| {
            let (held, facts) = *notices.first()?;
            let shown = notices.iter().take(gathered::SHOWN).map(|(held, facts)| self.values(held, facts, None, None));
            let values = gathered::values(self.values(held, facts, None, None), shown, notices);
            let words = self.templates.write_gathered(&facts.locale, &values);
            let words = words.inspect_err(|error| log(held.kind, error)).ok()?;
            self.assemble(gathered::id(notices), held, facts.now, &words)
        })
    }

    /// The code that the email carries, the same on every attempt. Fails where its key is missing.
    fn code(&self, held: &Held, invitation: Option<&InvitationFacts>) -> Result<Option<InvitationCode>, ()> {
        let (true, Some(id), Some(invitation)) = (held.kind.carries_code(), held.invitation, invitation) else {
            return Ok(None);
        };
        let key = invitation.code_key_id.as_deref().and_then(|id| self.code_keys.get(id)).ok_or(())?;
        Ok(Some(InvitationCode::derive(key, id, held.generation)))
    }

    /// The same of a notification address.
    fn code_of_address(&self, held: &Held, facts: &Facts) -> Result<Option<InvitationCode>, ()> {
        let Some(proof) = &facts.missing_proof else { return Ok(None) };
        let key = self.code_keys.get(&proof.key_id).ok_or(())?;
        let address = &facts.notification_email;
        Ok(Some(InvitationCode::of_address(key, &held.organization, address, proof.generation)))
    }

    /// What the templates may name. What the email does not have is undefined there.
    fn values(&self, held: &Held, facts: &Facts, sign_in: Option<&SignIn>, code: Option<InvitationCode>) -> Value {
        let base = self.base.as_str();
        let page = format!("{base}/organizations/{}", held.organization);
        let invitation = facts.invitation.as_ref();
        let username = invitation.and_then(|i| i.username.as_ref()).map(Username::as_str);
        let account_email = invitation.and_then(|i| i.account_email.as_ref());
        let code = code.map(|code| code.reveal());
        let change = facts.pending_change.as_ref();
        let time = |time: Timestamp| time.format(TIME).ok();
        context! {
            audience => if facts.is_to_owner { "stand-in" } else { audience(held.kind) },
            recipient => held.recipient.wire(),
            organization => isolated(&plain(facts.organization.as_str())),
            slug => held.organization.as_str(),
            base => link(base.to_owned()),
            organization_link => link(page.clone()),
            invitations_link => link(format!("{page}/invitations")),
            events_link => link(format!("{page}/events")),
            member_link => optional(username.map(|username| link(format!("{page}/members/{username}")))),
            invitation_link => optional(held.invitation.map(|InvitationId(id)| link(format!("{page}/invitations/{id}")))),
            code_link => optional(code.as_ref().map(|code| match held.kind {
                EmailKind::NotificationEmailCode => link(format!("{page}/notification-email#code={code}")),
                _ => link(format!("{base}/invitations#code={code}")),
            })),
            code => optional(code),
            invited_email => optional(invitation.map(|i| isolated(i.email.typed()))),
            username => optional(username),
            account_email => optional(account_email.map(EmailAddress::typed).map(isolated)),
            addresses_differ => invitation.zip(account_email).is_some_and(|(i, email)| i.email.key() != email.key()),
            role => optional(invitation.and_then(|i| i.role).map(Role::as_str)),
            expire_time => optional(expire_time(facts).and_then(|end| end.format(TIME).ok())),
            change_author => optional(change.and_then(|c| c.author.username()).map(Username::as_str)),
            change_effective_time => optional(change.and_then(|c| c.effective_time).and_then(time)),
            change_expire_time => optional(change.and_then(|c| time(c.expire_time()))),
            provider => optional(sign_in.map(|s| provider_name(&s.provider))),
            tenant => optional(sign_in.and_then(|s| s.tenant.as_deref()).map(|tenant| isolated(&plain(tenant)))),
        }
    }

    fn assemble(&self, id: Uuid, held: &Held, now: Timestamp, words: &Words) -> Option<Letter> {
        let recipient = held.recipient.wire().parse::<Address>().ok()?;
        let part = |content_type, body: &str| {
            let encoded = quoted_printable::encode(body);
            let body = Body::dangerous_pre_encoded(encoded, ContentTransferEncoding::QuotedPrintable);
            SinglePart::builder().header(content_type).body(body)
        };
        let parts = MultiPart::builder()
            .kind(MultiPartKind::Alternative)
            // quoted-printable writes no "=_", so neither part can hold it
            .boundary(format!("=_{}", id.simple()))
            .singlepart(part(ContentType::TEXT_PLAIN, &words.text))
            .singlepart(part(ContentType::TEXT_HTML, &words.html));
        let message = Message::builder()
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .date(SystemTime::from(now))
            .from(self.from.clone())
            .to(Mailbox::new(None, recipient.clone()))
            .subject(plain(&words.subject))
            // no out-of-office replies to this: RFC 3834, and what Exchange asks for instead (MS-OXCMAIL)
            .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
            .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("X-Auto-Response-Suppress"), "All".to_owned()))
            .multipart(parts)
            .ok()?
            .formatted();
        // neither 8BITMIME nor SMTPUTF8 is ever needed
        message.is_ascii().then(|| Letter { sender: self.from.email.clone(), recipient, message })
    }
}

/// lettre panics on some header values; one email must not take the others with it.
fn built(letter: impl FnOnce() -> Option<Letter>) -> Result<Letter, Ending> {
    catch_unwind(AssertUnwindSafe(letter)).ok().flatten().ok_or((EmailState::Failed, Answer::Unbuildable))
}

/// The kind of the fault and where it is; its Debug would show the values.
fn log(kind: EmailKind, error: &minijinja::Error) {
    tracing::error!(email.kind = kind.as_str(), error = %error, "an email template failed");
}

/// Another replica may have the key, for a while.
fn without_key(held: &Held, now: Timestamp) -> Ending {
    if held.missing_since.is_none_or(|since| now - since < backoff::KEY_GIVE_UP_AFTER) {
        (EmailState::Retrying, Answer::KeyMissing)
    } else {
        (EmailState::Failed, Answer::KeyRetired)
    }
}

/// Why the recipient gets it; the end of each email says so.
fn audience(kind: EmailKind) -> &'static str {
    match kind {
        EmailKind::AccountInvitation | EmailKind::InvitationReminder => "invited",
        EmailKind::OrganizationInvitation
        | EmailKind::OfferReminder
        | EmailKind::AccessGranted
        | EmailKind::AccessRejected => "account",
        EmailKind::NotificationEmailCode => "unproven",
        kind if kind.is_to_organization() => "organization",
        _ => "owners",
    }
}

/// Of the invitation, else of the code of the notification address.
fn expire_time(facts: &Facts) -> Option<Timestamp> {
    match &facts.invitation {
        Some(invitation) => invitation.expire_time,
        None => facts.missing_proof.as_ref().map(|proof| proof.expire_time),
    }
}

fn provider_name(provider: &str) -> String {
    match provider {
        "github" => "GitHub".to_owned(),
        "entra" => "Microsoft Entra".to_owned(),
        other => plain(other),
    }
}

/// On one line: names were checked when they came in, and a header or a line of text depends on it once more here.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c }).collect()
}

/// What runs from right to left does not turn the sentence round that it stands in: FIRST STRONG ISOLATE, and its end.
fn isolated(text: &str) -> String {
    let runs_left = |c: char| {
        use BidiClass as Class;
        let class = CodePointMapData::<Class>::new().get(c);
        matches!(class, Class::RightToLeft | Class::ArabicLetter | Class::ArabicNumber)
    };
    if text.chars().any(runs_left) { format!("\u{2068}{text}\u{2069}") } else { text.to_owned() }
}

/// Stands in HTML as it is: the base is checked by [`BaseUrl`], and ids and codes need no escaping.
fn link(url: String) -> Value {
    Value::from_safe_string(url)
}

/// Missing is undefined, which a template cannot print by mistake.
fn optional<T: Into<Value>>(value: Option<T>) -> Value {
    value.map_or(Value::UNDEFINED, Into::into)
}

#[cfg(test)]
mod tests;
