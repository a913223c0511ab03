//! Emails as other people's programs read them: mail-parser the message, html5ever the HTML, linkify what mail programs
//! make links of.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{BufferQueue, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};
use invitations::dev::mailbox::Received;
use linkify::LinkFinder;
use mail_parser::{MessageParser, MimeHeaders};

/// What links may begin with.
pub const BASE: &str = "https://hub.example";

/// One email, taken apart.
#[derive(Debug)]
pub struct Letter {
    /// Name of each header, in order.
    pub headers: Vec<String>,
    pub subject: String,
    pub to: String,
    pub text: String,
    /// Each tag with its attributes as it stands in the HTML, in order.
    pub tags: Vec<String>,
    /// What the HTML shows.
    pub shown: String,
}

impl Letter {
    pub fn read(email: &Received) -> Self {
        Self::parse(&email.message)
    }

    pub fn parse(message: &[u8]) -> Self {
        let parsed = MessageParser::default().parse(message).expect("the email can be parsed");
        assert!(parsed.attachments().next().is_none() && parsed.parts.len() == 3, "an alternative of text and HTML");
        assert!(parsed.parts.iter().all(|part| part.attachment_name().is_none()));
        let (tags, shown) = html(&parsed.body_html(0).expect("it has an HTML part"));
        let to = parsed.to().and_then(|to| to.first()?.address()).expect("it has a recipient").to_owned();
        Self {
            headers: parsed.headers().iter().map(|header| header.name().to_owned()).collect(),
            subject: parsed.subject().expect("it has a subject").to_owned(),
            to,
            text: parsed.body_text(0).expect("it has a text part").into_owned(),
            tags,
            shown,
        }
    }

    /// All that a click may lead to, but for addresses of email that were put there to be read.
    pub fn links(&self, addresses: &[&str]) -> Vec<String> {
        let written = [&self.subject, &self.text, &self.shown].into_iter().flat_map(|text| links_in(text));
        let is_link = |part: &&str| ["href=", "src=", "action=", "style=url"].iter().any(|name| part.starts_with(name));
        let tagged = self.tags.iter().flat_map(|tag| tag.split('\t').filter(is_link));
        let tagged = tagged.filter_map(|part| Some(part.split_once('=')?.1.to_owned()));
        written.chain(tagged).filter(|link| !addresses.contains(&link.as_str())).collect()
    }
}

/// What a mail program would make a link of in a text that has none.
pub fn links_in(text: &str) -> Vec<String> {
    let mut finder = LinkFinder::new();
    finder.url_must_have_scheme(false);
    finder.links(text).map(|link| link.as_str().to_owned()).collect()
}

/// Whether a link leads to us, and not to a host that only begins like ours.
pub fn is_ours(link: &str) -> bool {
    link.strip_prefix(BASE).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[derive(Default)]
struct Sink {
    tags: RefCell<Vec<String>>,
    shown: RefCell<String>,
}

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        match token {
            Token::TagToken(tag) => {
                let attribute = |a: &html5ever::Attribute| format!("\t{}={}", a.name.local, a.value);
                let attributes = tag.attrs.iter().map(attribute).collect::<String>();
                self.tags.borrow_mut().push(format!("{:?} {}{attributes}", tag.kind, tag.name));
                self.shown.borrow_mut().push(' ');
            }
            Token::CharacterTokens(text) => self.shown.borrow_mut().push_str(&text),
            Token::CommentToken(text) => self.tags.borrow_mut().push(format!("comment {text}")),
            Token::DoctypeToken(_) | Token::NullCharacterToken | Token::ParseError(_) | Token::EOFToken => {}
        }
        TokenSinkResult::Continue
    }
}

fn html(text: &str) -> (Vec<String>, String) {
    let input = BufferQueue::default();
    input.push_back(StrTendril::from(text));
    let tokenizer = Tokenizer::new(Sink::default(), TokenizerOpts::default());
    let _script = tokenizer.feed(&input);
    tokenizer.end();
    (tokenizer.sink.tags.take(), tokenizer.sink.shown.take())
}
