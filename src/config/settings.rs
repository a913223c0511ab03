//! Every setting with its unit, default and limits. The comments are the text of `--help` and of docs/settings.md.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{ArgAction, Args};
use secrecy::SecretString;

use super::{
    key_files,
    origin::Origin,
    retention::Retention,
    traces::Traces,
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
    /// Connections to Postgres for reads, 1 to 1000. Writes, readiness and email have a few of their own.
    #[arg(long, value_name = "COUNT", default_value = "8", help_heading = "Postgres",
        value_parser = values::number(1..=1000_usize))]
    pub database_connections: usize,
    /// Transactions at a time that change organizations, 1 to 64. One Postgres needs no more than 2: what waits shares a
    /// transaction. With `database_distributed`, a transaction changes one organization, so more of them run at a time.
    #[arg(long, value_name = "COUNT", default_value = "2", help_heading = "Postgres",
        value_parser = values::number(1..=64_usize))]
    pub writers: usize,
    #[command(flatten)]
    pub tenancy: Tenancy,
    #[command(flatten)]
    pub throttles: Throttles,
    #[command(flatten)]
    pub retention: Retention,
    #[command(flatten)]
    pub mail: Mail,
    #[command(flatten)]
    pub traces: Traces,
    #[command(flatten)]
    pub log: Log,
}

#[derive(Clone, Debug, Args)]
pub struct Source {
    /// TOML file with settings, by the names of this list. Tables join with `_`: `url` in `[database]` is
    /// `database_url`.
    #[arg(long, value_name = "FILE", env = "INVITATIONS_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Calls")]
pub struct Calls {
    /// Address that serves gRPC. It is plaintext unless `tls_certificate_file` is set. 0.0.0.0 and [::] are all
    /// addresses of this machine.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:50051", value_parser = values::socket_address)]
    pub listen: SocketAddr,

    /// PEM file with the server's certificate, followed by its intermediate certificates. This file and the two below
    /// are checked for changes every 10 seconds. A change applies to new connections; an invalid file is logged and
    /// ignored.
    #[arg(long, value_name = "FILE")]
    pub tls_certificate_file: Option<PathBuf>,

    /// PEM file with the private key of `tls_certificate_file`.
    #[arg(long, value_name = "FILE")]
    pub tls_key_file: Option<PathBuf>,

    /// PEM file with the certificate authorities for client certificates. If it is set, every client needs a
    /// certificate. A client certificate gives no rights: only the token says who calls.
    #[arg(long, value_name = "FILE")]
    pub tls_client_ca_file: Option<PathBuf>,

    /// Client connections at a time, 1 to 100000. When one more arrives, the connection that has been without a call for
    /// longest is closed; if every connection has a call, the new one is closed.
    #[arg(long, value_name = "COUNT", default_value = "1000", value_parser = values::number(1..=100_000_usize))]
    pub max_connections: usize,

    /// Calls at a time on one connection, 1 to 10000.
    #[arg(long, value_name = "COUNT", default_value = "100", value_parser = values::number(1..=10_000_u32))]
    pub max_concurrent_streams: u32,

    /// Calls that are carried out at a time, 8 to 100000. As many wait for up to 200 milliseconds; further ones are
    /// refused. A list or a DeleteAccount counts as 32 calls. Health and reflection are not counted.
    #[arg(long, value_name = "COUNT", default_value = "256", value_parser = values::number(8..=100_000_usize))]
    pub max_calls: usize,

    /// Of `max_calls`, those of one caller while others call, 1 to 100000: a caller is a person, or a service for one
    /// organization. Unset: an eighth of `max_calls`. A caller who is alone has all but that many. What is more waits
    /// behind the caller's own calls.
    #[arg(long, value_name = "COUNT", value_parser = values::number(1..=100_000_usize))]
    pub max_calls_per_caller: Option<usize>,

    /// Calls at a time whose request has not fully arrived, 1 to 100000. When one more arrives, the oldest is refused.
    /// Each may hold 64 KiB of memory. Of requests with rows, up to 1 MiB, a sixteenth as many.
    #[arg(long, value_name = "COUNT", default_value = "256", value_parser = values::number(1..=100_000_usize))]
    pub max_arriving_requests: usize,

    /// Calls at a time whose response the client has not fully read, 1 to 100000. When there is one more, the oldest is
    /// cut off. Each may hold 256 KiB of memory, and what the connection needs.
    #[arg(long, value_name = "COUNT", default_value = "256", value_parser = values::number(1..=100_000_usize))]
    pub max_untaken_answers: usize,

    /// Streams of WatchEvents at a time, 1 to 100000. Further ones are refused. They take no place of `max_calls`, and may be
    /// half of the calls on a connection (`max_concurrent_streams`).
    #[arg(long, value_name = "COUNT", default_value = "2000", value_parser = values::number(1..=100_000_usize))]
    pub max_watches: usize,

    /// Of `max_watches`, those of one caller, 1 to 100000: a caller is a person, or a service for one organization.
    #[arg(long, value_name = "COUNT", default_value = "100", value_parser = values::number(1..=100_000_usize))]
    pub max_watches_per_caller: usize,

    /// Age in seconds at which a stream of WatchEvents ends, give or take a tenth, so that new replicas get their share of
    /// streams, 1 to 86400. Its client goes on where it was.
    #[arg(long, value_name = "SECONDS", default_value = "1800", value_parser = values::seconds(1..=86_400))]
    pub watch_age_seconds: Duration,

    /// Longest silence in seconds of a stream of WatchEvents, 1 to 15. After two thirds of that time it is also asked
    /// whether the caller still may. A client that takes nothing for twice that time is too slow, and after four times it
    /// is cut off.
    #[arg(long, value_name = "SECONDS", default_value = "15", value_parser = values::seconds(1..=15))]
    pub watch_checkpoint_seconds: Duration,

    /// Deadline in seconds of a call whose client sets none, 1 to 3600.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = values::seconds(1..=3600))]
    pub default_deadline_seconds: Duration,

    /// Longest deadline in seconds, whatever the client sets, 1 to 3600.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = values::seconds(1..=3600))]
    pub max_deadline_seconds: Duration,

    /// Age in seconds at which a client is told to reconnect (GOAWAY), so that new replicas get their share of calls, 1
    /// to 86400.
    #[arg(long, value_name = "SECONDS", default_value = "1800", value_parser = values::seconds(1..=86_400))]
    pub connection_age_seconds: Duration,

    /// Time in seconds to go on serving after SIGTERM, until load balancers have noticed, 0 to 300.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = values::seconds(0..=300))]
    pub endpoint_delay_seconds: Duration,

    /// Time in seconds after that for open calls to end, 0 to 300.
    #[arg(long, value_name = "SECONDS", default_value = "20", value_parser = values::seconds(0..=300))]
    pub drain_timeout_seconds: Duration,

    /// Whether gRPC reflection is served.
    #[arg(long, value_name = "BOOL", default_value = "true", action = ArgAction::Set)]
    pub reflection: bool,

    /// Address for those who run the service: gRPC health for probes, and Prometheus metrics at `/metrics`. It has
    /// neither TLS nor authentication: only they should reach it. It answers from the start, also while the database is
    /// away. Unset: there is none.
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = values::socket_address)]
    pub admin_listen: Option<SocketAddr>,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Postgres")]
pub struct Database {
    /// URL of the database: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`. Add `?sslmode=verify-full` if Postgres is on
    /// another machine. A secret: do not pass it on the command line, which other users can read. From a file
    /// (`INVITATIONS_DATABASE_URL_FILE` or `config`) it is read anew for each new connection, so a password may change
    /// without a restart.
    #[arg(long, value_name = "URL", value_parser = values::database_url)]
    pub database_url: SecretString,

    #[arg(skip)]
    pub origin: Origin,

    /// Postgres role of `serve`, if `migrate` connects as another one. `migrate` grants it what the service needs and
    /// revokes everything else, above all the right to change or delete events. The role has to exist.
    #[arg(long, value_name = "ROLE", value_parser = values::role)]
    pub database_service_role: Option<String>,

    /// Whether the database is distributed over several nodes by Citus, after `invitations distribute`. On one Postgres
    /// it only costs time.
    #[arg(long, value_name = "BOOL", default_value = "false", action = ArgAction::Set)]
    pub database_distributed: bool,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Accounts and organizations")]
pub struct Tenancy {
    /// URL that links in emails begin with, without `?` and `#`. It must be https, except on this machine.
    #[arg(long, value_name = "URL", value_parser = values::public_base_url)]
    pub public_base_url: BaseUrl,

    /// File with the keys of invitation codes, one per line: an id, a blank, and at least 32 random bytes in base64.
    /// The first key makes new codes; a code is valid only while its key is in the file. An id stands for one key for
    /// ever: the start refuses another one under the same id. The file must not be readable by every user.
    #[arg(long = "code-keys-file", id = "code_keys_file", value_name = "FILE", value_parser = key_files::code_keys)]
    pub code_keys: CodeKeys,

    /// File with the key that hashes email addresses for suppressions and for `emails_per_address_limit`: one line as
    /// in `code_keys_file`. Another key would make all suppressions void: the start refuses it. The file must not be
    /// readable by every user.
    #[arg(long = "address-key-file", id = "address_key_file", value_name = "FILE", value_parser = key_files::address_key)]
    pub address_key: AddressKey,

    /// Issuers whose tokens are accepted: `[[issuers]]` tables in the file, a JSON list elsewhere. An entry has id,
    /// kind (user or service), issuer, audience, and one of jwks_url, jwks_file and discovery; optional are ca_file,
    /// bearer_token_file, algorithms, leeway_seconds, typ and scope. Kind user also has provider and email_domains, and
    /// for Entra tenants and verified_domains. Kind service has a list services with subject, scopes, organizations and
    /// highest_role. An entry for GitHub itself has only id, kind, provider, email_domains and github, with client_id,
    /// client_secret_file and optionally api_url, ca_file and checks_per_minute.
    #[arg(long, value_name = "JSON", value_parser = values::issuers)]
    pub issuers: Issuers,

    /// Words of the operator, such as its name, in addition to the built-in ones: a list, or separated by commas. They are
    /// written as usernames are. No username, organization id or display name may hold one as a word, nor what looks like
    /// it, unless a service with the scope `organizations.admin` creates or renames the organization.
    #[arg(long, value_name = "NAMES", default_value = "", hide_default_value = true, value_parser = values::names)]
    pub reserved_names: Names,

    /// Whether accounts may create organizations, besides services with the scope `organizations.admin`.
    #[arg(long, value_name = "BOOL", default_value = "false", action = ArgAction::Set)]
    pub accounts_create_organizations: bool,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct Throttles {
    /// Days for which the addresses of an account count after its identity provider attested them last, 1 to 36500. An
    /// organization can ask for less (`Policy.max_attestation_age`). Signing in with a token that tells addresses renews
    /// them.
    #[arg(long, value_name = "DAYS", default_value = "30", value_parser = values::days(1..=36_500))]
    pub max_attestation_age_days: Duration,

    /// Shortest time in seconds between two requested emails of one invitation, 0 to 86400.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = values::seconds(0..=86_400))]
    pub resend_interval_seconds: Duration,

    /// Resends of an invitation in 24 hours, up to 1000; 0 is no limit.
    #[arg(long, value_name = "COUNT", default_value = "10", value_parser = values::limit(1000))]
    pub resends_per_invitation_limit: Limit,

    /// Open invitations of an organization that has no limit of its own, up to 1000000; 0 is no limit.
    #[arg(long, value_name = "COUNT", default_value = "10000", value_parser = values::limit(1_000_000))]
    pub open_invitations_limit: Limit,

    /// Wrong invitation codes of a caller in 15 minutes, up to 1000000; 0 is no limit.
    #[arg(long, value_name = "COUNT", default_value = "10", value_parser = values::limit(1_000_000))]
    pub wrong_codes_limit: Limit,

    /// Wrong pairs of username and address of a caller in 15 minutes, up to 1000000; 0 is no limit.
    #[arg(long, value_name = "COUNT", default_value = "20", value_parser = values::limit(1_000_000))]
    pub wrong_accounts_limit: Limit,

    /// Invitations and resends of an organization that has no limit of its own, in 24 hours, up to 1000000; 0 is no
    /// limit.
    #[arg(long, value_name = "COUNT", default_value = "1000", value_parser = values::limit(1_000_000))]
    pub invitations_per_organization_limit: Limit,

    /// Invitations and resends of a caller (account or service) in 24 hours, over all organizations, up to 1000000; 0
    /// is no limit.
    #[arg(long, value_name = "COUNT", default_value = "2000", value_parser = values::limit(1_000_000))]
    pub invitations_per_caller_limit: Limit,

    /// Attempts of a person or service to create an organization in 24 hours, those included that fail because the name
    /// is taken or there is no such owner, up to 1000000; 0 is no limit.
    #[arg(long, value_name = "COUNT", default_value = "100", value_parser = values::limit(1_000_000))]
    pub organizations_per_identity_limit: Limit,

    /// Attempts of a person to create their account in 24 hours, failed ones included, up to 1000000; 0 is no limit.
    #[arg(long, value_name = "COUNT", default_value = "20", value_parser = values::limit(1_000_000))]
    pub account_attempts_per_identity_limit: Limit,

    /// Changes of policies and notification addresses by a caller (account or service) in 24 hours, over all
    /// organizations, up to 1000000; 0 is no limit. Each change is emailed to the old address and the owners.
    #[arg(long, value_name = "COUNT", default_value = "50", value_parser = values::limit(1_000_000))]
    pub protection_changes_per_caller_limit: Limit,

    /// Changes of an organization's settings, or of a member's role, by the same caller (account or service) in 24 hours,
    /// up to 1000000; 0 is no limit. What stays as it is does not count.
    #[arg(long, value_name = "COUNT", default_value = "100", value_parser = values::limit(1_000_000))]
    pub changes_per_subject_limit: Limit,

    /// Unsolicited emails to one mailbox in 24 hours, from all organizations together, up to 1000000; 0 is no limit.
    /// Further ones wait. A mailbox has up to two fifths fewer on some days, so that nobody can tell what others send.
    #[arg(long, value_name = "COUNT", default_value = "10", value_parser = values::limit(1_000_000))]
    pub emails_per_address_limit: Limit,

    /// Those of them that are from one organization, up to 1000000; 0 is no limit. What is left of a mailbox's day goes
    /// to the organizations that have written least to it.
    #[arg(long, value_name = "COUNT", default_value = "3", value_parser = values::limit(1_000_000))]
    pub emails_per_organization_and_address_limit: Limit,

    /// Emails in 24 hours to the notification address of an organization while nobody has entered the code that is sent to
    /// it, up to 1000000; the owners get all that it does not. 0 is no limit, and then no code is asked for.
    #[arg(long, value_name = "COUNT", default_value = "1", value_parser = values::limit(1_000_000))]
    pub unverified_notifications_limit: Limit,

    /// Emails in 24 hours that tell one address of one organization about one invitation each, up to 1000000; 0 is no limit.
    /// Further ones are gathered into one email an hour.
    #[arg(long, value_name = "COUNT", default_value = "20", value_parser = values::limit(1_000_000))]
    pub notices_per_address_limit: Limit,

    /// Time in seconds between two searches for overdue invitations and for whatever else is over, 1 to 3600. Only the
    /// emails and events about expiry depend on it: reads show an overdue invitation as expired at once. However much is
    /// found is dealt with before the next search.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = values::seconds(1..=3600))]
    pub sweep_interval_seconds: Duration,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Email")]
pub struct Mail {
    /// Name or address of the mail server. Its certificate must be valid for it. If the name has several addresses, the
    /// first that answers is used.
    #[arg(long, value_name = "HOST", value_parser = values::text)]
    pub smtp_host: String,

    /// Port of the mail server. Unset: 465, 587 or 25, for `smtp_tls` implicit, starttls or none.
    #[arg(long, value_name = "PORT", value_parser = values::number(1..=u16::MAX))]
    pub smtp_port: Option<u16>,

    /// Encryption of the connection: implicit, starttls, or none. None is allowed only for a mail server on this
    /// machine.
    #[arg(long, value_name = "TLS", default_value = "implicit", value_parser = values::mail::<SmtpTls>)]
    pub smtp_tls: SmtpTls,

    /// User name, if the mail server requires authentication.
    #[arg(long, value_name = "NAME", value_parser = values::text)]
    pub smtp_username: Option<String>,

    /// Password for `smtp_username`: one line, whose end is not part of it. A secret: do not pass it on the command line,
    /// which other users can read.
    #[arg(long, value_name = "PASSWORD", value_parser = values::secret)]
    pub smtp_password: Option<SecretString>,

    /// PEM file with certificates to trust in addition to the system's: of authorities, or the mail server's own, such as
    /// one that it has signed itself.
    #[arg(long, value_name = "FILE")]
    pub smtp_ca_file: Option<PathBuf>,

    /// Host name or IP address for the EHLO command. Unset: the host of `public_base_url`.
    #[arg(long, value_name = "HOST", value_parser = values::text)]
    pub smtp_hello_name: Option<String>,

    /// Sender of all emails, `Name <address>` or only the address. It also gets the bounces.
    #[arg(long, value_name = "SENDER", value_parser = values::text)]
    pub mail_from: String,

    /// Emails that this process sends at a time, each over its own SMTP connection, 1 to 64.
    #[arg(long, value_name = "COUNT", default_value = "4", value_parser = values::number(1..=64_usize))]
    pub mail_workers: usize,

    /// Whether emails wait instead of being sent, as they must in a copy of the database that is not to write to people.
    #[arg(long, value_name = "BOOL", default_value = "false", action = ArgAction::Set)]
    pub mail_paused: bool,

    /// Time in seconds between two searches for due emails, 1 to 3600. Emails that this process itself writes are sent
    /// at once.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = values::seconds(1..=3600))]
    pub mail_poll_interval_seconds: Duration,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Log")]
pub struct Log {
    /// Format of the log, which goes to standard error.
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    pub log_format: LogFormat,

    /// What is logged: error, warn, info, debug or trace, or a filter such as `info,invitations::mail=debug`. What the
    /// service is built of is never logged.
    #[arg(long, value_name = "FILTER", default_value = "info", value_parser = values::log_level)]
    pub log_level: String,
}
