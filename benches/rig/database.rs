//! A database of the private server, with what the calls find.

use invitations::domain::{InvitationId, InvitationState};
use invitations::store::migrations;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Executor, PgPool};

use super::calls::invitation_id;
use super::{Method, People, Result, Scenario};

/// Number 0 is the hot one, the others are for calls that are spread.
pub const ORGANIZATIONS: u32 = 1001;
/// Who may invite to the hot organization.
pub const INVITERS: u32 = 512;
/// The most rows of one measurement, each for another account.
pub const ACCOUNTS: u32 = 16_384;
/// Invitations of each organization that stay as they are, to be read, and the number that stands in their ids.
pub const STANDING: u32 = 64;
pub const STANDING_RUN: u16 = u16::MAX;

#[derive(Debug)]
pub struct Database {
    pub url: String,
    pub pool: PgPool,
}

impl Database {
    /// A migrated one, with organizations and accounts but no invitation.
    pub async fn create(server: &str, name: &str) -> Result<Self> {
        let url = Self::create_empty(server, name).await?;
        migrations::run(&url).await?;
        let pool = PgPoolOptions::new().max_connections(1).connect(&url).await?;
        pool.execute(sqlx::raw_sql(include_str!("seed.sql"))).await?;
        sqlx::query("SELECT seed($1, $2, $3)")
            .bind(i64::from(ORGANIZATIONS))
            .bind(i64::from(INVITERS))
            .bind(i64::from(ACCOUNTS))
            .execute(&pool)
            .await?;
        Ok(Self { url, pool })
    }

    /// One without anything; its URL.
    pub async fn create_empty(server: &str, name: &str) -> Result<String> {
        let (place, _) = server.rsplit_once('/').ok_or("the server's URL names no database")?;
        let administration = PgPool::connect(server).await?;
        administration.execute(sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}")))).await?;
        administration.close().await;
        Ok(format!("{place}/{name}"))
    }

    /// What `count` calls need, numbered from 0, in place of what earlier ones have left.
    pub async fn prepare(&self, scenario: Scenario, count: u32, people: &People) -> Result<()> {
        let state = match scenario.method {
            Method::Request => InvitationState::Invited,
            Method::Offer => InvitationState::AccessRequested,
            Method::Accept => InvitationState::Offered,
            Method::Create | Method::Get | Method::List => return Ok(()),
        };
        sqlx::query("SELECT forget_invitations()").execute(&self.pool).await?;
        self.seed(scenario, "account", state, count, people).await
    }

    /// What Get and List read.
    pub async fn prepare_reads(&self, people: &People) -> Result<()> {
        let scenario = Scenario { method: Method::Get, spread: super::Spread::Many, run: STANDING_RUN };
        let count = STANDING * (ORGANIZATIONS - 1);
        self.seed(scenario, "guest", InvitationState::Invited, count, people).await
    }

    async fn seed(
        &self,
        scenario: Scenario,
        who: &str,
        state: InvitationState,
        count: u32,
        people: &People,
    ) -> Result<()> {
        let organizations = scenario.organizations();
        let hash = |n| people.code(InvitationId(invitation_id(scenario.run, n))).hash().to_vec();
        sqlx::query("SELECT seed_invitations($1, $2, $3, $4, $5, $6)")
            .bind(i64::from(scenario.run))
            .bind(who)
            .bind(state.as_str())
            .bind(i64::from(*organizations.start()))
            .bind(i64::from(organizations.end() - organizations.start() + 1))
            .bind((0..count).map(hash).collect::<Vec<_>>())
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}
