//! Which words are top-level domains: IANA's list, compiled in with the crate `tld`.

use std::collections::HashSet;
use std::sync::LazyLock;

use unicode_security::skeleton;

/// Set apart for examples, tests and private networks, where they lead somewhere (RFC 2606, RFC 6761, RFC 7686).
const SPECIAL: [&str; 8] = ["example", "internal", "invalid", "local", "localhost", "onion", "test", "テスト"];

/// How every top-level domain looks in small letters and in capitals.
static LOOKS: LazyLock<HashSet<String>> =
    LazyLock::new(|| tld::TLD.iter().flat_map(|name| [look(name), look(&name.to_uppercase())]).collect());

/// Whether a label, in lower case, is a top-level domain or looks like one.
pub fn is_known(label: &str) -> bool {
    let is_delegated =
        |label: &str| label.starts_with("xn--") || idna::domain_to_ascii(label).is_ok_and(|ascii| tld::exist(&ascii));
    SPECIAL.contains(&label) || is_delegated(label) || (!label.is_ascii() && looks_like_one(label))
}

fn looks_like_one(label: &str) -> bool {
    LOOKS.contains(&look(label)) || LOOKS.contains(&look(&label.to_uppercase()))
}

/// Unicode's skeleton (UTS 39), which takes letters that look alike for one. Small capitals are letters of their own to
/// it.
fn look(label: &str) -> String {
    let letter = |c: char| match c {
        'ᴀ' => "a",
        'ʙ' => "b",
        'ᴅ' => "d",
        'ᴇ' => "e",
        'ꜰ' => "f",
        'ɢ' => "g",
        'ʜ' => "h",
        'ᴊ' => "j",
        'ĸ' | 'ᴋ' => "k",
        'ʟ' => "l",
        'ʍ' | 'ᴍ' => "rn",
        'ɴ' => "n",
        'ᴘ' => "p",
        'ʀ' => "r",
        'ᴛ' => "t",
        'ʏ' => "y",
        _ => "",
    };
    let mut look = String::new();
    for c in skeleton(label) {
        match letter(c) {
            "" => look.extend(c.to_lowercase()),
            letter => look.push_str(letter),
        }
    }
    look
}
