//! `traceparent` as callers send it.

use super::super::TraceParent;

const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";

#[test]
fn it_is_read_and_written_the_same() {
    let read = TraceParent::parse(GIVEN).unwrap();
    assert_eq!((read.span_id, read.is_sampled), (0x00f0_67aa_0ba9_02b7, true));
    assert_eq!(read.to_string(), GIVEN);
    let unsampled = TraceParent::parse(&GIVEN.replace("-01", "-00")).unwrap();
    assert!(!unsampled.is_sampled && unsampled.trace_id == read.trace_id);
}

#[test]
fn later_versions_and_unknown_flags_are_read_by_what_is_known_of_them() {
    for later in [
        GIVEN.replacen("00-", "01-", 1),
        GIVEN.replacen("00-", "cc-", 1) + "-what-the-future-will-be-like",
        GIVEN.replace("-01", "-03"),
    ] {
        assert_eq!(TraceParent::parse(&later), TraceParent::parse(GIVEN), "{later}");
    }
}

#[test]
fn anything_else_is_none() {
    let zero_trace = GIVEN.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32));
    let zero_span = GIVEN.replace("00f067aa0ba902b7", &"0".repeat(16));
    for bad in [
        "",
        "-",
        "anna@example.com",
        &GIVEN[..54],
        &GIVEN.to_uppercase(),
        &format!("{GIVEN}-"),
        &format!("{GIVEN} "),
        &GIVEN.replacen("00-", "ff-", 1),
        &GIVEN.replacen("00-", "0-", 1),
        &GIVEN.replace("-01", "-+1"),
        &GIVEN.replace("0af7", "+af7"),
        &GIVEN.replace("0af7", "üa"),
        &zero_trace,
        &zero_span,
    ] {
        assert_eq!(TraceParent::parse(bad), None, "{bad}");
    }
}
