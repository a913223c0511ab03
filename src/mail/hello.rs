//! What we call ourselves in EHLO.

use std::net::IpAddr;

/// A host name (RFC 5321, 2.3.5), or an address in brackets (4.1.3), also where it is given without them. `None`: neither.
pub fn hello_name(text: &str) -> Option<String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let (tag, rest) = bare.split_at_checked("IPv6:".len()).unwrap_or_default();
    let address = if tag.eq_ignore_ascii_case("IPv6:") { rest } else { bare };
    match address.parse() {
        Ok(IpAddr::V4(address)) => Some(format!("[{address}]")),
        Ok(IpAddr::V6(address)) => Some(format!("[IPv6:{address}]")),
        Err(_) => {
            let name = text.strip_suffix('.').unwrap_or(text);
            is_host_name(name).then(|| name.to_owned())
        }
    }
}

fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let fits = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        fits && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    // else it was meant as an address
    let is_number = text.rsplit('.').next().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    text.len() <= 255 && text.split('.').all(is_label) && !is_number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_stands_in_brackets() {
        for (given, said) in [
            ("192.0.2.1", "[192.0.2.1]"),
            ("[192.0.2.1]", "[192.0.2.1]"),
            ("127.0.0.1", "[127.0.0.1]"),
            ("::1", "[IPv6:::1]"),
            ("[::1]", "[IPv6:::1]"),
            ("2001:DB8:0:0::1", "[IPv6:2001:db8::1]"),
            ("[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"),
            ("ipv6:2001:db8::1", "[IPv6:2001:db8::1]"),
            ("::ffff:192.0.2.1", "[IPv6:::ffff:192.0.2.1]"),
        ] {
            assert_eq!(hello_name(given).as_deref(), Some(said), "{given}");
        }
    }

    #[test]
    fn a_name_stays_as_it_is() {
        for name in ["hub.example", "localhost", "mail-1.hub.example", "XN--bcher-kva.example", "1.hub.example", "4u"] {
            assert_eq!(hello_name(name).as_deref(), Some(name));
        }
        assert_eq!(hello_name("hub.example.").as_deref(), Some("hub.example"));
    }

    #[test]
    fn what_is_neither_is_refused() {
        let long = "a".repeat(64);
        for wrong in [
            "",
            ".",
            "hub example",
            "hub\r\nRSET",
            "hub..example",
            "-hub.example",
            "hub_1.example",
            "bücher.example",
            "hub.example:25",
            "192.0.2",
            "192.0.2.256",
            "1234",
            "[hub.example]",
            "[192.0.2.1",
            "fe80::1%eth0",
            "https://hub.example",
            &long,
        ] {
            assert_eq!(hello_name(wrong), None, "{wrong}");
        }
    }
}
