//! Callers, as far as they share the calls in flight.

use crate::app::About;
use crate::domain::OrganizationId;
use crate::identity::Credential;

/// Whose share it is: who signed in, and for a service the organization that it acts for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::grpc) struct Who {
    pub(super) issuer: String,
    pub(super) subject: Vec<String>,
    pub(super) organization: Option<OrganizationId>,
}

impl Who {
    pub(in crate::grpc) fn of(credential: &Credential, about: &About) -> Self {
        match credential {
            Credential::User(person) => {
                Self { issuer: person.issuer.clone(), subject: person.subject.clone(), organization: None }
            }
            Credential::Service(service) => Self {
                issuer: service.issuer.clone(),
                subject: vec![service.subject.clone()],
                organization: about.organization.clone(),
            },
        }
    }
}
