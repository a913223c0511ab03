//! Issuers that nobody here wrote: panva's oidc-provider in the shape of Entra, and NAV's mock-oauth2-server for tokens
//! that are odd. `bash .ci/run peers` installs both and runs these tests; without Node and Java they are skipped.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use invitations::pb;
use reqwest::{Client, Url, redirect::Policy};
use serde_json::{Value, json};
use tonic::Code;

use crate::support::{PATIENCE, Person, Service, reason};

const CONTOSO: &str = "11111111-2222-4333-8444-555555555555";
const FABRIKAM: &str = "66666666-7777-4888-8999-000000000000";
const CALLBACK: &str = "http://127.0.0.1/callback";

/// A program beside the test, which ends with it.
struct Peer {
    child: Child,
    url: String,
}

impl Peer {
    /// With its port in the first line that begins with `port `.
    fn entra() -> Self {
        let mut command = Command::new("node");
        command.arg(file("entra.mjs")).arg(installed("INVITATIONS_TEST_OIDC_PROVIDER"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let (sender, port) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let ports = lines.filter_map(|line| line.strip_prefix("port ").map(str::to_owned));
            ports.for_each(|port| drop(sender.send(port)));
        });
        let Ok(port) = port.recv_timeout(PATIENCE) else {
            child.kill().unwrap();
            panic!("it does not start");
        };
        Self { child, url: format!("http://127.0.0.1:{port}") }
    }

    /// Ready when its discovery document is there.
    async fn mock_oauth2() -> Self {
        let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let classpath = format!("{}/*", installed("INVITATIONS_TEST_MOCK_OAUTH2").display());
        let child = Command::new("java")
            .args(["-XX:TieredStopAtLevel=1", "-cp", &classpath])
            .arg("no.nav.security.mock.oauth2.StandaloneMockOAuth2ServerKt")
            .env("JSON_CONFIG_PATH", file("odd-tokens.json"))
            .env("SERVER_HOSTNAME", "127.0.0.1")
            .env("SERVER_PORT", port.to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let peer = Self { child, url: format!("http://127.0.0.1:{port}") };
        let document = format!("{}/hub/.well-known/openid-configuration", peer.url);
        let ready = async { while client().get(&document).send().await.is_err() {} };
        tokio::time::timeout(PATIENCE * 3, ready).await.expect("it starts");
        peer
    }

    /// A token by client credentials.
    async fn service_token(&self, issuer: &str, form: &[(&str, &str)]) -> String {
        let form = form.iter().copied().chain([("grant_type", "client_credentials")]).collect::<Vec<_>>();
        let request = client().post(format!("{}/{issuer}/token", self.url)).basic_auth("gateway", Some("secret"));
        text_of(&answer(request.body(form_of(&form)).header("content-type", FORM)).await, "access_token")
    }

    /// Signs in as a browser does, page by page; returns the tokens.
    async fn sign_in(&self, tenant: &str, person: &str) -> Value {
        let mut browser = Browser::default();
        let query = form_of(&[
            ("client_id", "hub"),
            ("response_type", "code"),
            ("scope", "openid email access_as_user"),
            ("resource", "api://ipmhub"),
            ("redirect_uri", CALLBACK),
            ("state", "s"),
        ]);
        let mut page = browser.get(&format!("{}/{tenant}/v2.0/auth?{query}", self.url)).await;
        let code = loop {
            match page {
                Page::Callback(url) => {
                    break url.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
                }
                Page::Form { action, prompt } => {
                    let form = [("prompt", prompt.as_str()), ("login", person), ("password", "any")];
                    page = browser.post(&action, &form).await;
                }
            }
        };
        let form = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", CALLBACK)];
        let request = client().post(format!("{}/{tenant}/v2.0/token", self.url)).basic_auth("hub", Some("secret"));
        answer(request.body(form_of(&form)).header("content-type", FORM)).await
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

/// What a page asks of the person.
enum Page {
    Form { action: String, prompt: String },
    Callback(Url),
}

#[derive(Default)]
struct Browser {
    cookies: BTreeMap<String, String>,
}

impl Browser {
    async fn get(&mut self, url: &str) -> Page {
        self.follow(client().get(url)).await
    }

    async fn post(&mut self, url: &str, form: &[(&str, &str)]) -> Page {
        self.follow(client().post(url).body(form_of(form)).header("content-type", FORM)).await
    }

    async fn follow(&mut self, mut request: reqwest::RequestBuilder) -> Page {
        loop {
            let cookies = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
            let answer = request.header("cookie", cookies.join("; ")).send().await.unwrap();
            for cookie in answer.headers().get_all("set-cookie") {
                let (name, rest) = cookie.to_str().unwrap().split_once('=').unwrap();
                self.cookies.insert(name.to_owned(), rest.split(';').next().unwrap().to_owned());
            }
            let here = answer.url().clone();
            if let Some(location) = answer.headers().get("location") {
                let next = here.join(location.to_str().unwrap()).unwrap();
                if next.as_str().starts_with(CALLBACK) {
                    return Page::Callback(next);
                }
                request = client().get(next);
                continue;
            }
            let page = answer.text().await.unwrap();
            let after = |mark: &str| {
                let found = page.split_once(mark).unwrap_or_else(|| panic!("no {mark} in {page}")).1;
                found.split('"').next().unwrap().to_owned()
            };
            let action = here.join(&after("action=\"")).unwrap().into();
            return Page::Form { action, prompt: after("name=\"prompt\" value=\"") };
        }
    }
}

fn client() -> Client {
    Client::builder().redirect(Policy::none()).no_proxy().build().unwrap()
}

fn form_of(pairs: &[(&str, &str)]) -> String {
    Url::parse_with_params("http://x/", pairs).unwrap().query().unwrap().to_owned()
}

async fn answer(request: reqwest::RequestBuilder) -> Value {
    let answer = request.send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).unwrap()
}

fn text_of(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}")).to_owned()
}

/// Where the step of the gate has installed it.
fn installed(variable: &str) -> PathBuf {
    std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set: bash .ci/run peers sets it")).into()
}

fn file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "peers", name].iter().collect()
}

/// Trusts both tenants, or one; and one client of the first tenant as a service.
async fn hub(entra: &Peer, tenants: Value) -> Service {
    let user = json!({
        "id": "entra", "kind": "user", "provider": "entra", "issuer": format!("{}/{{tenantid}}/v2.0", entra.url),
        "audience": "api://ipmhub", "discovery": true, "scope": "access_as_user", "tenants": tenants,
        "email_domains": "*",
    });
    let service = json!({
        "id": "internal", "kind": "service", "issuer": format!("{}/{CONTOSO}/v2.0", entra.url),
        "audience": "api://ipmhub-internal", "discovery": true,
        "services": [{"subject": "gateway", "scopes": ["invitations.read", "members.grant"], "organizations": "*"}],
    });
    Service::start_trusting(vec![user, service]).await
}

async fn refused(service: &Service, token: String) {
    let person = Person::new(&service.channel, token);
    let message = pb::GetAccountRequest { name: "accounts/me".to_owned() };
    let outcome = person.accounts.clone().get_account(message).await;
    assert_eq!(outcome.as_ref().unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(reason(outcome), "TOKEN_INVALID");
}

#[tokio::test]
#[ignore = "needs Node: bash .ci/run peers"]
async fn people_of_two_tenants_sign_in_and_are_told_apart() {
    let entra = Peer::entra();
    let service = hub(&entra, json!("any")).await;
    let anna = entra.sign_in(CONTOSO, "anna").await;
    let person = Person::new(&service.channel, text_of(&anna, "access_token"));
    let account = person.create_account("anna").await.unwrap();
    assert_eq!((account.provider.as_str(), account.emails), ("entra", vec!["anna@contoso.example".to_owned()]));
    // who she is for the client is no key to an API
    refused(&service, text_of(&anna, "id_token")).await;

    // the same object id and address in another tenant, which nobody has verified
    let mallory = entra.sign_in(FABRIKAM, "mallory").await;
    let mallory = Person::new(&service.channel, text_of(&mallory, "access_token"));
    let account = mallory.create_account("mallory").await.unwrap();
    assert_eq!(account.emails, [""; 0]);
    let owner = service.owner("olga", "acme").await;
    assert_eq!(
        reason(owner.offer("acme", "mallory", "anna@contoso.example", "READER").await),
        "ACCOUNT_EMAIL_NOT_FOUND"
    );
    owner.offer("acme", "anna", "anna@contoso.example", "READER").await.unwrap();
}

#[tokio::test]
#[ignore = "needs Node: bash .ci/run peers"]
async fn a_tenant_that_is_not_listed_and_a_daemon_are_no_callers() {
    let entra = Peer::entra();
    let service = hub(&entra, json!([CONTOSO])).await;
    let mallory = entra.sign_in(FABRIKAM, "mallory").await;
    refused(&service, text_of(&mallory, "access_token")).await;
    let anna = entra.sign_in(CONTOSO, "anna").await;
    Person::new(&service.channel, text_of(&anna, "access_token")).create_account("anna").await.unwrap();

    let contoso = format!("{CONTOSO}/v2.0");
    refused(&service, entra.service_token(&contoso, &[("resource", "api://ipmhub")]).await).await;
    // where it is configured, a daemon is a service with what both its entry and its token say
    let internal = [("resource", "api://ipmhub-internal"), ("scope", "invitations.read invitations.write")];
    let gateway = Person::new(&service.channel, entra.service_token(&contoso, &internal).await);
    let owner = service.owner("olga", "acme").await;
    assert_eq!(gateway.organization("acme").await.name, "organizations/acme");
    assert_eq!(reason(gateway.invite("acme", "bert@example.com").await), "SCOPE_REQUIRED");
    assert_eq!(reason(gateway.offer("acme", "anna", "anna@contoso.example", "READER").await), "SCOPE_REQUIRED");
    owner.offer("acme", "anna", "anna@contoso.example", "READER").await.unwrap();
    // the same client of the other tenant
    refused(&service, entra.service_token(&format!("{FABRIKAM}/v2.0"), &internal).await).await;
}

#[tokio::test]
#[ignore = "needs Java: bash .ci/run peers"]
async fn odd_tokens_are_taken_or_refused_for_what_they_are() {
    let mock = Peer::mock_oauth2().await;
    let entry = |issuer: &str| {
        json!({
            "id": issuer, "kind": "user", "provider": "github", "issuer": format!("{}/{issuer}", mock.url),
            "audience": "hub", "discovery": true, "typ": "at+jwt", "email_domains": "*",
        })
    };
    let service = Service::start_trusting(["hub", "long", "expired"].map(entry).to_vec()).await;
    let token = async |issuer: &str, kind: &str| mock.service_token(issuer, &[("scope", kind)]).await;
    for kind in ["good", "many-audiences", "unknown-claims", "nonce"] {
        let person = Person::new(&service.channel, token("hub", kind).await);
        let message = pb::GetAccountRequest { name: "accounts/me".to_owned() };
        assert_eq!(reason(person.accounts.clone().get_account(message).await), "ACCOUNT_REQUIRED", "{kind}");
    }
    for (issuer, kind) in [
        ("hub", "other-audience"),
        ("hub", "no-audience"),
        ("hub", "other-issuer"),
        ("hub", "empty-subject"),
        ("hub", "numeric-subject"),
        ("hub", "list-of-emails"),
        ("hub", "id-token"),
        ("hub", "web-id-token"),
        ("hub", "future"),
        ("hub", "logout"),
        ("long", "any"),
        ("expired", "any"),
        // signed by the key of an issuer that no entry names
        ("unknown", "any"),
    ] {
        refused(&service, token(issuer, kind).await).await;
    }
    let good = Person::new(&service.channel, token("hub", "good").await);
    assert_eq!(good.create_account("anna").await.unwrap().emails, ["anna@example.com"]);
}
