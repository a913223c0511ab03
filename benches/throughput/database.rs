//! A database of the private server, with what the calls find.

use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Executor, PgPool};

use invitations::store::migrations;

use crate::{Method, Result, Scenario};

/// Number 0 is the hot one, the others are for calls that are spread.
pub const ORGANIZATIONS: u32 = 1001;
/// The most offers of one measurement, each to another account.
pub const ACCOUNTS: u32 = 8192;

#[derive(Debug)]
pub struct Database {
    pub url: String,
    pub pool: PgPool,
}

impl Database {
    /// A migrated one, with organizations and accounts but no invitation.
    pub async fn create(server: &str, name: &str) -> Result<Self> {
        let (place, _) = server.rsplit_once('/').ok_or("the server's URL names no database")?;
        let administration = PgPool::connect(server).await?;
        administration.execute(sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}")))).await?;
        administration.close().await;
        let url = format!("{place}/{name}");
        migrations::run(&url).await?;
        let pool = PgPoolOptions::new().max_connections(1).connect(&url).await?;
        pool.execute(sqlx::raw_sql(include_str!("seed.sql"))).await?;
        sqlx::query("SELECT seed($1, $2)")
            .bind(i64::from(ORGANIZATIONS))
            .bind(i64::from(ACCOUNTS))
            .execute(&pool)
            .await?;
        Ok(Self { url, pool })
    }

    /// Offers for a measurement of AcceptInvitation, numbered from 0.
    pub async fn prepare(&self, scenario: Scenario) -> Result<()> {
        if scenario.method == Method::Create {
            return Ok(());
        }
        let organizations = scenario.organizations();
        sqlx::query("SELECT seed_offers($1, $2, $3, $4)")
            .bind(i64::from(scenario.run))
            .bind(i64::from(*organizations.start()))
            .bind(i64::from(organizations.end() - organizations.start() + 1))
            .bind(i64::from(ACCOUNTS))
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}
