//! Rows as columns: what an UNNEST statement takes.

use super::{Error, Result};
use crate::domain::{EmailAddress, OrganizationId, Role, Username};

/// One column of the rows, as an array parameter.
pub(super) fn column<R, T>(rows: &[R], value: impl Fn(&R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

pub(super) fn text(id: &OrganizationId) -> String {
    id.as_str().to_owned()
}

pub(super) fn key(address: &EmailAddress) -> String {
    address.key().to_owned()
}

pub(super) fn typed(address: &EmailAddress) -> String {
    address.typed().to_owned()
}

pub(super) fn role_name(role: Role) -> String {
    role.as_str().to_owned()
}

pub(super) fn username(username: &Username) -> String {
    username.as_str().to_owned()
}

/// Fails unless the statement hit every row that it was meant to.
pub(super) fn expect_rows(result: &sqlx::postgres::PgQueryResult, rows: usize, what: &'static str) -> Result<()> {
    if usize::try_from(result.rows_affected()) == Ok(rows) { Ok(()) } else { Err(Error::Stale(what)) }
}
