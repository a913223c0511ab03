//! The command line.

use std::{ffi::OsString, path::PathBuf};
#[cfg(feature = "dev")]
use std::{io, net::SocketAddr};

#[cfg(feature = "dev")]
use clap::ArgGroup;
use clap::{Args, CommandFactory, FromArgMatches, Parser};

#[cfg(feature = "dev")]
use crate::{
    config::Difference,
    dev::{
        self,
        issuer::{self, Provider},
    },
    domain::Scope,
};
use crate::{
    config::{self, Database, Log, Origin, Retention, Settings, Source},
    grpc::probe::ProbeTls,
};

/// What `--help` of the commands with settings ends with.
const ABOUT_SETTINGS: &str = "\
Each setting is a flag, an environment variable and a key of the file that --config names (--listen, INVITATIONS_LISTEN,
`listen`). The flag wins over the variable, that over the file, that over the default. A variable with _FILE at its end,
such as INVITATIONS_DATABASE_URL_FILE, is the path of a file that holds the value.";

/// What `dev` makes itself: an environment that was made for a deployment must not lead it to the database, the people
/// or the mail server of that one.
#[cfg(feature = "dev")]
const OWN: [&str; 8] =
    ["listen", "database_url", "code_keys_file", "address_key_file", "issuers", "smtp_host", "smtp_port", "smtp_tls"];

/// What the program is asked to do.
#[derive(Debug, Parser)]
#[command(version, about)]
pub enum Cli {
    /// Answer calls and send email, until SIGTERM.
    #[command(after_help = ABOUT_SETTINGS)]
    Serve(Box<Settings>),
    /// Bring the database's schema up to date.
    ///
    /// Needs a direct connection to Postgres, not one through a pooler.
    #[command(after_help = ABOUT_SETTINGS)]
    Migrate(Migrate),
    /// Distribute the tables over the nodes of Citus, once after `migrate`; without --apply, only print how.
    ///
    /// Runs again after a release that brings a new table: what is distributed already stays as it is.
    #[command(after_help = ABOUT_SETTINGS)]
    Distribute(Distribute),
    /// Check all settings of `serve` and the files that they name, and connect to nothing.
    #[command(after_help = ABOUT_SETTINGS)]
    CheckConfig(Box<Settings>),
    /// Ask the health service; succeeds only when it says SERVING within 2 seconds.
    Probe(Probe),
    /// Print the API's protos to standard output, as a binary FileDescriptorSet for gateways and grpcurl -protoset.
    Descriptor(Descriptor),
    /// Run everything on this machine: a private Postgres, the service, and a mailbox for what it sends.
    ///
    /// The settings of `serve` count as environment variables, except where `dev` has its own: database, issuers, keys and
    /// mail server.
    #[cfg(feature = "dev")]
    Dev(Dev),
    /// Print a token of `dev`'s issuer, good for 12 hours.
    #[cfg(feature = "dev")]
    Token(Token),
}

#[derive(Debug, Args)]
pub struct Descriptor {
    /// Write to this file instead: the image has no shell that could redirect standard output.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Migrate {
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub database: Database,
    #[command(flatten)]
    pub retention: Retention,
    #[command(flatten)]
    pub log: Log,
}

#[derive(Debug, Args)]
pub struct Distribute {
    /// Run the statements, as the owner of the tables.
    #[arg(long)]
    pub apply: bool,
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub database: Database,
}

#[derive(Debug, Args)]
pub struct Probe {
    /// Where the service is.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:50051")]
    pub address: String,
    /// Which part of it: empty is the server as a whole.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub service: String,
    /// The service is served with TLS. Without --tls-ca-file its certificate is not checked, and only an address of this
    /// machine can be asked.
    #[arg(long)]
    pub tls: bool,
    /// PEM file with what the service's certificate has to come from; it has to be for the host in --address.
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub tls_ca_file: Option<PathBuf>,
    /// PEM file with a certificate to show, for a service with `tls_client_ca_file`.
    #[arg(long, value_name = "FILE", requires = "tls", requires = "tls_key_file")]
    pub tls_certificate_file: Option<PathBuf>,
    /// PEM file with the private key of --tls-certificate-file.
    #[arg(long, value_name = "FILE", requires = "tls_certificate_file")]
    pub tls_key_file: Option<PathBuf>,
}

impl Probe {
    /// `None`: without TLS.
    pub fn tls(&self) -> Option<ProbeTls> {
        let identity = self.tls_certificate_file.clone().zip(self.tls_key_file.clone());
        self.tls.then(|| ProbeTls { ca_file: self.tls_ca_file.clone(), identity })
    }
}

#[cfg(feature = "dev")]
#[derive(Debug, Args)]
pub struct Dev {
    /// Folder for all state: database, emails, keys.
    #[arg(long, value_name = "DIR", default_value = ".dev")]
    dir: PathBuf,
    /// Where gRPC is served.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:50051", value_parser = config::socket_address)]
    listen: SocketAddr,
    /// Start over, without the state of earlier runs.
    #[arg(long)]
    fresh: bool,
    /// Walk through the seven steps over gRPC, show each, and end; succeeds only if the person has access then.
    #[arg(long)]
    demo: bool,
    /// Let --listen be an address that other machines reach.
    #[arg(long)]
    expose: bool,
}

#[cfg(feature = "dev")]
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("caller").args(["subject", "service"]).required(true))]
pub struct Token {
    /// The folder of `dev`.
    #[arg(long, value_name = "DIR", default_value = ".dev")]
    dir: PathBuf,
    /// A person's id at the provider.
    #[arg(long, value_name = "NAME", conflicts_with = "scopes")]
    subject: Option<String>,
    /// The person's email address.
    #[arg(long, value_name = "ADDRESS", requires = "subject")]
    email: Option<String>,
    /// The provider has not verified the address.
    #[arg(long, requires = "email")]
    unverified: bool,
    /// Where the person signs in.
    #[arg(long, value_name = "PROVIDER", default_value = "github", conflicts_with = "service")]
    provider: Provider,
    /// A service's name.
    #[arg(long, value_name = "NAME", requires = "scopes")]
    service: Option<String>,
    /// What the service may do; one or several.
    #[arg(long = "scope", value_name = "SCOPE", num_args = 1.., requires = "service", value_parser = scope)]
    scopes: Vec<Scope>,
}

impl Cli {
    /// Parses the command line with the settings from everywhere.
    pub fn read(args: &[OsString]) -> Result<Self, config::Error> {
        let matches = config::parse(Self::command(), args)?;
        let mut cli = Self::from_arg_matches(&matches)?;
        if let Self::Serve(settings) | Self::CheckConfig(settings) = &mut cli {
            settings.database.origin = matches.subcommand().map(|(_, matches)| Origin::of(matches)).unwrap_or_default();
            settings.check_for_production()?;
        }
        Ok(cli)
    }
}

#[cfg(feature = "dev")]
impl Dev {
    /// The settings of the service in `dev`, whose values they are, and those that are not as in production.
    pub fn settings(values: &[(String, String)]) -> Result<(Settings, Vec<Difference>), config::Error> {
        let values = values.iter().map(|(key, value)| (key.as_str(), value.clone()));
        let (own, defaults): (Vec<_>, Vec<_>) = values.partition(|(key, _)| OWN.contains(key));
        Settings::with_differences(&own, &defaults)
    }
}

#[cfg(feature = "dev")]
impl From<Dev> for dev::Options {
    fn from(Dev { dir, listen, fresh, demo, expose }: Dev) -> Self {
        Self { dir, listen, fresh, demo, expose }
    }
}

#[cfg(feature = "dev")]
impl Token {
    /// Signs it with the folder's key.
    pub fn mint(&self) -> io::Result<String> {
        match (&self.subject, &self.service) {
            (Some(subject), _) => {
                issuer::user_token(&self.dir, subject, self.email.as_deref(), !self.unverified, self.provider)
            }
            // clap asks for one of the two
            (None, name) => issuer::service_token(&self.dir, name.as_deref().unwrap_or_default(), &self.scopes),
        }
    }
}

#[cfg(feature = "dev")]
fn scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text).ok_or_else(|| format!("must be one of {}", Scope::ALL.map(Scope::as_str).join(", ")))
}
