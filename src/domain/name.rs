//! Ids that people choose once, and the resource names that are made of them.

use std::fmt;

use uuid::Uuid;

use super::Timestamp;
use super::display_name::{NameFault, reserved_word};

/// What is wrong with a name; the text completes "{field} …".
pub const ID_RULE: &str = "must be 3 to 39 of a-z, 0-9 and -, start with a letter, not end in - and have no --";

fn is_id(text: &str) -> bool {
    (3..=39).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && !text.contains("--")
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $collection:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(String);

        impl $name {
            /// Takes an id of 3 to 39 characters; whether it is reserved is asked only when one is created.
            pub fn parse(text: &str) -> Option<Self> {
                is_id(text).then(|| Self(text.to_owned()))
            }

            /// Takes a resource name.
            pub fn from_name(name: &str) -> Option<Self> {
                name.strip_prefix(concat!($collection, "/")).and_then(Self::parse)
            }

            /// A value that the database holds, which was parsed before it was stored.
            pub fn stored(text: String) -> Self {
                Self(text)
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The resource name.
            pub fn name(&self) -> String {
                format!(concat!($collection, "/{}"), self.0)
            }

            /// Whether it may be registered by somebody to whom the operator has not granted it; `own` are the words of
            /// the deployment.
            pub fn check_reserved(&self, own: &[String]) -> Result<(), NameFault> {
                reserved_word(&self.0, own).map_or(Ok(()), |word| Err(NameFault::Reserved(word)))
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// A person's account: chosen once, permanent, never given to anyone else.
    Username,
    "accounts"
);
id!(
    /// An organization's slug, chosen once.
    OrganizationId,
    "organizations"
);

/// A `UUIDv7`: its order is the order of creation, as far as the clocks of the replicas agree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct InvitationId(pub Uuid);

impl InvitationId {
    /// Takes the canonical lower-case form only, so that one invitation has one name.
    pub fn parse(text: &str) -> Option<Self> {
        let id = Uuid::try_parse(text).ok()?;
        (id.hyphenated().to_string() == text).then_some(Self(id))
    }

    /// The least of those that are made at a time, which is before 1970 as in it.
    pub fn first_of(time: Timestamp) -> Self {
        let millis = u64::try_from(time.unix_timestamp_nanos().div_euclid(1_000_000)).unwrap_or(0);
        Self(Uuid::from_u128(u128::from(millis) << 80))
    }

    /// The resource name below its organization.
    pub fn name(self, organization: &OrganizationId) -> String {
        format!("{}/invitations/{}", organization.name(), self.0)
    }
}

impl fmt::Display for InvitationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The resource name of a member.
pub fn member_name(organization: &OrganizationId, username: &Username) -> String {
    format!("{}/members/{username}", organization.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_the_rule() {
        for good in ["abc", "a-b", "a1-2-3", &"a".repeat(39)] {
            assert!(Username::parse(good).is_some(), "{good}");
        }
        for bad in ["", "ab", "1ab", "-ab", "ab-", "a--b", "Abc", "a_b", "ábc", "a\0c", &"a".repeat(40)] {
            assert!(Username::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn reserved_names_can_be_read_but_not_registered() {
        let admin = Username::parse("admin").unwrap();
        assert!(admin.check_reserved(&[]).is_err());
        let acme = OrganizationId::parse("acme").unwrap();
        assert_eq!(acme.check_reserved(&[]), Ok(()));
        assert!(acme.check_reserved(&["acme".to_owned()]).is_err());
    }

    #[test]
    fn an_invitation_has_one_spelling() {
        let id = "01900000-0000-7000-8000-00000000000a";
        assert!(InvitationId::parse(id).is_some());
        assert!(InvitationId::parse(&id.to_uppercase()).is_none());
        assert!(InvitationId::parse(&id.replace('-', "")).is_none());
    }
}
