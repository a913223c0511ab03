//! What the log of the real program says of tokens, at its most talkative: nothing.

use std::fs::{File, read_to_string};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::json;
use tonic::transport::Endpoint;

use crate::program::quiet_port;
use crate::support::github::{CLIENT_ID, CLIENT_SECRET, Github};
use crate::support::{Channel, Database, PATIENCE, Person, evidence, reason, scratch};

/// Libraries are quiet, named or not.
const LEVEL: &str = "trace,h2=trace,hyper=trace,hyper_util=trace,reqwest=trace,rustls=trace,tonic=trace,tower=trace";

struct Serve(Child);

impl Drop for Serve {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

#[tokio::test]
async fn no_token_and_no_secret_is_in_the_log_at_its_most_talkative() {
    let (github, database) = (Github::start().await, Database::create().await);
    let dir = scratch("identity_log");
    let keys = dir.join("code-keys");
    std::fs::write(&keys, format!("k1 {}\n", BASE64_STANDARD.encode([7; 32]))).unwrap();
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o600)).unwrap();
    let address = quiet_port();
    let log = dir.join("log");
    let serve = Command::new(env!("CARGO_BIN_EXE_invitations"))
        .arg("serve")
        .env_clear()
        .env("INVITATIONS_LISTEN", address.to_string())
        .env("INVITATIONS_DATABASE_URL", &database.url)
        .env("INVITATIONS_PUBLIC_BASE_URL", "https://hub.example")
        .env("INVITATIONS_CODE_KEYS_FILE", &keys)
        .env("INVITATIONS_ADDRESS_KEY_FILE", &keys)
        .env("INVITATIONS_ISSUERS", json!([github.entry(&dir.join("secret"))]).to_string())
        .env("INVITATIONS_SMTP_HOST", "127.0.0.1")
        .env("INVITATIONS_SMTP_TLS", "none")
        .env("INVITATIONS_MAIL_FROM", "hub@hub.example")
        .env("INVITATIONS_ENDPOINT_DELAY_SECONDS", "0")
        .env("INVITATIONS_LOG_LEVEL", LEVEL)
        .stderr(Stdio::from(File::create(&log).unwrap()))
        .spawn()
        .unwrap();
    let serve = Serve(serve);
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let connected = async {
        loop {
            if let Ok(channel) = Channel::open(endpoint.clone()).await {
                return channel;
            }
        }
    };
    let channel = tokio::time::timeout(PATIENCE, connected).await.expect("the program starts");

    github.grant("gho_GoodSecretToken", 1, &["anna@secret-address.example primary"]);
    let person = |token: &str| Person::new(&channel, token.to_owned());
    person("gho_GoodSecretToken").create_account("anna").await.unwrap();
    assert_eq!(reason(person("gho_BadSecretToken").create_account("bert").await), "TOKEN_INVALID");
    assert_eq!(reason(person("eyJhbGciOiJub25lIn0.SecretPart.x").create_account("bert").await), "TOKEN_INVALID");
    // a claim of another type than it is looked at with, by its name and not by what it says
    let part = |json: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let odd = [json!({"iss": 7}), json!({"iss": "x", "aud": {"SecretPart": 1}})];
    for claims in odd {
        let token = format!("{}.{}.SecretPart", part(json!({"alg": "EdDSA", "kid": "SecretPart"})), part(claims));
        assert_eq!(reason(person(&token).create_account("bert").await), "TOKEN_INVALID");
    }
    github.now_answers(Some(("500 Internal Server Error", "gho_DownSecretToken")));
    assert_eq!(reason(person("gho_DownSecretToken").create_account("bert").await), "ISSUER_UNAVAILABLE");
    drop(serve);

    let log = read_to_string(&log).unwrap();
    evidence::log_of(&database.name).write_all(log.as_bytes()).unwrap();
    // the control: it is talkative about these calls
    for word in ["CreateAccount", "token refused", "its claim iss", "its claim aud", "the issuer does not answer"] {
        assert!(log.contains(word), "the log lacks {word}");
    }
    let basic = BASE64_STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"));
    for secret in ["SecretToken", "SecretPart", CLIENT_SECRET, &basic, "secret-address.example"] {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} is in the log: {}", line.unwrap_or_default());
    }
}
