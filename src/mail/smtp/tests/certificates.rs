//! Which certificates of a mail server are trusted, by what stands in the `ca_file`.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};

use super::encrypted::{Certificate, implicit, send_over};
use super::*;

/// As `openssl req -x509` makes them: for a server, and yet an authority.
fn authority(names: &[&str]) -> CertificateParams {
    let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut params = CertificateParams::new(names).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn self_signed(params: &CertificateParams) -> Certificate {
    let key = KeyPair::generate().unwrap();
    Certificate::of(&params.self_signed(&key).unwrap(), &key)
}

/// For `localhost`, of an authority of its own; and that one's certificate.
fn issued() -> (Certificate, String) {
    let (key, own) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let params = authority(&[]);
    let pem = params.self_signed(&key).unwrap().pem();
    let server = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = server.signed_by(&own, &Issuer::new(params, key)).unwrap();
    (Certificate::of(&certificate, &own), pem)
}

async fn answer_with(shown: &Certificate, ca_file: PathBuf) -> Result<Answer, Failure> {
    let (mailbox, _folder, _) = mailbox(|_| Action::Proceed).await;
    send_over(implicit(&mailbox, shown).await, SmtpTls::Implicit, Some(ca_file)).await
}

#[tokio::test]
async fn a_certificate_that_stands_in_the_file_itself_is_trusted() {
    let mut no_signing = authority(&["localhost"]);
    no_signing.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let (of_an_authority, _) = issued();
    for (certificate, what) in [
        (self_signed(&authority(&["localhost"])), "an authority"),
        (self_signed(&authority(&["mail.example.com", "localhost"])), "an authority of several names"),
        (self_signed(&authority(&[])), "an authority without a name"),
        (self_signed(&no_signing), "an authority that may not sign"),
        (self_signed(&CertificateParams::new(["localhost".to_owned()]).unwrap()), "no authority"),
        (of_an_authority, "of an authority that is not there"),
    ] {
        let answer = answer_with(&certificate, certificate.ca_file()).await;
        assert_eq!(answer.map(Answer::smtp_code).ok(), Some(250), "{what}");
    }
    let (certificate, pem) = issued();
    std::fs::write(certificate.ca_file(), pem).unwrap();
    assert!(answer_with(&certificate, certificate.ca_file()).await.is_ok(), "by its authority, as ever");
}

#[tokio::test]
async fn no_other_certificate_is_trusted_for_it() {
    let trusted = self_signed(&authority(&["localhost"]));
    let mut of_the_same_authority = CertificateParams::new(["localhost".to_owned()]).unwrap();
    of_the_same_authority.serial_number = Some(rcgen::SerialNumber::from(7_u64));
    for (certificate, ca_file, what) in [
        (self_signed(&authority(&["localhost"])), Some(trusted.ca_file()), "made in the same way"),
        (self_signed(&of_the_same_authority), Some(trusted.ca_file()), "of the same name"),
        (self_signed(&authority(&[])), Some(trusted.ca_file()), "without a name"),
        (issued().0, Some(trusted.ca_file()), "of another authority"),
        (self_signed(&authority(&["mail.example.com"])), None, "for another host"),
        (self_signed(&authority(&["127.0.0.1"])), None, "for its address"),
    ] {
        let ca_file = ca_file.unwrap_or_else(|| certificate.ca_file());
        let failure = answer_with(&certificate, ca_file).await.unwrap_err();
        assert!(matches!(failure, Failure::Unreachable { answer: Answer::Tls, .. }), "{what}: {failure:?}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_out_of_date_is_refused() {
    let mut params = authority(&["localhost"]);
    params.not_after = date_time_ymd(2020, 1, 1);
    let expired = self_signed(&params);
    params.not_after = date_time_ymd(4096, 1, 1);
    params.not_before = date_time_ymd(4095, 1, 1);
    let early = self_signed(&params);
    for certificate in [&expired, &early] {
        let settings = MailSettings { ca_file: Some(certificate.ca_file()), ..settings(ANY_PORT, SmtpTls::Implicit) };
        let refused = Server::new(&settings).unwrap_err();
        assert_eq!(refused.field, "ca_file");
        assert!(refused.problem.ends_with("holds no certificate that is valid today"), "{}", refused.problem);
        // beside one that is valid the file is fine, and the server is not
        let valid = self_signed(&authority(&["localhost"]));
        let both = [certificate, &valid].map(|one| std::fs::read_to_string(one.ca_file()).unwrap()).concat();
        std::fs::write(certificate.ca_file(), both).unwrap();
        let failure = answer_with(certificate, certificate.ca_file()).await.unwrap_err();
        assert!(matches!(failure, Failure::Unreachable { answer: Answer::Tls, .. }), "{failure:?}");
        assert!(answer_with(&valid, certificate.ca_file()).await.is_ok());
    }
}
