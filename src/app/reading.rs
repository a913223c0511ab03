//! How the pool is read from.

/// Reads over a connection of a pool; once more over another one where it breaks, as it may have been dead before. The
/// second expression is run up to twice, so it must write nothing.
///
/// No closure lends a connection and what its caller has borrowed to one future that can be sent (rust-lang/rust#100013).
macro_rules! read {
    ($pool:expr, $connection:ident, $reading:expr) => {{
        let mut $connection = $pool.acquire().await?;
        match $reading.await {
            Err(error) if $crate::store::Error::breaks_connection(&error) => {
                drop($connection);
                $pool.doubt();
                let mut $connection = $pool.acquire().await?;
                $reading.await
            }
            read => read,
        }
    }};
}

pub(super) use read;
