//! How long a request may be: with rows 1 MiB, without 64 KiB; for what a compressed one becomes, too.

use invitations::pb::{self, Invitation};
use prost::Message;
use tonic::codec::CompressionEncoding::Gzip;

use super::{batch, create, row};
use crate::support::{Service, bad_fields, reason, rules};

/// So many rows of about 4.3 KB each, that nobody writes.
fn long_rows(count: usize) -> pb::BatchCreateInvitationsRequest {
    let requests = (0..count).map(|n| {
        let annotations = (0..16).map(|key| (format!("key-{key}"), "v".repeat(256))).collect();
        let invitation = row(&format!("guest-{n}@example.com")).invitation.map(|one| Invitation { annotations, ..one });
        pb::CreateInvitationRequest { invitation, ..Default::default() }
    });
    pb::BatchCreateInvitationsRequest { requests: requests.collect(), validate_only: true, ..batch([]) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_requests_with_rows_may_be_longer_than_64_kib() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let (good, bad) = (long_rows(230), long_rows(245));
    assert!((900_000..1 << 20).contains(&good.encoded_len()) && bad.encoded_len() > 1 << 20);
    let outcomes = create(&owner, good.clone()).await.unwrap();
    assert!(outcomes.len() == 230 && outcomes.iter().all(Result::is_ok));
    let mut compressing = owner.clone();
    compressing.invitations = compressing.invitations.send_compressed(Gzip);
    assert_eq!(create(&compressing, good).await.unwrap().len(), 230);
    for caller in [&owner, &compressing] {
        let status = create(caller, bad.clone()).await.unwrap_err();
        assert_eq!(
            (bad_fields(&status), rules(&status)),
            (vec!["request".to_owned()], "must have at most 1 MiB".to_owned())
        );
    }
    let names = vec![format!("organizations/acme/invitations/{}", uuid::Uuid::max()); 1000];
    let get = pb::BatchGetInvitationsRequest { parent: "organizations/acme".to_owned(), names };
    assert!(get.encoded_len() > 64 * 1024);
    let got = owner.invitations.clone().batch_get_invitations(get).await;
    assert_eq!(reason(got), "INVITATION_NOT_FOUND");

    // the control: one of those rows more than 64 KiB long, alone
    let alone = pb::CreateInvitationRequest { parent: "organizations/acme".to_owned(), ..row(&"a".repeat(65 * 1024)) };
    for caller in [&owner, &compressing] {
        let status = caller.invitations.clone().create_invitation(alone.clone()).await.unwrap_err();
        assert_eq!(
            (bad_fields(&status), rules(&status)),
            (vec!["request".to_owned()], "must have at most 64 KiB".to_owned())
        );
    }
}
