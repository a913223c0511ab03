//! pending

/// pending
pub fn sentence(_: &str) -> &'static str {
    ""
}
