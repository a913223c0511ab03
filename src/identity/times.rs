//! When a token is good.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error};

/// The longest life of a token, `exp − iat`, in seconds: a token cannot be called back.
const MAX_LIFETIME: i64 = 24 * 60 * 60;
/// The last second of the year 9999. What is later counts milliseconds, or nothing.
const MAX_DATE: f64 = 253_402_300_799.0;

/// Seconds since 1970 as RFC 7519 has them (section 2): any JSON number. Its fraction is ignored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NumericDate(pub i64);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?.trunc();
        if !(0.0..=MAX_DATE).contains(&seconds) {
            return Err(D::Error::custom("no time from 1970 to 9999"));
        }
        #[expect(clippy::cast_possible_truncation, reason = "whole and in range")]
        Ok(Self(seconds as i64))
    }
}

/// From when to when, in seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub exp: i64,
    pub iat: i64,
    pub nbf: Option<i64>,
}

impl Times {
    /// How long ago it was issued.
    pub fn age(self, now: i64) -> Duration {
        Duration::from_secs(u64::try_from(now - self.iat).unwrap_or(0))
    }

    /// `leeway` is by how many seconds the issuer's clock and ours may differ.
    pub fn check(self, now: i64, leeway: u8) -> Result<(), &'static str> {
        let (Self { exp, iat, nbf }, leeway) = (self, i64::from(leeway));
        if iat > now + leeway {
            Err("issued in the future")
        } else if exp <= now - leeway {
            Err("expired")
        } else if nbf.is_some_and(|nbf| nbf > now + leeway) {
            Err("not yet valid")
        } else if exp - iat > MAX_LIFETIME {
            Err("lives longer than 24 h")
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::identity::claims::Claims;

    fn times(more: &Value) -> Result<Times, &'static str> {
        let mut all = json!({"exp": 2000, "iat": 1000});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Claims::deserialize(&all).unwrap().times()
    }

    #[test]
    fn each_limit_of_time_holds_to_the_second() {
        let check = |more: Value, now| times(&more).unwrap().check(now, 30);
        assert_eq!(check(json!({}), 2029), Ok(()));
        assert_eq!(check(json!({}), 2030), Err("expired"));
        assert_eq!(check(json!({}), 970), Ok(()));
        assert_eq!(check(json!({}), 969), Err("issued in the future"));
        assert_eq!(check(json!({"nbf": 1530}), 1500), Ok(()));
        assert_eq!(check(json!({"nbf": 1531}), 1500), Err("not yet valid"));
        assert_eq!(check(json!({"exp": 1000 + 86_400}), 1500), Ok(()));
        assert_eq!(check(json!({"exp": 1001 + 86_400}), 1500), Err("lives longer than 24 h"));
        assert_eq!(check(json!({"iat": 0, "exp": 253_402_300_799_i64}), 1500), Err("lives longer than 24 h"));
        assert_eq!(times(&json!({})).unwrap().check(2000, 0), Err("expired"));
        assert_eq!(times(&json!({})).unwrap().check(2059, 60), Ok(()));
    }

    #[test]
    fn a_time_is_any_json_number_and_its_fraction_is_ignored() {
        for (written, seconds) in [
            ("1795940998", 1_795_940_998),
            ("1795940998.864", 1_795_940_998),
            ("1795940998.999999", 1_795_940_998),
            ("1795940998.0", 1_795_940_998),
            ("1.795940998E9", 1_795_940_998),
            ("17959409988e-1", 1_795_940_998),
            ("0", 0),
            ("-0.5", 0),
            ("253402300799.9", 253_402_300_799),
        ] {
            let date = serde_json::from_str::<Value>(written).unwrap();
            assert_eq!(NumericDate::deserialize(date).unwrap(), NumericDate(seconds), "{written}");
        }
    }

    #[test]
    fn a_time_that_cannot_be_is_named() {
        let absurd =
            [json!(-1), json!(i64::MIN), json!(253_402_300_800_i64), json!(1_795_940_998_864_i64), json!(1e300)];
        let others = [json!("1795940998"), json!(true), json!([1000]), json!({}), json!(u64::MAX)];
        for odd in absurd.into_iter().chain(others) {
            for (claim, why) in [
                ("exp", "its claim exp is missing or no time in seconds since 1970"),
                ("iat", "its claim iat is missing or no time in seconds since 1970"),
                ("nbf", "its claim nbf is no time in seconds since 1970"),
            ] {
                assert_eq!(times(&json!({claim: odd})).unwrap_err(), why, "{odd}");
            }
        }
        assert_eq!(
            times(&json!({"exp": null})).unwrap_err(),
            "its claim exp is missing or no time in seconds since 1970"
        );
        assert!(times(&json!({"nbf": null})).is_ok());
    }
}
