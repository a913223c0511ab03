//! One request for each input, made up from the contract as in `tests/it/attack/fuzz.rs`, against the whole service on a
//! private Postgres: no answer may be INTERNAL or UNKNOWN.
#![no_main]

#[path = "../../tests/it/attack/requests.rs"]
mod requests;
#[path = "../../tests/it/attack/wire.rs"]
mod wire;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::OnceLock;

use invitations::config::Settings;
use invitations::dev::issuer::{self, Provider};
use invitations::dev::postgres::{self, Durability, Postgres};
use invitations::server::Server;
use invitations::store::migrations;
use libfuzzer_sys::fuzz_target;
use requests::{Contract, Dice};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::transport::Channel;

/// The service and those who call it, for the life of this process.
struct World {
    runtime: Runtime,
    channel: Channel,
    contract: Contract,
    tokens: Vec<Option<String>>,
    _postgres: Postgres,
    _server: Server,
}

fuzz_target!(|data: &[u8]| {
    static WORLD: OnceLock<World> = OnceLock::new();
    let world = WORLD.get_or_init(World::start);
    let mut dice = Dice::new(data);
    let token = &world.tokens[dice.below(world.tokens.len())];
    let (method, message) = world.contract.request(&mut dice);
    let answer = world.runtime.block_on(wire::call(&world.channel, &method.path, token.as_deref(), message));
    let code = answer.err().map_or(Code::Ok, |status| status.code());
    assert!(!matches!(code, Code::Internal | Code::Unknown | Code::DataLoss), "{}: {code:?}", method.path);
});

impl World {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/service");
        std::fs::create_dir_all(&dir).unwrap();
        let (postgres, server, channel) = runtime.block_on(async {
            let postgres = postgres::start(&dir, Durability::FsyncOff).await.unwrap();
            migrations::run(postgres.url()).await.unwrap();
            let server = Server::start(&settings(postgres.url(), &dir), &CancellationToken::new()).await.unwrap();
            let channel = Channel::from_shared(format!("http://{}", server.address())).unwrap().connect().await.unwrap();
            (postgres, server, channel)
        });
        let person = |name: &str| {
            let email = format!("{name}@example.com");
            Some(issuer::user_token(&dir, name, Some(&email), true, Provider::Github).unwrap())
        };
        let scopes = invitations::domain::Scope::ALL;
        let service = issuer::service_token(&dir, "gateway", &scopes).unwrap();
        let words = [
            "organizations/acme", "organizations/umbrella", "organizations/acme/members/anna", "accounts/me", "accounts/anna",
            "acme", "umbrella", "anna", "ben", "anna@example.com", "ben@example.com", "The acme people", "en", "display_name",
            "policy", "role", "*", "github", "7d9bd3a2-3c0e-4fd0-9d2b-0a3a1f0a8b11",
            "organizations/acme/invitations/0191e0a0-0000-7000-8000-000000000001",
        ];
        Self {
            runtime,
            channel,
            contract: Contract::new(words.map(str::to_owned).to_vec()),
            tokens: vec![person("anna"), person("ben"), Some(service), None],
            _postgres: postgres,
            _server: server,
        }
    }
}

fn settings(database_url: &str, dir: &Path) -> Settings {
    let keys = dir.join("code-keys");
    std::fs::write(&keys, "fuzz BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n").unwrap();
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o600)).unwrap();
    let settings = [
        ("listen", "127.0.0.1:0".to_owned()),
        ("database_url", database_url.to_owned()),
        ("public_base_url", "https://hub.example".to_owned()),
        ("code_keys_file", keys.display().to_string()),
        // the same form; these settings are never kept
        ("address_key_file", keys.display().to_string()),
        ("issuers", serde_json::to_string(&issuer::entries(dir).unwrap()).unwrap()),
        ("accounts_create_organizations", "true".to_owned()),
        // nobody listens there: the emails stay in the outbox
        ("smtp_host", "127.0.0.1".to_owned()),
        ("smtp_port", "1".to_owned()),
        ("smtp_tls", "none".to_owned()),
        ("mail_from", "invitations@hub.example".to_owned()),
        ("wrong_codes_limit", "0".to_owned()),
        ("wrong_accounts_limit", "0".to_owned()),
        ("resend_interval_seconds", "0".to_owned()),
    ];
    Settings::with_defaults(&settings, &[]).unwrap()
}
