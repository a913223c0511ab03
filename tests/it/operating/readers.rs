//! The connections for reads write nothing, so they may be repeated where they break.

use invitations::store::connection::Own;
use invitations::store::pool::Purpose;
use sqlx::PgConnection;

use super::{CHARGING, calls};
use crate::support::Service;

/// Refuses whatever is written over a connection for reads, in every table.
const GUARD: &str = "
CREATE FUNCTION refuse_readers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('application_name') = 'invitations read' THEN
    RAISE EXCEPTION 'written by a reader';
  END IF;
  RETURN NULL;
END $$;
DO $$
DECLARE name text;
BEGIN
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
    EXECUTE format('CREATE TRIGGER readers BEFORE INSERT OR UPDATE OR DELETE ON %I
                    FOR EACH STATEMENT EXECUTE FUNCTION refuse_readers()', name);
  END LOOP;
END $$";

#[tokio::test]
async fn nothing_is_written_over_the_connections_for_reads() {
    let settings = [&CHARGING[..], &[("sweep_interval_seconds", "1")]].concat();
    let service = Service::start_with(&settings, invitations::dev::mailbox::Script::accept_all()).await;
    sqlx::raw_sql(GUARD).execute(service.pool()).await.unwrap();
    let owner = service.owner("olga", "acme").await;
    let (anna, offered) = service.offered(&owner, "acme", "anna", "CONTRIBUTOR").await;
    anna.accept(&offered.name).await.unwrap();
    // a newer token attests other addresses
    service.signed_in_later("anna", 5, "anna@new.example").get(&offered.name).await.unwrap();
    let expiring = owner.invite("acme", "late@example.com").await.unwrap();
    service.let_expire(&expiring.name).await;
    for (call, code) in calls(&service, &owner, 0).await {
        assert_eq!(code, tonic::Code::Ok, "{call}");
    }
    let expired = "SELECT count(*) FROM events WHERE kind = 'EXPIRED'";
    crate::races::until(service.pool(), expired, |expired| expired == 1).await;

    // the control: a reader that writes is refused
    let mut reader = Own::new(&service.database.url, Purpose::Read).unwrap();
    let write = async |connection: &mut PgConnection| {
        Ok(sqlx::query("DELETE FROM request_ids").execute(connection).await.map(drop)?)
    };
    reader.run(write).await.unwrap_err();
    let mut writer = Own::new(&service.database.url, Purpose::Write).unwrap();
    writer.run(write).await.unwrap();
}
