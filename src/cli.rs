//! The command line.

#[cfg(feature = "import")]
use std::{env, time::Duration};
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
#[cfg(feature = "import")]
use crate::{
    domain::{Annotations, LOCALE_RULE, is_locale},
    import,
};

/// What `--help` of the commands with settings ends with.
const ABOUT_SETTINGS: &str = "\
Each setting is a flag, an environment variable and a key of the file that --config names (--listen, INVITATIONS_LISTEN,
`listen`). The flag wins over the variable, that over the file, that over the default. A variable with _FILE at its end,
such as INVITATIONS_DATABASE_URL_FILE, is the path of a file that holds the value.";

/// What `--help` of `import` ends with.
#[cfg(feature = "import")]
const ABOUT_IMPORT: &str = "\
The token is read from --token-file or the variable INVITATIONS_TOKEN; it is no argument, because every user of a machine
can read those.

Exit status: 0 everybody is invited, or was before; 1 rows were refused, see the results; 2 nothing was sent: the file, the
command line or the right to invite is wrong; 3 it ended early: run the same command again.";

/// What `dev` makes itself: an environment that was made for a deployment must not lead it to the database, the people
/// or the mail server of that one.
#[cfg(feature = "dev")]
const OWN: [&str; 8] =
    ["listen", "database_url", "code_keys_file", "address_key_file", "issuers", "smtp_host", "smtp_port", "smtp_tls"];

/// What the program is asked to do.
#[derive(Debug, Parser)]
#[command(version = env!("INVITATIONS_VERSION"), about)]
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
    /// Invite the people of a CSV file, such as a spreadsheet writes, to an organization of a running service.
    ///
    /// The first row names the columns: `email`, and if wanted `locale` and `annotations.KEY`. The file is checked before
    /// anything is sent. What became of each row stands in a file of results; where the import breaks off, the same command
    /// goes on, and invites nobody twice.
    #[cfg(feature = "import")]
    #[command(after_help = ABOUT_IMPORT)]
    Import(Box<Import>),
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

#[cfg(feature = "import")]
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Import {
    /// The people: CSV in UTF-8 or UTF-16, with commas, semicolons or tabs.
    file: PathBuf,
    /// The organization, such as contoso.
    #[arg(long, value_name = "NAME")]
    organization: String,
    /// Where the service is, such as https://invitations.example.com.
    #[arg(long, value_name = "URL", env = "INVITATIONS_ENDPOINT")]
    endpoint: String,
    /// File with the access token of a person who may invite, or of a service; read anew before each call.
    #[arg(long, value_name = "FILE", env = "INVITATIONS_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// PEM file with what the service's certificate has to come from, instead of what this machine trusts.
    #[arg(long, value_name = "FILE", env = "INVITATIONS_CA_FILE")]
    ca_file: Option<PathBuf>,
    /// Send the token without encryption also to another machine.
    #[arg(long)]
    plain_text: bool,
    /// Ask the service what would become of each row, and invite nobody. Counts against the limits of the caller.
    #[arg(long)]
    dry_run: bool,
    /// Where the results go. Unset: beside FILE, people.results.csv, or people.dry-run.csv.
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// Leave out the rows that cannot be read; without it, nothing is sent where there is one.
    #[arg(long)]
    skip_bad: bool,
    /// Ask again for the rows that the service has refused in an earlier run.
    #[arg(long, conflicts_with = "dry_run")]
    retry_refused: bool,
    /// Language of the emails to people whose row names none, such as de-AT. Unset: that of the organization.
    #[arg(long, value_name = "TAG", default_value = "", hide_default_value = true, value_parser = locale)]
    locale: String,
    /// Annotation of each invitation whose row has none of that key; may be repeated.
    #[arg(long = "annotation", value_name = "KEY=VALUE", value_parser = annotation)]
    annotations: Vec<(String, String)>,
    /// The column of the addresses, where its name says no such thing, or several do.
    #[arg(long, value_name = "NAME")]
    email_column: Option<String>,
    /// Show no bar and no lines of progress.
    #[arg(long)]
    no_progress: bool,
    /// Rows in one call, 1 to 1000.
    #[arg(long, value_name = "COUNT", default_value = "500", value_parser = clap::value_parser!(u16).range(1..=1000))]
    batch_rows: u16,
    /// Seconds without an answer of the service after which the import ends, 1 to 86400.
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    give_up_after: u32,
}

#[cfg(feature = "import")]
impl Import {
    /// What it asks for; or what is wrong with the options together, or with a file that one of them names.
    pub fn options(self) -> Result<import::Options, String> {
        const VARIABLE: &str = "INVITATIONS_TOKEN";
        let token = match (self.token_file, env::var(VARIABLE)) {
            (Some(_), Ok(_)) => return Err(format!("{VARIABLE} and a token file are both set: keep one of the two")),
            (Some(file), Err(_)) => import::Token::File(file),
            (None, Ok(token)) => import::Token::Text(token.into()),
            (None, Err(_)) => {
                return Err(format!("there is no token: name its file by --token-file, or set {VARIABLE}"));
            }
        };
        let annotations = self.annotations.into_iter().collect();
        let annotations = Annotations::parse(annotations).map_err(|faults| {
            let told =
                faults.iter().map(|(key, _, rule)| format!("--annotation {} {rule}", key.as_deref().unwrap_or("…")));
            told.collect::<Vec<_>>().join("; ")
        })?;
        let ca_file = self.ca_file.as_deref();
        Ok(import::Options {
            file: self.file,
            target: import::Target::new(&self.endpoint, &self.organization, token, ca_file, self.plain_text)?,
            all: import::ForAllRows { locale: self.locale, annotations: annotations.pairs().clone() },
            email_column: self.email_column,
            results: self.results,
            is_dry_run: self.dry_run,
            skips_bad: self.skip_bad,
            retries_refused: self.retry_refused,
            has_no_progress: self.no_progress,
            batch_rows: self.batch_rows.into(),
            give_up_after: Duration::from_secs(self.give_up_after.into()),
        })
    }
}

#[cfg(feature = "import")]
fn locale(text: &str) -> Result<String, String> {
    let is_good = text.is_empty() || is_locale(text);
    if is_good { Ok(text.to_owned()) } else { Err(LOCALE_RULE.to_owned()) }
}

#[cfg(feature = "import")]
fn annotation(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("must be a key and a value, such as ticket=OPS-7")?;
    Ok((key.to_owned(), value.to_owned()))
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
