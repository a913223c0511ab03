//! Whom to ask.

use std::fs;
use std::path::Path;

use http::Uri;

use super::token::Token;
use crate::domain::OrganizationId;

/// One organization at one service.
#[derive(Clone, Debug)]
pub struct Target {
    /// `https://invitations.example.com`, without anything behind it.
    pub(super) endpoint: String,
    organization: OrganizationId,
    pub(super) token: Token,
    /// PEM; `None`: what the machine trusts.
    pub(super) roots: Option<String>,
}

impl Target {
    /// `organization` is `contoso` or `organizations/contoso`. A token in plain text goes to this machine only, unless
    /// `allows_plain_text`.
    pub fn new(
        endpoint: &str,
        organization: &str,
        token: Token,
        ca_file: Option<&Path>,
        allows_plain_text: bool,
    ) -> Result<Self, String> {
        let id = organization.strip_prefix("organizations/").unwrap_or(organization);
        let organization =
            OrganizationId::parse(id).ok_or("--organization must be an organization's name, such as contoso")?;
        let roots = ca_file.map(|path| {
            let why = |error| format!("--ca-file {} cannot be read: {error}", path.display());
            fs::read_to_string(path).map_err(why)
        });
        Ok(Self { endpoint: checked(endpoint, allows_plain_text)?, organization, token, roots: roots.transpose()? })
    }

    /// The organization's resource name.
    pub(super) fn parent(&self) -> String {
        self.organization.name()
    }
}

fn checked(endpoint: &str, allows_plain_text: bool) -> Result<String, String> {
    let form = "--endpoint must be a URL such as https://invitations.example.com or http://127.0.0.1:50051";
    let uri = endpoint.trim_end_matches('/').parse::<Uri>().map_err(|_| form)?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(form.to_owned()) };
    if !["http", "https"].contains(&scheme) || uri.path_and_query().is_some_and(|path| path.as_str() != "/") {
        return Err(form.to_owned());
    }
    let host = authority.host().trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if scheme == "http" && !is_here && !allows_plain_text {
        let why = "anybody on the way could read the token and the addresses";
        return Err(format!("{endpoint} is not encrypted: {why}. Use https, or say --plain-text if that is all right"));
    }
    Ok(format!("{scheme}://{}", authority.as_str().to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_organization_is_called_by_its_resource_name() {
        for name in ["contoso", "organizations/contoso"] {
            let token = Token::Text("x".to_owned().into());
            let target = Target::new("http://localhost", name, token, None, false).unwrap();
            assert_eq!(target.parent(), "organizations/contoso");
        }
        let token = Token::Text("x".to_owned().into());
        assert!(Target::new("http://localhost", "Contoso", token, None, false).is_err());
    }

    #[test]
    fn plain_text_stays_on_this_machine() {
        for here in ["http://localhost:50051", "http://127.0.0.1:50051", "http://[::1]:50051/", "http://127.9.9.9"] {
            assert_eq!(checked(here, false).unwrap(), here.trim_end_matches('/'), "{here}");
        }
        assert_eq!(checked("https://Invitations.example.com/", false).unwrap(), "https://invitations.example.com");
        for out in ["http://invitations.example.com", "http://10.0.0.1:50051", "http://127.0.0.1.evil.example"] {
            assert!(checked(out, false).unwrap_err().contains("--plain-text"), "{out}");
            assert!(checked(out, true).is_ok(), "{out}");
        }
        for bad in
            ["", "localhost:50051", "invitations.example.com", "ftp://x.example", "https://x.example/v1", "https://"]
        {
            assert!(checked(bad, true).unwrap_err().starts_with("--endpoint must be a URL"), "{bad}");
        }
    }
}
