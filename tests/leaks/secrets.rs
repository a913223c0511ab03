//! Codes and tokens in every form in which they could show, and the search for all of them at once.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::{self, Read};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// The last bytes that were read; the newest is the lowest.
type Window = usize;
const WINDOW: usize = size_of::<Window>();
/// The filter has two to the power of this bits: most places are done with after one look at it.
const FILTER: u32 = 29;
/// Forms that are looked up by one window; another one takes a window of its own where it can.
const CROWD: usize = 8;
/// Characters of a code that count.
const PAYLOAD: usize = 26;
/// Shorter ones cannot be told from other words once they are encoded.
const ENCODABLE: usize = 20;
/// How much is read at a time.
const PIECE: u64 = 1 << 20;

pub struct Secrets {
    /// As they were issued.
    names: Vec<String>,
    known: HashSet<String>,
    forms: Vec<Form>,
    /// By some window of them.
    places: HashMap<Window, Vec<Place>>,
    filter: Vec<usize>,
    longest: usize,
}

struct Form {
    bytes: Box<[u8]>,
    /// Of which name.
    secret: usize,
}

#[derive(Clone, Copy)]
struct Place {
    form: usize,
    /// How many bytes of it the window ends after.
    end: usize,
}

/// What was found, and in how much.
#[derive(Clone)]
pub struct Found {
    pub secrets: BTreeSet<String>,
    pub bytes: u64,
}

impl Default for Secrets {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            known: HashSet::new(),
            forms: Vec::new(),
            places: HashMap::new(),
            filter: vec![0; (1 << FILTER) / (8 * WINDOW)],
            longest: WINDOW,
        }
    }
}

impl Secrets {
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// A code in whatever groups and case. The check characters follow from the others, so they need not be there.
    pub fn add_code(&mut self, code: &str) {
        if !self.is_new(code) {
            return;
        }
        let payload = code.replace('-', "")[..PAYLOAD].to_owned();
        let groups = payload.as_bytes().chunks(4).map(|group| str::from_utf8(group).unwrap()).collect::<Vec<_>>();
        for separator in ["", "-", " ", "_"] {
            let text = groups.join(separator);
            self.add_encodings(text.as_bytes());
            self.add_encodings(text.to_lowercase().as_bytes());
        }
    }

    /// Each part of a token but the first, which is the same for all of an issuer: whoever sees the whole sees these. One
    /// without parts as it is, if it is long enough to be told from other words.
    pub fn add_token(&mut self, token: &str) {
        if token.len() < WINDOW || !self.is_new(token) {
            return;
        }
        let parts = token.split('.').skip(1).filter(|part| part.len() >= ENCODABLE).collect::<Vec<_>>();
        if parts.is_empty() && token.len() < ENCODABLE {
            self.add_form(token.as_bytes().to_vec());
        } else if parts.is_empty() {
            self.add_encodings(token.as_bytes());
        }
        for part in parts {
            self.add_encodings(part.as_bytes());
            if let Ok(decoded) = URL_SAFE_NO_PAD.decode(part) {
                self.add_encodings(&decoded);
            }
        }
    }

    fn is_new(&mut self, name: &str) -> bool {
        let is_new = self.known.insert(name.to_owned());
        if is_new {
            self.names.push(name.to_owned());
        }
        is_new
    }

    /// Of the secret that was named last.
    fn add_encodings(&mut self, secret: &[u8]) {
        let hex = |upper: bool| {
            let digits = |byte: &u8| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") };
            secret.iter().map(digits).collect::<String>().into_bytes()
        };
        // as Rust shows bytes
        let list = format!("{secret:?}");
        let list = list.trim_matches(['[', ']']).as_bytes().to_vec();
        let mut forms = BTreeSet::from([secret.to_vec(), hex(true), hex(false), list]);
        // whatever stands before it; the last characters depend on what comes after
        for rest in (0..3).map(|shift| &secret[shift..]) {
            for encoded in [STANDARD_NO_PAD.encode(rest), URL_SAFE_NO_PAD.encode(rest)] {
                forms.insert(encoded.as_bytes()[..encoded.len() - 4].to_vec());
            }
        }
        for form in forms {
            self.add_form(form);
        }
    }

    fn add_form(&mut self, form: Vec<u8>) {
        // the last one that is not crowded: many begin alike
        let window = |end: &usize| Window::from_be_bytes(form[end - WINDOW..*end].try_into().unwrap());
        let is_free = |end: &usize| self.places.get(&window(end)).is_none_or(|others| others.len() < CROWD);
        let end = (WINDOW..=form.len()).rev().find(is_free).unwrap_or(form.len());
        let window = window(&end);
        let (word, bit) = filtered(window);
        self.filter[word] |= bit;
        self.places.entry(window).or_default().push(Place { form: self.forms.len(), end });
        self.longest = self.longest.max(form.len());
        self.forms.push(Form { bytes: form.into(), secret: self.names.len() - 1 });
    }

    /// Those that stand there.
    pub fn found_in(&self, mut text: impl Read) -> io::Result<Found> {
        let mut found = Found { secrets: BTreeSet::new(), bytes: 0 };
        let mut piece = Vec::new();
        loop {
            // one may begin in one piece and end in the next
            piece.drain(..piece.len().saturating_sub(self.longest));
            match text.by_ref().take(PIECE).read_to_end(&mut piece)? {
                0 => return Ok(found),
                read => found.bytes += read as u64,
            }
            self.look_through(&piece, &mut found.secrets);
        }
    }

    fn look_through(&self, text: &[u8], found: &mut BTreeSet<String>) {
        let filter = &self.filter[..];
        let mut window = 0;
        // plain steps: it is carried out for each byte, and tests are compiled without optimization
        let mut at = 0;
        while at < text.len() {
            window = window << 8 | text[at] as Window;
            at += 1;
            let (word, bit) = filtered(window);
            if filter[word] & bit != 0 {
                self.compare(&text[..at], text, window, found);
            }
        }
    }

    #[cold]
    fn compare(&self, before: &[u8], text: &[u8], window: Window, found: &mut BTreeSet<String>) {
        for place in self.places.get(&window).into_iter().flatten() {
            let form = &self.forms[place.form];
            let begin = before.len().checked_sub(place.end);
            if begin.is_some_and(|begin| text[begin..].starts_with(&form.bytes)) {
                found.insert(self.names[form.secret].clone());
            }
        }
    }
}

/// Where the filter has a window.
fn filtered(window: Window) -> (usize, usize) {
    let hash = window.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (Window::BITS - FILTER);
    (hash / (8 * WINDOW), 1 << (hash % (8 * WINDOW)))
}

#[test]
fn a_seeded_secret_is_found_in_every_form_and_nothing_else_is() {
    const CODE: &str = "NZ2H-F1KT-B5PK-C855-AWND-CKCQ-E736";
    const TOKEN: &str = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhbm5hIiwiaWF0IjoxfQ.c2lnbmF0dXJlIG9mIDY0IGJ5dGVzIG9yIHNv";
    let mut secrets = Secrets::default();
    secrets.add_code(CODE);
    secrets.add_token(TOKEN);
    secrets.add_token("gho_anna");
    let found_in = |text: &str| secrets.found_in(text.as_bytes()).unwrap().secrets.into_iter().collect::<Vec<_>>();

    let bare = CODE.replace('-', "");
    let digits = |byte| format!("{byte:02x}");
    let hex = bare.bytes().map(digits).collect::<String>();
    for code in [
        CODE.to_owned(),
        CODE.to_lowercase(),
        bare.to_lowercase(),
        CODE.replace('-', " "),
        CODE.replace('-', "_"),
        bare[..PAYLOAD].to_owned(),
        hex.to_uppercase(),
        hex,
        format!("{:?}", bare.as_bytes()),
        STANDARD_NO_PAD.encode(format!("abcd{CODE} and more")),
        URL_SAFE_NO_PAD.encode(format!("abcde{CODE} and more")),
        STANDARD_NO_PAD.encode(format!("abcdef{bare} and more")),
    ] {
        assert_eq!(found_in(&format!("the code{code}, as it is")), [CODE], "{code}");
    }
    let signature = TOKEN.rsplit('.').next().unwrap();
    for token in [
        format!("Bearer {TOKEN}"),
        signature.to_owned(),
        format!("{:?}", URL_SAFE_NO_PAD.decode(signature).unwrap()),
        STANDARD_NO_PAD.encode(format!("authorization: Bearer {TOKEN}\n")),
        String::from_utf8(URL_SAFE_NO_PAD.decode(TOKEN.split('.').nth(1).unwrap()).unwrap()).unwrap(),
    ] {
        assert_eq!(found_in(&token), [TOKEN], "{token}");
    }
    assert_eq!(found_in("token gho_anna refused"), ["gho_anna"]);
    // wherever it begins, also at the end of what is read at a time
    for before in [0, 1, PIECE - 40, PIECE - 9, PIECE - 1, PIECE, 3 * PIECE - 20] {
        let text = "x".repeat(usize::try_from(before).unwrap());
        assert_eq!(found_in(&format!("{text}{CODE}")), [CODE], "{before}");
    }
    for other in
        ["", "gho_ann", TOKEN.split('.').next().unwrap(), &CODE[..CODE.len() - 6], "NZ2H-F1KT-B5PK-C855-AWND-CKCQ-F736"]
    {
        assert_eq!(found_in(other), [""; 0], "{other}");
    }
}
