//! Every setting with its unit, default and limits. The comments are what `--help` and the README show.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{ArgAction, Args};
use secrecy::SecretString;

use super::{
    key_files,
    values::{self, Issuers, Limit, Names},
};
use crate::{
    domain::{AddressKey, CodeKeys},
    mail::{BaseUrl, SmtpTls},
    telemetry::LogFormat,
};

/// All settings of `serve`, each checked by itself; what they mean together is checked by [`Settings::check`].
#[derive(Clone, Debug, Args)]
pub struct Settings {
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub calls: Calls,
    #[command(flatten)]
    pub database: Database,
    /// Connections to Postgres that answer reads, 1 to 1000; writes and email have a few of their own.
    #[arg(long, value_name = "COUNT", default_value = "8", help_heading = "Postgres",
        value_parser = values::number(1..=1000_u32))]
    pub database_connections: u32,
    #[command(flatten)]
    pub tenancy: Tenancy,
    #[command(flatten)]
    pub throttles: Throttles,
    #[command(flatten)]
    pub mail: Mail,
    #[command(flatten)]
    pub log: Log,
}

#[derive(Clone, Debug, Args)]
pub struct Source {
    /// TOML file with settings by the names of this list; tables join with `_`, so that `url` in `[database]` is
    /// `database_url`.
    #[arg(long, value_name = "FILE", env = "INVITATIONS_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Calls")]
pub struct Calls {
    /// Where gRPC is served, without TLS unless `tls_certificate_file` is set; 0.0.0.0 and [::] stand for all of this
    /// machine's addresses.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:50051", value_parser = values::socket_address)]
    pub listen: SocketAddr,

    /// PEM file with the server's certificate and those between it and a root. Like the two below it is looked at every
    /// 10 seconds, and what is new there is for new connections; what cannot be used is logged and changes nothing.
    #[arg(long, value_name = "FILE")]
    pub tls_certificate_file: Option<PathBuf>,

    /// PEM file with the private key of `tls_certificate_file`.
    #[arg(long, value_name = "FILE")]
    pub tls_key_file: Option<PathBuf>,

    /// PEM file with the certificates that those of clients must come from; without it clients need none. A client's
    /// certificate lets its connection in and gives it no rights: who calls is in the token alone.
    #[arg(long, value_name = "FILE")]
    pub tls_client_ca_file: Option<PathBuf>,

    /// Connections of clients, 1 to 100000; for a further one that is closed which has no call for longest, or the new one
    /// where all have calls.
    #[arg(long, value_name = "COUNT", default_value = "1000", value_parser = values::number(1..=100_000_usize))]
    pub max_connections: usize,

    /// Calls at a time on one connection, 1 to 10000.
    #[arg(long, value_name = "COUNT", default_value = "100", value_parser = values::number(1..=10_000_u32))]
    pub max_concurrent_streams: u32,

    /// Calls at a time whose request has begun to arrive and not ended, 1 to 100000; for one more the oldest is refused.
    /// Each may hold 64 KiB.
    #[arg(long, value_name = "COUNT", default_value = "256", value_parser = values::number(1..=100_000_usize))]
    pub max_arriving_requests: usize,

    /// Calls at a time whose answer the caller has not taken yet, 1 to 100000; for one more the oldest is cut off. Each
    /// may hold a page of a list, about 100 KiB.
    #[arg(long, value_name = "COUNT", default_value = "256", value_parser = values::number(1..=100_000_usize))]
    pub max_untaken_answers: usize,

    /// Time in seconds that a call may take whose client sets no deadline, 1 to 3600.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = values::seconds(1..=3600))]
    pub default_deadline_seconds: Duration,

    /// Time in seconds that a call may take whatever its client says, 1 to 3600.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = values::seconds(1..=3600))]
    pub max_deadline_seconds: Duration,

    /// Time in seconds after which a client is asked to connect anew, so that replicas get their share, 1 to 86400.
    #[arg(long, value_name = "SECONDS", default_value = "1800", value_parser = values::seconds(1..=86_400))]
    pub connection_age_seconds: Duration,

    /// Time in seconds to go on serving after SIGTERM, until load balancers have forgotten this process; 0 to 300.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = values::seconds(0..=300))]
    pub endpoint_delay_seconds: Duration,

    /// Time in seconds that open calls then have to end, 0 to 300.
    #[arg(long, value_name = "SECONDS", default_value = "20", value_parser = values::seconds(0..=300))]
    pub drain_timeout_seconds: Duration,

    /// Whether the contract can be read by gRPC reflection.
    #[arg(long, value_name = "BOOL", default_value = "true", action = ArgAction::Set)]
    pub reflection: bool,

    /// Where Prometheus may read what was counted, at `/metrics` over plain HTTP, without a token: for an address that
    /// only it can reach. Without it nowhere.
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = values::socket_address)]
    pub metrics_listen: Option<SocketAddr>,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Postgres")]
pub struct Database {
    /// Where Postgres is: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with `?sslmode=verify-full` where it is not on
    /// this machine. A secret: not for the command line, which other users can read.
    #[arg(long, value_name = "URL", value_parser = values::database_url)]
    pub database_url: SecretString,

    /// Role as which `serve` connects, where `migrate` connects as another one: `migrate` gives it what the service needs
    /// and takes everything else, above all the right to change or delete events. The role has to exist.
    #[arg(long, value_name = "ROLE", value_parser = values::role)]
    pub database_service_role: Option<String>,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Accounts and organizations")]
pub struct Tenancy {
    /// What links in emails begin with: https, or http on this machine, without `?` and `#`.
    #[arg(long, value_name = "URL", value_parser = values::public_base_url)]
    pub public_base_url: BaseUrl,

    /// File with the keys that invitation codes are made with, one per line: an id, a blank, at least 32 random bytes in
    /// base64. The first one makes new codes; codes of a key that is not there do not count. Must not be readable by
    /// every user.
    #[arg(long = "code-keys-file", id = "code_keys_file", value_name = "FILE", value_parser = key_files::code_keys)]
    pub code_keys: CodeKeys,

    /// File with the key under which addresses are hashed that want no email or have had enough for a day: one line as in
    /// `code_keys_file`. With another key, all suppressions are forgotten. Must not be readable by every user.
    #[arg(long = "address-key-file", id = "address_key_file", value_name = "FILE", value_parser = key_files::address_key)]
    pub address_key: AddressKey,

    /// Whose tokens count: `[[issuers]]` tables in the file, a list in JSON elsewhere. An entry has id, kind (user or
    /// service), issuer, audience, and one of jwks_url, jwks_file and discovery; it may have ca_file, bearer_token_file,
    /// algorithms, leeway_seconds, typ and scope; of kind user also provider, email_domains, tenants and
    /// verified_domains; of kind service a list services with subject, scopes, organizations and highest_role. An entry
    /// for GitHub itself has id, kind, provider, email_domains and github with client_id, client_secret_file and perhaps
    /// api_url, ca_file and checks_per_minute.
    #[arg(long, value_name = "JSON", value_parser = values::issuers)]
    pub issuers: Issuers,

    /// Usernames and organization ids that nobody may take, beside the built-in ones: a list, or separated by commas.
    #[arg(long, value_name = "NAMES", default_value = "", hide_default_value = true, value_parser = values::names)]
    pub reserved_names: Names,

    /// Whether accounts may create organizations, or only services.
    #[arg(long, value_name = "BOOL", default_value = "false", action = ArgAction::Set)]
    pub accounts_create_organizations: bool,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct Throttles {
    /// Least time in seconds between two emails of one invitation that somebody asks for; 0 to 86400.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = values::seconds(0..=86_400))]
    pub resend_interval_seconds: Duration,

    /// Open invitations that an organization may have, unless it has a limit of its own, up to 1000000; 0 is no limit.
    #[arg(long, value_name = "COUNT", default_value = "10000", value_parser = values::limit(1_000_000))]
    pub open_invitations_limit: Limit,

    /// Wrong invitation codes that a caller may try in 15 minutes, up to 1000000; 0 is no limit.
    #[arg(long, value_name = "COUNT", default_value = "10", value_parser = values::limit(1_000_000))]
    pub wrong_codes_limit: Limit,

    /// Wrong pairs of username and address that a caller may try in 15 minutes, up to 1000000; 0 is no limit.
    #[arg(long, value_name = "COUNT", default_value = "20", value_parser = values::limit(1_000_000))]
    pub wrong_accounts_limit: Limit,

    /// Invitations that an organization may send in 24 hours, resends among them, unless it has a limit of its own, up to
    /// 1000000; 0 is no limit.
    #[arg(long, value_name = "COUNT", default_value = "1000", value_parser = values::limit(1_000_000))]
    pub invitations_per_organization_limit: Limit,

    /// Invitations that a caller, also a service, may send in 24 hours over all organizations, up to 1000000; 0 is no
    /// limit.
    #[arg(long, value_name = "COUNT", default_value = "2000", value_parser = values::limit(1_000_000))]
    pub invitations_per_caller_limit: Limit,

    /// Organizations that a person, or a service, may create in 24 hours, up to 1000000; 0 is no limit.
    #[arg(long, value_name = "COUNT", default_value = "100", value_parser = values::limit(1_000_000))]
    pub organizations_per_identity_limit: Limit,

    /// Tries of a person to create their account in 24 hours, failed ones too, up to 1000000; 0 is no limit.
    #[arg(long, value_name = "COUNT", default_value = "20", value_parser = values::limit(1_000_000))]
    pub account_attempts_per_identity_limit: Limit,

    /// Changes of policies and notification addresses, each of which is mailed to the old address and the owners, that a
    /// caller, also a service, may make in 24 hours over all organizations, up to 1000000; 0 is no limit.
    #[arg(long, value_name = "COUNT", default_value = "50", value_parser = values::limit(1_000_000))]
    pub protection_changes_per_caller_limit: Limit,

    /// Emails that an address may get in 24 hours, from all organizations together, by people it need not know, up to
    /// 1000000; 0 is no limit. Further ones wait.
    #[arg(long, value_name = "COUNT", default_value = "10", value_parser = values::limit(1_000_000))]
    pub emails_per_address_limit: Limit,

    /// Time in seconds between two looks for overdue invitations, 1 to 3600. Answers never wait for it, only emails and
    /// events about expiry do.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = values::seconds(1..=3600))]
    pub sweep_interval_seconds: Duration,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Email")]
pub struct Mail {
    /// Name or address of the mail server; its certificate has to be for it.
    #[arg(long, value_name = "HOST", value_parser = values::text)]
    pub smtp_host: String,

    /// Port of the mail server; without it 465, 587 or 25, as `smtp_tls` is implicit, starttls or none.
    #[arg(long, value_name = "PORT", value_parser = values::number(1..=u16::MAX))]
    pub smtp_port: Option<u16>,

    /// How the connection is encrypted: implicit, starttls, or none, which is only for a mail server on this machine.
    #[arg(long, value_name = "TLS", default_value = "implicit", value_parser = values::mail::<SmtpTls>)]
    pub smtp_tls: SmtpTls,

    /// Name to sign in with, if the mail server asks for it.
    #[arg(long, value_name = "NAME", value_parser = values::text)]
    pub smtp_username: Option<String>,

    /// Password to sign in with. A secret: not for the command line, which other users can read.
    #[arg(long, value_name = "PASSWORD", value_parser = values::secret)]
    pub smtp_password: Option<SecretString>,

    /// PEM file with certificates to trust beside the system's.
    #[arg(long, value_name = "FILE")]
    pub smtp_ca_file: Option<PathBuf>,

    /// Host name to greet the mail server with; without it the host of `public_base_url`.
    #[arg(long, value_name = "HOST", value_parser = values::text)]
    pub smtp_hello_name: Option<String>,

    /// Sender of all emails: `Name <address>` or the address alone. Bounces go there.
    #[arg(long, value_name = "SENDER", value_parser = values::text)]
    pub mail_from: String,

    /// Emails sent at once by this process, each over a connection of its own; 1 to 64.
    #[arg(long, value_name = "COUNT", default_value = "4", value_parser = values::number(1..=64_usize))]
    pub mail_workers: usize,

    /// Time in seconds between two looks for email that is due, 1 to 3600; what this process itself writes is sent at
    /// once.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = values::seconds(1..=3600))]
    pub mail_poll_interval_seconds: Duration,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Log")]
pub struct Log {
    /// How the log on standard error is written.
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    pub log_format: LogFormat,

    /// What is logged: error, warn, info, debug or trace, or a filter such as `info,invitations=debug`.
    #[arg(long, value_name = "FILTER", default_value = "info", value_parser = values::log_level)]
    pub log_level: String,
}
