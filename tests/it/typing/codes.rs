//! Codes as they are typed and pasted.

use invitations::pb::invitation::State;

use crate::support::{Service, bad_fields, reason, with_a_typo};

#[tokio::test]
async fn what_came_along_with_a_code_does_not_count() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    owner.invite("acme", "anna@example.com").await.unwrap();
    let anna = service.account("anna").await;
    let code = service.code_to("anna@example.com", 1).await;
    let wide = code.chars().filter_map(|c| char::from_u32(u32::from(c) + 0xfee0)).collect::<String>();
    let groups = code.split('-').collect::<Vec<_>>();
    let (start, end) = code.split_at(10);
    for typed in [
        format!("{code}\r\n"),
        format!("\n\t{code}\n"),
        format!("{code}\u{a0}"),
        groups.join("\u{202f}"),
        groups.join("\u{2013}"),
        groups.join("\u{2011}"),
        groups.join(" \u{2014} "),
        groups.join("\u{2212}"),
        groups.join("\u{ad}"),
        format!("\u{feff}{}\u{200b}", groups.join("\u{200b}")),
        format!("\u{202a}{code}\u{202c}"),
        format!("\u{201c}{code}\u{201d}."),
        format!("«{code}»"),
        format!("'{}'", code.to_lowercase()),
        wide,
        format!("https://hub.example/invitations#code={code}"),
        format!("<https://hub.example/invitations#code={code}>."),
        format!("https://hub.example/invitations#code={start}\r\n{end}"),
        format!("https://hub.example/invitations#co\r\nde={code}"),
        groups.join("ー"),
        groups.join("\u{ff70}"),
        format!("\u{2bc}{code}\u{2bc}\u{3164}"),
        code.chars().flat_map(|c| [c, ' ', ' ']).collect(),
        format!("https://hub.example/invitations#code={}", groups.join("%E2%80%91")),
        format!("https://hub.example/invitations#code={start}%0D%0A{end}%C2%A0"),
        format!("https://links.example/?url=https%253A%252F%252Fhub.example%252F%2523code%253D{code}%2526data=05"),
        format!("https://links.example/?url=https%3A%2F%2Fhub.example%2Finvitations%23code%3D{code}&data=05%7C02"),
    ] {
        let state = anna.request_access(&typed).await.map(|answer| answer.state());
        assert_eq!(state.ok(), Some(State::AccessRequested), "{}", typed.replace(&code, "CODE"));
    }
    assert_eq!(service.charges().await, 0);
    service.stop().await;
}

#[tokio::test]
async fn a_code_still_has_one_spelling() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    owner.invite("acme", "anna@example.com").await.unwrap();
    let anna = service.account("anna").await;
    let code = service.code_to("anna@example.com", 1).await;
    let before = service.tables().await;
    let typo = with_a_typo(&code);
    for typed in [
        format!("{typo}\r\n"),
        format!("https://hub.example/invitations#code={typo}"),
        format!("https://hub.example/invitations#code={code}0"),
        format!("https://hub.example/invitations#code={code}%41"),
        format!("{code}ア"),
        format!("{code}\u{ff10}"),
        format!("К{code}"),
        format!("{code}é"),
        format!("{code}\0"),
        format!("my {code}"),
        "#code=".to_owned(),
        "\u{2013}".to_owned(),
    ] {
        assert_eq!(reason(anna.request_access(&typed).await), "CODE_MISTYPED", "{}", typed.replace(&code, "CODE"));
    }
    // the limit counts characters, and a link may be longer than a code
    let (wide, link) = ("\u{ff11}".repeat(64), format!("https://hub.example/{}#code={typo}", "a".repeat(1900)));
    for typed in [wide.clone(), link] {
        assert_eq!(reason(anna.request_access(&typed).await), "CODE_MISTYPED", "{} characters", typed.len());
    }
    for typed in [
        format!("{wide}1"),
        "x".repeat(65),
        format!("https://hub.example/invitations/{code}"),
        format!("https://hub.example/{}#code={code}", "a".repeat(2048)),
        format!("{code}{}", "\u{200b}".repeat(2048)),
    ] {
        let refused = anna.request_access(&typed).await.expect_err("it is too long");
        assert_eq!(
            (bad_fields(&refused), reason(Err::<(), _>(refused))),
            (vec!["code".to_owned()], "FIELD_INVALID".to_owned())
        );
    }
    assert_eq!(service.charges().await, 0);
    before.assert_same(&service.tables().await, "a typing error");
    // the control
    assert_eq!(anna.request_access(&code).await.unwrap().state(), State::AccessRequested);
    service.stop().await;
}
