//! What a mail server's reply means for the administrator who reads it: by code, enhanced code and command.

use std::fmt;

/// A reply of RFC 5321, without its text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SmtpReply {
    /// 200 to 599.
    code: u16,
    enhanced: Option<EnhancedCode>,
    /// `None`: written by an earlier release.
    step: Option<SmtpStep>,
}

/// The status code of RFC 3463 at the beginning of a reply's text: class, subject and detail.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct EnhancedCode {
    class: u16,
    subject: u16,
    detail: u16,
}

/// What was answered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SmtpStep {
    /// The connection itself: the greeting, and EHLO.
    Connect,
    Starttls,
    /// The sign-in.
    Auth,
    /// MAIL: our sender address.
    Mail,
    /// RCPT: the address of the recipient.
    Rcpt,
    /// DATA and the message.
    Data,
}

impl SmtpStep {
    const ALL: [Self; 6] = [Self::Connect, Self::Starttls, Self::Auth, Self::Mail, Self::Rcpt, Self::Data];

    /// As it stands in the database and the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::Starttls => "STARTTLS",
            Self::Auth => "AUTH",
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::Data => "DATA",
        }
    }
}

impl SmtpReply {
    /// `None`: that is no code. Of `text`, which may be the server's, only an enhanced code at its beginning is kept.
    pub fn new(code: u16, text: &str, step: SmtpStep) -> Option<Self> {
        let enhanced = text.split_ascii_whitespace().next().and_then(EnhancedCode::parse);
        (200..600).contains(&code).then_some(Self { code, enhanced, step: Some(step) })
    }

    /// Reads the stored form, which [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ').peekable();
        let code = words.next().filter(|word| word.len() == 3).and_then(number)?;
        let enhanced = words.peek().and_then(|word| EnhancedCode::parse(word));
        if enhanced.is_some() {
            words.next();
        }
        let step = match words.next() {
            Some(word) => Some(SmtpStep::ALL.into_iter().find(|step| step.as_str() == word)?),
            None => None,
        };
        let reads = (200..600).contains(&code) && words.next().is_none();
        reads.then_some(Self { code, enhanced, step })
    }

    pub fn code(self) -> u16 {
        self.code
    }

    /// Whether it is about the one email, and says nothing about others.
    pub fn is_about_the_email(self) -> bool {
        !matches!(self.step, Some(SmtpStep::Connect | SmtpStep::Starttls | SmtpStep::Auth | SmtpStep::Mail))
    }

    /// Whether the same would be answered again.
    pub fn is_final(self) -> bool {
        self.code >= 500
    }

    /// What an administrator reads, at most 200 characters. Who is named is who can do something about it.
    pub fn sentence(self) -> &'static str {
        if self.code < 400 {
            return TAKEN;
        }
        let by_command = if self.is_final() { self.final_by_command() } else { self.passing_by_command() };
        let by_enhanced_code = || {
            let EnhancedCode { subject, detail, .. } = self.enhanced?;
            if self.is_final() {
                final_by_enhanced_code(subject, detail, self.step)
            } else {
                passing_by_enhanced_code(subject, detail)
            }
        };
        by_command.or_else(by_enhanced_code).unwrap_or_else(|| self.by_code())
    }

    /// Before RCPT nothing is said about an email.
    fn final_by_command(self) -> Option<&'static str> {
        Some(match (self.step?, self.code, self.enhanced.map(|enhanced| (enhanced.subject, enhanced.detail))) {
            (SmtpStep::Connect, ..) => NOT_WANTED,
            (SmtpStep::Starttls, ..) => ENCRYPTION,
            (SmtpStep::Auth, ..) | (_, 530 | 534 | 535 | 538, _) => SIGN_IN,
            (SmtpStep::Mail, _, Some((2, 3))) => TOO_LARGE,
            (SmtpStep::Mail, _, Some((0 | 1 | 2 | 4 | 7, _))) => SENDER,
            _ => return None,
        })
    }

    fn passing_by_command(self) -> Option<&'static str> {
        Some(match (self.step?, self.enhanced.map(|enhanced| (enhanced.subject, enhanced.detail))) {
            (SmtpStep::Connect, _) => AWAY,
            (SmtpStep::Starttls, _) => "The mail server could not encrypt the connection at that time.",
            (SmtpStep::Auth, _) => "The mail server could not check our sign-in at that time.",
            (SmtpStep::Mail, Some((1, _))) => SENDER_LATER,
            (SmtpStep::Mail, Some((2, 0..=2 | 4..) | (4, _))) => LATER,
            _ => return None,
        })
    }

    /// As RFC 5321 (4.2.3) has it.
    fn by_code(self) -> &'static str {
        match (self.code, self.step) {
            (421, _) => AWAY,
            (450, Some(SmtpStep::Mail)) => LATER,
            (450, _) => "The mail server could not reach the mailbox at that time.",
            (452, _) => SERVER_FULL,
            (400..=499, _) => LATER,
            (500..=504 | 555, _) => PROTOCOL,
            (530 | 534 | 535 | 538, _) => SIGN_IN,
            // what it was told is how large the email is (RFC 1870), and whose
            (552, Some(SmtpStep::Mail)) => TOO_LARGE,
            (_, Some(SmtpStep::Mail)) => SENDER,
            (550 | 551 | 553 | 556, Some(SmtpStep::Rcpt)) => ADDRESS,
            (550 | 551 | 553, _) => {
                "The mail server refused the address or the email: check the address, and invite anew if it is wrong."
            }
            // the server does not know yet how large the email is
            (552, Some(SmtpStep::Rcpt)) => MAILBOX_FULL,
            (552, _) => {
                "The mail server refused the email as too large, for itself or for the room left in the mailbox."
            }
            _ => "The mail server refused the email for good.",
        }
    }
}

/// The registry of RFC 5248, and what Exchange and Gmail make of it. `None`: it says less than the code.
fn final_by_enhanced_code(subject: u16, detail: u16, step: Option<SmtpStep>) -> Option<&'static str> {
    Some(match (subject, detail) {
        (1, 7 | 8) | (2, 252) | (7, 27 | 60) => SENDER,
        (1, _) | (4, 1) => ADDRESS,
        (2, 1) => "The mailbox is closed: check the address, and invite another one if it is wrong.",
        (2, 2) => MAILBOX_FULL,
        (2, 3) | (3, 4) => TOO_LARGE,
        (3, 1) => SERVER_FULL,
        (4, _) => "The mail server found no way to the address: check what follows its @.",
        (5, 1..) => PROTOCOL,
        (6, _) => "The mail server refused what the email holds; whoever operates this service has to look into it.",
        (7, 8..=12 | 57 | 139) => SIGN_IN,
        (7, 20..=26) => {
            "The mail server does not see that the email is ours; whoever operates this service has to correct it, by SPF, \
             DKIM or DNS."
        }
        (7, 54 | 64) => {
            "The mail server does not pass on emails of this service; whoever operates this service has to correct it."
        }
        // it has seen no email yet: most often it does not relay for us
        (7, _) if step == Some(SmtpStep::Rcpt) => {
            "The mail server refused by its rules to take emails of this service for that address: ask whoever operates \
             this service, or ask the recipient."
        }
        (7, _) => {
            "The mail server refused the email by its rules, for example as unwanted: ask the recipient, or whoever operates \
             this service."
        }
        _ => return None,
    })
}

fn passing_by_enhanced_code(subject: u16, detail: u16) -> Option<&'static str> {
    Some(match (subject, detail) {
        (1, 7 | 8) => SENDER_LATER,
        (1, _) => "The mail server could not check the address at that time.",
        (2, 1) => "The mailbox took no email at that time.",
        (2, 2) => MAILBOX_FULL,
        (2, 3) | (3, 4) => TOO_LARGE,
        (3, 1) => SERVER_FULL,
        (4, 1..) => "The mail server could not reach the recipient's mail server at that time.",
        (5, _) => LATER,
        (7, _) => "The mail server put the email off by its rules, for example on how much it takes at a time.",
        _ => return None,
    })
}

const ADDRESS: &str = "The mail server does not know the address: check it, and invite anew if it is wrong.";
const AWAY: &str = "The mail server was not available at that time.";
const ENCRYPTION: &str = "The mail server refused encryption; whoever operates this service has to correct it.";
const LATER: &str = "The mail server put the email off to a later time.";
const MAILBOX_FULL: &str = "The mailbox is full.";
const NOT_WANTED: &str =
    "The mail server takes nothing from this service; whoever operates this service has to correct it.";
const PROTOCOL: &str =
    "The mail server did not understand how the email was sent; whoever operates this service has to look into it.";
const SENDER: &str =
    "The mail server refused the address that our emails come from; whoever operates this service has to correct it.";
const SENDER_LATER: &str =
    "The mail server could not check the address that emails of this service come from at that time.";
const SERVER_FULL: &str = "The mail server had no room for the email at that time.";
const SIGN_IN: &str = "The mail server refused our sign-in; whoever operates this service has to correct it.";
const TAKEN: &str = "The mail server took the email.";
const TOO_LARGE: &str =
    "The mail server refused the email as too large; whoever operates this service has to look into it.";

impl EnhancedCode {
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(number);
        let code = Self { class: numbers.next()??, subject: numbers.next()??, detail: numbers.next()?? };
        (matches!(code.class, 2 | 4 | 5) && numbers.next().is_none()).then_some(code)
    }
}

/// One to three digits.
fn number(text: &str) -> Option<u16> {
    let fits = (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| fits)
}

impl fmt::Display for SmtpReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(EnhancedCode { class, subject, detail }) = self.enhanced {
            write!(f, " {class}.{subject}.{detail}")?;
        }
        self.step.map_or(Ok(()), |step| write!(f, " {}", step.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(step: SmtpStep, reply: &str) -> &'static str {
        let text = reply.get(4..).unwrap_or_default();
        SmtpReply::new(reply[..3].parse().unwrap(), text, step).unwrap().sentence()
    }

    /// Replies as servers give them, and the words that say who acts on what.
    #[test]
    fn the_words_follow_code_enhanced_code_and_command() {
        use SmtpStep::{Auth, Connect, Data, Mail, Rcpt, Starttls};
        for (step, reply, words) in [
            // Postfix without relaying for us; a limit; greylisting
            (Rcpt, "454 4.7.1 <anna@example.com>: Relay access denied", "put the email off by its rules"),
            (Rcpt, "454 try later", "put the email off to a later time"),
            (Data, "454 4.3.0 queue file write error", "put the email off to a later time"),
            (Rcpt, "450 4.7.1 Greylisted", "by its rules"),
            (Rcpt, "450-4.2.1 receiving mail at a rate", "The mailbox took no email at that time"),
            (Rcpt, "450", "could not reach the mailbox at that time"),
            (Data, "454 Throttling failure: Daily message quota exceeded", "to a later time"),
            (Auth, "454 4.7.0 Temporary authentication failure", "could not check our sign-in at that time"),
            (Auth, "454 Temporary authentication failure", "could not check our sign-in at that time"),
            (Auth, "535 5.7.8 bad", "refused our sign-in"),
            (Auth, "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled", "sign-in"),
            (Auth, "504 5.5.4 unrecognized mechanism", "refused our sign-in"),
            (Mail, "530 5.7.57 Client not authenticated to send mail", "refused our sign-in"),
            (Mail, "530 Authentication required", "refused our sign-in"),
            (Rcpt, "530 5.7.0 Authentication required", "refused our sign-in"),
            (Starttls, "454 4.7.0 TLS not available due to temporary reason", "could not encrypt"),
            (Starttls, "502 5.5.1 no", "refused encryption; whoever operates"),
            // a full disk, a full mailbox, an email that is too large
            (Mail, "452 4.3.1 Insufficient system storage", "had no room for the email"),
            (Data, "452 4.3.1 Out of memory", "had no room for the email"),
            (Rcpt, "452 Requested action not taken: insufficient system storage", "had no room for the email"),
            (Rcpt, "452 4.5.3 Too many recipients", "to a later time"),
            (Rcpt, "452 4.2.2 The recipient's inbox is out of storage space", "The mailbox is full."),
            (Rcpt, "422 4.2.2 full", "The mailbox is full."),
            (Data, "452 4.1.1 <anna@example.com> busy", "could not check the address"),
            (Rcpt, "552 5.2.2 over quota", "The mailbox is full."),
            (Rcpt, "552 Exceeded storage allocation", "The mailbox is full."),
            (Data, "554 5.2.2 mailbox full", "The mailbox is full."),
            (Data, "552 5.3.4 Message size exceeds fixed limit", "too large; whoever operates"),
            (Mail, "552 5.3.4 Message size exceeds fixed limit", "too large; whoever operates"),
            (Data, "552 5.2.3 length exceeds administrative limit", "too large; whoever operates"),
            (Data, "552 message exceeds fixed maximum message size", "too large, for itself or"),
            (Data, "552-5.7.0 This message was blocked because its content presents", "by its rules"),
            // the address
            (Rcpt, "550 5.1.1 no such user", "does not know the address: check it"),
            (Rcpt, "550 5.1.10 RESOLVER.ADR.RecipientNotFound", "does not know the address"),
            (Rcpt, "550 5.4.1 Recipient address rejected: Access denied", "does not know the address"),
            (Rcpt, "550 5.5.0 mailbox unavailable", "does not know the address"),
            (Rcpt, "550 no such user", "does not know the address"),
            (Rcpt, "553 mailbox name not allowed", "does not know the address"),
            (Rcpt, "556 5.1.10 Domain has null MX", "does not know the address"),
            (Rcpt, "550 5.2.1 disabled", "mailbox is closed"),
            (Rcpt, "450 4.1.1 unverified address", "could not check the address at that time"),
            (Rcpt, "550 5.4.4 Unable to route", "check what follows its @"),
            (Rcpt, "451 4.4.1 no answer from host", "could not reach the recipient's mail server"),
            // our sender, our reputation, our software
            (Mail, "553 5.7.1 not owned by user", "address that our emails come from"),
            (Mail, "550 no", "address that our emails come from"),
            (Data, "550 5.7.60 SMTP; Client does not have permissions to send as this sender", "our emails come from"),
            (Data, "554 5.2.252 SendAsDenied", "our emails come from"),
            (Rcpt, "450 4.1.8 Sender address rejected: Domain not found", "this service come from"),
            (Rcpt, "553 5.1.8 Domain of sender address does not exist", "our emails come from"),
            (Data, "550 5.7.26 unauthenticated sender", "is ours; whoever operates"),
            (Rcpt, "550 5.7.23 SPF validation failed", "is ours; whoever operates"),
            (Data, "556 5.7.27 Sender address has null MX", "our emails come from"),
            // it does not relay for us: by the code itself, or as far as a rule at RCPT may mean it
            (Rcpt, "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain", "does not pass on"),
            (Rcpt, "550 5.7.64 TenantAttribution; Relay Access Denied", "does not pass on"),
            (Rcpt, "554 5.7.1 <anna@example.com>: Relay access denied", "for that address: ask whoever operates"),
            (Rcpt, "550 5.7.1 not wanted", "for that address: ask whoever operates"),
            (Rcpt, "550 5.7.133 sender not authenticated for group", "for that address: ask whoever operates"),
            (Rcpt, "550 5.7.8 sign in", "refused our sign-in"),
            // before RCPT
            (Mail, "550 5.4.1 Access denied", "our emails come from"),
            (Mail, "550 5.4.4 Unable to route", "our emails come from"),
            (Mail, "554 5.4.6 loop", "our emails come from"),
            (Mail, "550 5.5.0 no", "our emails come from"),
            (Mail, "550 5.9.9 no", "our emails come from"),
            (Mail, "552 too large", "too large; whoever operates"),
            (Mail, "552 5.2.3 too large", "too large; whoever operates"),
            (Mail, "552 5.2.2 over quota", "our emails come from"),
            (Mail, "555 SIZE not known", "did not understand"),
            (Mail, "450 later", "to a later time"),
            (Mail, "450 4.1.1 <invitations@hub.example> unverified", "emails of this service come from"),
            (Mail, "450 4.1.8 Domain not found", "emails of this service come from"),
            (Mail, "450 4.2.1 busy", "to a later time"),
            (Mail, "452 4.2.2 over quota", "to a later time"),
            (Mail, "451 4.4.1 no answer from host", "to a later time"),
            (Mail, "451 4.4.3 DNS", "to a later time"),
            (Mail, "452 too busy", "had no room for the email"),
            (Mail, "451 4.7.1 Greylisted", "by its rules"),
            (Data, "554 5.7.1 spam", "by its rules, for example as unwanted"),
            (Data, "554 5.6.0 no", "what the email holds"),
            (Data, "554 no", "refused the email for good"),
            (Data, "550 no", "the address or the email"),
            (Mail, "501 5.5.4 Syntax error", "did not understand"),
            (Rcpt, "503 need MAIL", "did not understand"),
            (Connect, "554 no SMTP service here", "takes nothing from this service"),
            (Connect, "521 no", "takes nothing from this service"),
            (Connect, "421 4.3.2 busy", "not available at that time"),
            (Data, "421 4.3.0 shutting down", "not available at that time"),
            (Data, "250 2.0.0 ok", "took the email"),
            (Rcpt, "251 will forward", "took the email"),
        ] {
            assert!(sentence(step, reply).contains(words), "{step:?} {reply}: {}", sentence(step, reply));
        }
    }

    #[test]
    fn who_has_to_act_is_not_the_administrator_where_they_cannot() {
        for (step, reply) in [
            (SmtpStep::Auth, "535 5.7.8 bad"),
            (SmtpStep::Mail, "550 5.1.1 no such sender"),
            (SmtpStep::Connect, "550 5.1.1 who"),
            (SmtpStep::Data, "552 5.3.4 large"),
        ] {
            let sentence = sentence(step, reply);
            assert!(sentence.contains("whoever operates this service"), "{step:?} {reply}: {sentence}");
            assert!(!sentence.contains("invite"), "{step:?} {reply}: {sentence}");
        }
    }

    /// All codes, steps and enhanced codes that are told from another, with some that are not.
    fn all() -> impl Iterator<Item = SmtpReply> {
        let steps = SmtpStep::ALL.map(Some).into_iter().chain([None]);
        let enhanced = |code: u16| {
            let numbers = (0..=8).flat_map(|subject| [0, 1, 2, 3, 4, 8, 60, 252, 999].map(|detail| (subject, detail)));
            let class = code / 100;
            let some = numbers.map(move |(subject, detail)| Some(EnhancedCode { class, subject, detail }));
            some.filter(move |_| class != 3).chain([None])
        };
        steps.flat_map(move |step| {
            (200..600).flat_map(move |code| enhanced(code).map(move |enhanced| SmtpReply { code, enhanced, step }))
        })
    }

    #[test]
    fn before_rcpt_nothing_is_said_about_the_recipient() {
        let is_before = |step| !matches!(step, None | Some(SmtpStep::Rcpt | SmtpStep::Data));
        let about_the_recipient = |sentence: &str| {
            let words = ["mailbox", "recipient", "invite", "the address:", "the address at", "the address or"];
            words.into_iter().find(|words| sentence.contains(words))
        };
        for reply in all().filter(|reply| is_before(reply.step)) {
            let sentence = reply.sentence();
            assert_eq!(about_the_recipient(sentence), None, "{reply}: {sentence}");
        }
        // the control: at RCPT it is
        assert!(about_the_recipient(sentence(SmtpStep::Rcpt, "452 4.2.2 full")).is_some());
    }

    #[test]
    fn every_reply_reads_back_fits_its_column_and_has_a_sentence() {
        for reply in all() {
            let stored = reply.to_string();
            assert_eq!(SmtpReply::parse(&stored), Some(reply), "{stored}");
            // the CHECK emails_answer
            assert!((1..=40).contains(&stored.len()), "{stored}");
            assert!(
                stored.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || ". ".contains(c)),
                "{stored}"
            );
            assert!((1..=200).contains(&reply.sentence().len()), "{stored}");
        }
    }

    #[test]
    fn what_an_earlier_release_wrote_has_its_sentence() {
        for (stored, words) in [
            ("250", "took"),
            ("452", "had no room"),
            ("454", "to a later time"),
            ("535", "refused our sign-in"),
            ("550", "check the address"),
            ("552", "too large, for itself or for the room left in the mailbox"),
        ] {
            let sentence = SmtpReply::parse(stored).unwrap().sentence();
            assert!(sentence.contains(words), "{stored}: {sentence}");
        }
    }

    #[test]
    fn only_an_enhanced_code_of_the_text_is_kept() {
        let stored = |text| SmtpReply::new(550, text, SmtpStep::Rcpt).unwrap().to_string();
        assert_eq!(stored(" 5.1.1 <anna@example.com> unknown"), "550 5.1.1 RCPT");
        for none in ["", " ", " <5.1.1>", " 5.1", " 5.1.1.1", " 5.1.1000", " 3.1.1", " 5.1.x", " ABCD-1234", " +5.1.1"]
        {
            assert_eq!(stored(none), "550 RCPT", "{none}");
        }
    }

    #[test]
    fn what_nobody_wrote_is_no_reply() {
        for text in [
            "",
            "199",
            "600",
            "2500",
            "+250",
            "550 5.1.1 <anna@example.com> unknown",
            "550 rcpt",
            "550 RCPT 5.1.1",
            "550  RCPT",
            "550 RCPT RCPT",
        ] {
            assert_eq!(SmtpReply::parse(text), None, "{text}");
        }
    }
}
