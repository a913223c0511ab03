//! Addresses whose domain has its accents as characters of their own (NFD), as macOS types them.

use invitations::pb::{Invitation, ListInvitationsRequest, Policy};

use crate::support::{Service, bad_fields, reason};

#[tokio::test]
async fn a_decomposed_domain_is_the_same_domain() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    for (decomposed, composed, label) in [
        ("anna@bu\u{308}cher.example", "ANNA@B\u{dc}CHER.example", "anna@xn--bcher-kva.example"),
        ("bert@cafe\u{301}.example", "bert@caf\u{e9}.example", "bert@xn--caf-dma.example"),
        ("carl@\u{1112}\u{1161}\u{11ab}.example", "carl@\u{d55c}.example", "carl@xn--6q8b.example"),
        ("dora@\u{30db}\u{309a}.example", "dora@\u{30dd}.example", "dora@xn--0dk.example"),
    ] {
        let invited =
            owner.invite("acme", decomposed).await.unwrap_or_else(|status| panic!("{decomposed:?}: {status}"));
        assert_eq!(invited.email, decomposed, "as it was typed");
        assert_eq!(reason(owner.invite("acme", composed).await), "OPEN_INVITATION_EXISTS", "{composed:?}");
        service.email_to(label, 1).await;
        let list = ListInvitationsRequest {
            parent: "organizations/acme".to_owned(),
            email: composed.to_owned(),
            ..Default::default()
        };
        let found = owner.invitations.clone().list_invitations(list).await.unwrap().into_inner().invitations;
        assert_eq!(found.iter().map(|found: &Invitation| &found.name).collect::<Vec<_>>(), [&invited.name]);
    }
    service.stop().await;
}

#[tokio::test]
async fn signs_that_only_look_like_letters_stay_refused() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    for bad in [
        "anna@\u{212a}elvin.example",
        "anna@\u{212b}ngstrom.example",
        "anna@q\u{308}y.example",
        "a\u{308}nna@example.org",
        "anna@\u{308}ucher.example",
        "anna@bu\u{308}\u{200b}cher.example",
        "anna@bu\u{308}cher\u{3002}example",
    ] {
        assert_eq!(bad_fields(&owner.invite("acme", bad).await.expect_err(bad)), ["invitation.email"], "{bad:?}");
    }
    service.stop().await;
}

#[tokio::test]
async fn a_decomposed_domain_means_the_same_to_a_policy_and_to_an_account() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let allowed = vec!["bu\u{308}cher.example".to_owned()];
    owner
        .set_policy("acme", &["allowed_email_domains"], Policy { allowed_email_domains: allowed, ..Default::default() })
        .await;
    assert_eq!(reason(owner.invite("acme", "anna@bucher.example").await), "EMAIL_DOMAIN_NOT_ALLOWED");
    let anna = service.stranger("anna", "anna@b\u{fc}cher.example");
    anna.create_account("anna").await.unwrap();
    owner.offer("acme", "anna", "anna@bu\u{308}cher.example", "READER").await.unwrap();
    let bert = service.stranger("bert", "bert@bu\u{308}cher.example");
    bert.create_account("bert").await.unwrap();
    owner.offer("acme", "bert", "bert@xn--bcher-kva.example", "READER").await.unwrap();
    service.stop().await;
}
