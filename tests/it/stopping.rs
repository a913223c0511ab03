//! The end of the process: in time whatever is away, and at once where it cannot go on.

mod away;
mod tasks;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use invitations::config::Settings;
use invitations::server::end_within;

use crate::support::{scratch, values_for};

/// With the defaults of both settings that count, `helm/values.yaml` leaves time enough; and the chart refuses values
/// with which it would not.
#[test]
fn the_grace_period_of_the_chart_is_longer_than_the_way_out() {
    let mut values = values_for("postgres://a@b/c", &scratch("grace"), SocketAddr::from(([127, 0, 0, 1], 25)), &[]);
    let counting = ["endpoint_delay_seconds", "drain_timeout_seconds"];
    values.retain(|(key, _)| !counting.contains(key));
    let settings = Settings::with_defaults(&values, &[]).unwrap();
    let (delay, drain) = (settings.calls.endpoint_delay_seconds, settings.calls.drain_timeout_seconds);
    let way_out = end_within(&settings);
    assert!(way_out > delay + drain);

    let helm = Path::new(env!("CARGO_MANIFEST_DIR")).join("helm");
    let read = |file: &str| fs::read_to_string(helm.join(file)).unwrap();
    let number = |text: &str, before: &str| {
        let (_, after) = text.split_once(before).unwrap_or_else(|| panic!("{before:?} is there"));
        let digits = after.trim_start().split(|c: char| !c.is_ascii_digit()).next().unwrap();
        Duration::from_secs(digits.parse().unwrap())
    };
    let grace = number(&read("values.yaml"), "\nterminationGracePeriodSeconds:");
    assert!(grace > way_out, "{grace:?} is not longer than {way_out:?}");
    let helpers = read("templates/_helpers.tpl");
    for (setting, default) in [("endpoint_delay_seconds", delay), ("drain_timeout_seconds", drain)] {
        assert_eq!(number(&helpers, &format!("\"{setting}\" | ternary $settings.{setting}")), default);
    }
    let rest = number(&helpers, "$wayOut := add $delay $drain");
    assert!(delay + drain + rest > way_out, "{rest:?} is too little for what comes after the drain");
}
