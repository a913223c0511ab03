//! Which words are top-level domains: IANA's list, compiled in with the crate `tld`.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::folding::look;

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
