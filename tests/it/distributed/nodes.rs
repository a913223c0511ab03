//! Readiness, where a part of the calls needs a node that is away.

use std::sync::Arc;

use invitations::app::{App, Connections, Limits};
use invitations::store::pool::{DatabaseUrl, Engine};
use invitations::tasks::Tasks;

use crate::races::deployment;
use crate::support::Database;

#[tokio::test]
async fn readiness_asks_for_the_tables_of_each_kind_of_owner() {
    let database = Database::create().await;
    for (engine, needs_all) in [(Engine::Distributed, true), (Engine::Single, false)] {
        let url = DatabaseUrl::from(&database.service_url).with(engine);
        let connections = Connections::open(url, 2, 2).unwrap();
        let app = App::start(connections, deployment(), Limits::default(), Tasks::default(), &Arc::default());
        assert!(app.is_ready().await);
        for table in ["organization_heads", "accounts", "identities", "subject_limits"] {
            database.execute(&format!("ALTER TABLE {table} RENAME TO away")).await;
            assert_eq!(app.is_ready().await, !needs_all, "{table}");
            database.execute(&format!("ALTER TABLE away RENAME TO {table}")).await;
            assert!(app.is_ready().await);
        }
    }
}
