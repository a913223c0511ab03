//! Starts what the command line asks for. Exit status: 0 done, 1 failed, 2 wrong command line or settings; those of `import`
//! are its own.

use std::{
    env,
    error::Error,
    fs,
    io::{self, Write},
    process::ExitCode,
};

use invitations::{
    cli::{Cli, Descriptor, Distribute},
    config::{self, Log},
    grpc::probe,
    pb::DESCRIPTOR_SET,
    server::Server,
    shutdown::with_signals,
    store::{distribution, migrations, owner, pruning, roles},
    telemetry,
};
use secrecy::ExposeSecret;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    let done = match Cli::read(&env::args_os().collect::<Vec<_>>()) {
        Ok(cli) => start(cli),
        Err(config::Error::Usage(usage)) => usage.exit(),
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(status) => status,
        Err(error) => {
            eprintln!("invitations: {error}");
            ExitCode::from(if error.is::<config::Error>() { 2 } else { 1 })
        }
    }
}

fn start(cli: Cli) -> Result<ExitCode, Box<dyn Error>> {
    let runtime = Runtime::new()?;
    let done = runtime.block_on(run(cli));
    // a name that is looked up or a file that is read in vain would keep the process for minutes
    runtime.shutdown_background();
    done
}

async fn run(cli: Cli) -> Result<ExitCode, Box<dyn Error>> {
    let stop = CancellationToken::new();
    match cli {
        Cli::Serve(settings) => {
            start_log(&settings.log);
            with_signals(&stop, Box::pin(serve(&settings, &stop))).await??;
        }
        Cli::Migrate(migrate) => {
            start_log(&migrate.log);
            let (url, engine) = (migrate.database.database_url.expose_secret(), migrate.database.engine());
            let limit = owner::CONNECT_WITHIN.as_secs();
            print(&format!("connecting to {}, for at most {limit} s", owner::place(url)))?;
            let applied = migrations::run(url).await?;
            for migration in &applied {
                print(&format!("applied {migration}"))?;
            }
            match applied.len() {
                0 => print("the schema is up to date, there was nothing to apply")?,
                count => print(&format!("migrations applied: {count}"))?,
            }
            if let Some(role) = migrate.database.database_service_role {
                if !roles::restrict(url, &role).await? {
                    let why =
                        "is a superuser, owns the tables or belongs to a role that may change events: choose another";
                    return Err(config::Error::Settings(format!("setting database_service_role: {role} {why}")).into());
                }
                if !pruning::allow(url, &role, migrate.retention.events_retention_days).await? {
                    let why = "bypasses row-level security and could delete every event: choose another";
                    return Err(config::Error::Settings(format!("setting database_service_role: {role} {why}")).into());
                }
                print(&format!("rights of {role}: what the service needs"))?;
                let is_limited = roles::limit(url, &role, engine).await?;
                let timeouts =
                    if is_limited { "those of the service" } else { "unchanged: this user may not change the role" };
                print(&format!("timeouts of {role}: {timeouts}"))?;
            }
        }
        Cli::Distribute(Distribute { apply: false, .. }) => {
            for (_, statement) in distribution::statements() {
                print(&format!("{statement};"))?;
            }
        }
        Cli::Distribute(Distribute { database, .. }) => {
            let count = distribution::apply(database.database_url.expose_secret()).await?;
            print(&format!("tables distributed: {count}"))?;
        }
        Cli::CheckConfig(_) => {
            let unknown = config::unknown_variables();
            if !unknown.is_empty() {
                return Err(config::Error::Settings(format!("no such settings: {}", unknown.join(", "))).into());
            }
            print("configuration ok")?;
        }
        Cli::Probe(probe) => {
            let tls = probe.tls();
            probe::serving(&probe.address, probe.service, tls).await?;
        }
        Cli::Descriptor(Descriptor { output: Some(file) }) => fs::write(file, DESCRIPTOR_SET)?,
        Cli::Descriptor(Descriptor { output: None }) => {
            let mut out = io::stdout();
            out.write_all(DESCRIPTOR_SET)?;
            out.flush()?;
        }
        #[cfg(feature = "import")]
        Cli::Import(import) => {
            let options = import.options().map_err(config::Error::Settings)?;
            let ended = with_signals(&stop, Box::pin(invitations::import::run(&options, &stop))).await?;
            if let Some(message) = ended.message() {
                eprintln!("invitations: {message}");
            }
            return Ok(ExitCode::from(ended.status()));
        }
        #[cfg(feature = "dev")]
        Cli::Dev(dev) => {
            let dev = invitations::dev::run(dev.into(), dev_settings, stop.clone());
            with_signals(&stop, Box::pin(dev)).await??;
        }
        #[cfg(feature = "dev")]
        Cli::Token(token) => print(&token.mint()?)?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve(settings: &config::Settings, stop: &CancellationToken) -> Result<(), Box<dyn Error>> {
    // a database that is away keeps the start waiting
    let Some(server) = stop.run_until_cancelled(Box::pin(Server::start(settings, stop))).await else { return Ok(()) };
    Ok(server?.finished().await?)
}

#[cfg(feature = "dev")]
fn dev_settings(values: &[(String, String)]) -> Result<(config::Settings, Vec<config::Difference>), config::Error> {
    let (settings, differences) = invitations::cli::Dev::settings(values)?;
    start_log(&settings.log);
    Ok((settings, differences))
}

/// Unknown variables are only logged: a start must not fail by what Kubernetes injects.
fn start_log(log: &Log) {
    telemetry::init(log.log_format, &log.log_level);
    for name in config::unknown_variables() {
        tracing::warn!(variable = name, "no such setting, the environment variable is ignored");
    }
}

fn print(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}
