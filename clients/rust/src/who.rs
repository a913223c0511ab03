//! Where the service is and who calls: what `invitations dev` and `invitations token` print.

use std::env;

#[derive(Debug)]
pub struct Who {
    pub url: String,
    pub owner_token: String,
    pub person_token: String,
    pub email: String,
    pub username: String,
    pub mailbox: String,
}

impl Who {
    pub fn from_environment() -> Result<Self, String> {
        let needed = |name: &str| env::var(name).map_err(|_| format!("set {name} (README.md says how)"));
        Ok(Self {
            url: format!("http://{}", needed("IPMHUB_ADDRESS")?),
            owner_token: needed("IPMHUB_OWNER_TOKEN")?,
            person_token: needed("IPMHUB_PERSON_TOKEN")?,
            email: needed("IPMHUB_PERSON_EMAIL")?,
            username: needed("IPMHUB_PERSON_USERNAME")?,
            mailbox: needed("IPMHUB_MAILBOX")?,
        })
    }
}
