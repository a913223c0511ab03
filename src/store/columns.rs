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

/// Numbers as one value of a column of lists: arrays in an array would be one array.
pub(super) fn listed(numbers: &[i64]) -> String {
    numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(",")
}

/// The one owner of all these rows, as a parameter that may be NULL, which is no condition at all. A distributed database
/// then asks one node instead of all. It is made of the very rows that the statement is for, so that none is missed.
pub(super) fn only<'a>(owners: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut owners = owners.into_iter();
    let first = owners.next()?;
    owners.all(|owner| owner == first).then_some(first)
}

/// Fails unless the statement hit every row that it was meant to.
pub(super) fn expect_rows(result: &sqlx::postgres::PgQueryResult, rows: usize, what: &'static str) -> Result<()> {
    if usize::try_from(result.rows_affected()) == Ok(rows) { Ok(()) } else { Err(Error::Stale(what)) }
}

#[cfg(test)]
mod tests {
    use super::only;

    #[test]
    fn there_is_no_only_owner_of_nothing_and_none_of_several() {
        assert_eq!(only([]), None);
        assert_eq!(only(["acme", "acme"]), Some("acme"));
        // the first and the last alone do not say it
        for several in [&["acme", "beta"][..], &["acme", "beta", "acme"], &["acme", "acme", "beta"]] {
            assert_eq!(only(several.iter().copied()), None, "{several:?}");
        }
    }
}
