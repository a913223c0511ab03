//! Which keys were used with this database, so that another secret under a known name is noticed at the start: with it,
//! whoever wants no email would get some, and reminders would carry dead codes. And which code keys some replica has at
//! present.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::PgConnection;

use super::columns::column;
use super::{Result, interval};
use crate::domain::{AddressKey, CodeKeys, Timestamp};

/// A code key that no replica has reported for so long is gone.
pub const GONE_AFTER: Duration = Duration::from_mins(10);

/// A key by its name, and what tells its secret from another one.
#[derive(Clone, Debug)]
struct Key {
    kind: &'static str,
    id: String,
    value: [u8; 8],
}

/// A key that is not the one of before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Changed {
    /// The one of that id.
    CodeKey(String),
    /// The only one, whatever its id.
    AddressKey,
}

/// Remembers keys that are new here, and says whether one has changed. A key may be missing, or known to one replica
/// only: that is how keys are added and removed.
pub async fn changed(
    connection: &mut PgConnection,
    code_keys: &CodeKeys,
    address_key: &AddressKey,
) -> Result<Option<Changed>> {
    let code_keys = code_keys.all().iter();
    let mut keys =
        code_keys.map(|key| Key { kind: "code", id: key.id.clone(), value: key.check_value() }).collect::<Vec<_>>();
    keys.push(Key { kind: "address", id: String::new(), value: address_key.check_value() });
    let mut known = known(connection).await?;
    let is_known = |known: &[Known], key: &Key| known.iter().any(|known| known.is_of(key));
    let new = keys.iter().filter(|key| !is_known(&known, key)).cloned().collect::<Vec<_>>();
    if !new.is_empty() {
        insert(connection, &new).await?;
        // another replica may have come first
        known = self::known(connection).await?;
    }
    let has_changed = |key: &&Key| known.iter().any(|known| known.is_of(key) && known.check_value != key.value);
    Ok(keys.iter().find(has_changed).map(|key| match key.kind {
        "code" => Changed::CodeKey(key.id.clone()),
        _ => Changed::AddressKey,
    }))
}

struct Known {
    kind: String,
    key_id: String,
    check_value: Vec<u8>,
}

impl Known {
    fn is_of(&self, key: &Key) -> bool {
        self.kind == key.kind && self.key_id == key.id
    }
}

async fn known(connection: &mut PgConnection) -> Result<Vec<Known>> {
    let known = sqlx::query_as!(Known, "SELECT kind, key_id, check_value FROM key_checks");
    Ok(known.fetch_all(connection).await?)
}

/// Whoever comes second in a race writes nothing.
async fn insert(connection: &mut PgConnection, keys: &[Key]) -> Result<()> {
    sqlx::query!(
        "INSERT INTO key_checks (kind, key_id, check_value) SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[]) \
         ON CONFLICT ON CONSTRAINT key_checks_pkey DO NOTHING",
        &column(keys, |key| key.kind.to_owned()),
        &column(keys, |key| key.id.clone()),
        &column(keys, |key| key.value.to_vec()),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Since when this database knows each code key, by its id.
pub async fn ages(connection: &mut PgConnection) -> Result<HashMap<String, Timestamp>> {
    let ages = sqlx::query!("SELECT key_id, create_time FROM key_checks WHERE kind = 'code'");
    Ok(ages.fetch_all(connection).await?.into_iter().map(|row| (row.key_id, row.create_time)).collect())
}

/// Reports that a replica has that code key. Of many replicas one is enough.
pub async fn report(connection: &mut PgConnection, key_id: &str) -> Result<()> {
    sqlx::query!(
        "UPDATE key_checks SET seen_time = now() \
          WHERE kind = 'code' AND key_id = $1 AND now() - seen_time > interval '30 seconds'",
        key_id,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether some replica has that code key.
pub async fn is_held(connection: &mut PgConnection, key_id: &str) -> Result<bool> {
    let is_held = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM key_checks WHERE kind = 'code' AND key_id = $1
                             AND now() - seen_time < $2) AS "is_held!""#,
        key_id,
        interval(GONE_AFTER),
    );
    Ok(is_held.fetch_one(connection).await?)
}
