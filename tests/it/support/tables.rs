//! What stands in the database, to be compared before and after a call.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use sqlx::AssertSqlSafe;

use super::{PATIENCE, Service};

/// Every row of every table as text, but for the counters of limits and what the mail workers write.
#[derive(PartialEq, Eq)]
pub struct Tables(BTreeSet<String>);

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows", self.0.len())
    }
}

impl Tables {
    /// Fails with the rows that differ.
    #[track_caller]
    pub fn assert_same(&self, after: &Self, what: &str) {
        let gone = self.0.difference(&after.0).collect::<Vec<_>>();
        let new = after.0.difference(&self.0).collect::<Vec<_>>();
        assert!(gone.is_empty() && new.is_empty(), "{what} has written:\n- {gone:#?}\n+ {new:#?}");
    }
}

impl Service {
    /// What is there once no email is on its way.
    pub async fn tables(&self) -> Tables {
        self.mail_rests().await;
        let names: Vec<String> = sqlx::query_scalar(
            "SELECT tablename::text FROM pg_tables \
              WHERE schemaname = 'public' AND tablename NOT IN ('_sqlx_migrations', 'mail_turns', 'subject_limits')",
        )
        .fetch_all(self.pool())
        .await
        .unwrap();
        assert!(names.len() > 10, "the tables are there");
        let rows = names.iter().map(|name| {
            let row = match name.as_str() {
                // one that a worker holds may be dropped first and then be sent all the same
                "emails" => {
                    "(to_jsonb(t) - ARRAY['attempt', 'lease_until', 'answer', 'update_time', 'due_time', 'state']) \
                     || jsonb_build_object('dropped', t.state = 'DROPPED' AND t.attempt = 0)"
                }
                // reported again and again, whatever calls do
                "key_checks" => "to_jsonb(t) - 'seen_time'",
                _ => "to_jsonb(t)",
            };
            format!("SELECT '{name} ' || ({row})::text FROM {name} t")
        });
        let query = rows.collect::<Vec<_>>().join(" UNION ALL ");
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(self.pool()).await.unwrap();
        Tables(rows.into_iter().collect())
    }

    /// Waits until no email is due or held: from then on only calls change the outbox, while a worker that drops what
    /// has moved on would look like a call's doing.
    pub async fn mail_rests(&self) {
        let busy = async || -> bool {
            sqlx::query_scalar(
                "SELECT EXISTS (SELECT FROM emails WHERE state IN ('QUEUED', 'RETRYING') \
                                   AND (due_time <= now() OR lease_until IS NOT NULL))",
            )
            .fetch_one(self.pool())
            .await
            .unwrap()
        };
        let waiting = async {
            while busy().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("the mail workers come to an end");
    }

    /// What callers were charged so far; what is charged for emails comes and goes by itself.
    pub async fn charges(&self) -> i64 {
        let of_callers = "SELECT coalesce(sum(totals[1]), 0)::bigint FROM subject_limits WHERE subject ~ \
                          '^(wrong-code|wrong-account|invitation|organization|account-attempt|protection-change|change)/'";
        sqlx::query_scalar(of_callers).fetch_one(self.pool()).await.unwrap()
    }

    /// Lets that many minutes pass for everything that is counted in a window of time, in whole slots.
    pub async fn let_limits_pass(&self, minutes: i32) {
        for statement in [
            "UPDATE subject_limits SET bucket_time = bucket_time - make_interval(mins => $1), \
                    slot = slot - round($1 * 24 * 60 / extract(epoch FROM span))::bigint",
            "UPDATE organization_heads SET invitations_slot = invitations_slot - round($1 / 60.0)::bigint",
        ] {
            sqlx::query(statement).bind(minutes).execute(self.pool()).await.unwrap();
        }
    }

    /// The emails of an invitation in the order of their writing, as `KIND recipient`; reminders with the hours until
    /// they come due, withdrawn ones with `dropped`.
    pub async fn outbox(&self, invitation: &str) -> Vec<String> {
        let id = invitation.rsplit('/').next().unwrap();
        sqlx::query_scalar(
            "SELECT kind || ' ' || recipient \
                    || CASE WHEN kind LIKE '%\\_REMINDER' \
                            THEN ' in ' || round(extract(epoch FROM due_time - create_time) / 3600) || ' h' ELSE '' END \
                    || CASE WHEN state = 'DROPPED' THEN ' dropped' ELSE '' END \
               FROM emails WHERE invitation = $1::uuid ORDER BY create_time, kind LIKE '%\\_REMINDER', kind",
        )
        .bind(id)
        .fetch_all(self.pool())
        .await
        .unwrap()
    }
}
