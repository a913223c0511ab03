//! The words of the emails: a folder of templates for each language, compiled in.
//!
//! Every kind of email has two templates, named like it in lower case: `.txt`, whose first line is the subject, and
//! `.html`, in which every value is escaped. A value that a template names and the email does not have is an error.

use std::collections::BTreeMap;

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, HtmlEscape, UndefinedBehavior, Value, context};

use crate::domain::EmailKind;

/// Of emails whose language we do not have.
const FALLBACK: &str = "en";

/// Every language that we have, with its files.
const LOCALES: [(&str, &[(&str, &str)]); 1] = [("en", &locale_files!("en"))];

/// Values that others have chosen, in any script.
const ISOLATED: [&str; 4] = ["organization", "invited_email", "account_email", "tenant"];

/// Those of every language.
const SHARED: [(&str, &str); 1] = [("parts.html", include_str!("templates/parts.html"))];

/// Name and text of each file of a language.
macro_rules! locale_files {
    ($locale:literal) => {
        locale_files!($locale:
            "layout.html" "layout.txt" "role.txt"
            "account_invitation.html" "account_invitation.txt"
            "invitation_reminder.html" "invitation_reminder.txt"
            "access_requested.html" "access_requested.txt"
            "access_request_reminder.html" "access_request_reminder.txt"
            "organization_invitation.html" "organization_invitation.txt"
            "offer_reminder.html" "offer_reminder.txt"
            "access_granted.html" "access_granted.txt"
            "member_joined.html" "member_joined.txt"
            "invitation_declined.html" "invitation_declined.txt"
            "access_rejected.html" "access_rejected.txt"
            "invitation_expired.html" "invitation_expired.txt"
            "organization_changed.html" "organization_changed.txt"
            "notification_email_code.html" "notification_email_code.txt"
            "gathered.html" "gathered.txt" "gathered_notice.txt")
    };
    ($locale:literal: $($file:literal)*) => {
        [$((concat!($locale, "/", $file), include_str!(concat!("templates/", $locale, "/", $file)))),*]
    };
}
use locale_files;

/// What an email says.
pub struct Words {
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// The templates, parsed.
#[derive(Debug)]
pub struct Templates(Environment<'static>);

impl Templates {
    /// Fails only on a mistake in a template.
    pub fn new() -> Result<Self, Error> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        // an error that shows the values at hand would show the code
        environment.set_debug(false);
        // a block tag alone on a line leaves no empty line
        environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).build()?);
        let is_html = |name: &str| name.rsplit('.').next() == Some("html");
        environment
            .set_auto_escape_callback(move |name| if is_html(name) { AutoEscape::Html } else { AutoEscape::None });
        for (name, text) in LOCALES.iter().flat_map(|(_, files)| files.iter()).chain(&SHARED) {
            environment.add_template(name, text)?;
        }
        Ok(Self(environment))
    }

    /// Writes an email in the language of a BCP 47 tag: exactly that one, else without its region, else English.
    pub fn write(&self, kind: EmailKind, locale: &str, values: &Value) -> Result<Words, Error> {
        self.render(&kind.as_str().to_ascii_lowercase(), locale, values)
    }

    /// Writes one email for several of an organization.
    pub fn write_gathered(&self, locale: &str, values: &Value) -> Result<Words, Error> {
        self.render("gathered", locale, values)
    }

    fn render(&self, name: &str, locale: &str, values: &Value) -> Result<Words, Error> {
        let name = format!("{}/{name}", folder(locale));
        let text = self.0.get_template(&format!("{name}.txt"))?.render(values)?;
        let (subject, text) = text.split_once('\n').unwrap_or((&text, ""));
        let subject = subject.trim().to_owned();
        let isolated = ISOLATED.into_iter().filter_map(|name| Some((name, isolate(&values.get_attr(name).ok()?)?)));
        let isolated = isolated.collect::<BTreeMap<_, _>>();
        let values = context! { subject => &subject, ..context! { ..isolated, ..values.clone() } };
        let html = self.0.get_template(&format!("{name}.html"))?.render(values)?;
        Ok(Words { subject, text: text.trim_start().to_owned(), html })
    }
}

/// Whatever it is written in, it does not turn the sentence round. Mail programs that drop the tag still have what the
/// text has.
fn isolate(value: &Value) -> Option<Value> {
    let text = value.as_str()?;
    Some(Value::from_safe_string(format!("<bdi>{}</bdi>", HtmlEscape(text))))
}

fn folder(tag: &str) -> &'static str {
    let language = tag.split('-').next().unwrap_or_default();
    let find = |wanted: &str| LOCALES.iter().map(|(name, _)| *name).find(|name| name.eq_ignore_ascii_case(wanted));
    find(tag).or_else(|| find(language)).unwrap_or(FALLBACK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_both_templates_of_every_kind() {
        let templates = Templates::new().unwrap();
        for (locale, _) in LOCALES {
            let kinds = EmailKind::ALL.map(|kind| kind.as_str().to_ascii_lowercase());
            for template in kinds.iter().map(String::as_str).chain(["gathered"]) {
                for form in ["txt", "html"] {
                    let name = format!("{locale}/{template}.{form}");
                    assert!(templates.0.get_template(&name).is_ok(), "{name}");
                }
            }
        }
    }

    #[test]
    fn an_unknown_language_is_english() {
        for tag in ["en", "EN", "en-GB", "de-AT", "", "-", "en_GB"] {
            assert_eq!(folder(tag), "en", "{tag}");
        }
    }

    #[test]
    fn a_missing_value_is_an_error_and_not_a_gap() {
        let templates = Templates::new().unwrap();
        let values = context! { organization => "Acme", slug => "acme", base => "https://hub.example" };
        assert!(templates.write(EmailKind::AccountInvitation, "en", &values).is_err());
    }
}
