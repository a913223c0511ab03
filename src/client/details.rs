//! What a failed call says for programs.

use std::collections::HashMap;
use std::time::Duration;

use prost::Message;
use tonic::Status;
use tonic_types::pb::{BadRequest, ErrorInfo, RetryInfo, Status as RichStatus};

use crate::pb::ErrorReason;

/// The details of a status. Empty where it is not from the service.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Details {
    /// `None` also for a reason that a newer service sends: treat it by the status's code.
    pub reason: Option<ErrorReason>,
    /// What the reason is about, such as the name of a resource.
    pub metadata: HashMap<String, String>,
    /// All bad fields of the request.
    pub fields: Vec<BadField>,
    /// How long to wait before the call is repeated, where waiting helps.
    pub retry_after: Option<Duration>,
}

/// A field of the request that has to be corrected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadField {
    /// Its path: `invitation.email`.
    pub field: String,
    /// For programs.
    pub reason: String,
    /// What it has to be, for people.
    pub rule: String,
}

impl From<&Status> for Details {
    fn from(status: &Status) -> Self {
        Self::from(&RichStatus::decode(status.details()).unwrap_or_default())
    }
}

/// Of one row of a batch.
impl From<&RichStatus> for Details {
    fn from(rich: &RichStatus) -> Self {
        let info = find::<ErrorInfo>(rich, "ErrorInfo").unwrap_or_default();
        let bad = find::<BadRequest>(rich, "BadRequest").unwrap_or_default().field_violations.into_iter();
        let wait = find::<RetryInfo>(rich, "RetryInfo").and_then(|retry| retry.retry_delay);
        Self {
            reason: ErrorReason::from_str_name(&info.reason),
            metadata: info.metadata,
            fields: bad.map(|bad| BadField { field: bad.field, reason: bad.reason, rule: bad.description }).collect(),
            retry_after: wait.and_then(|wait| wait.try_into().ok()),
        }
    }
}

/// By its name in `google.rpc`.
fn find<D: Message + Default>(rich: &RichStatus, name: &str) -> Option<D> {
    let detail = rich
        .details
        .iter()
        .find(|detail| detail.type_url.strip_suffix(name).is_some_and(|url| url.ends_with("/google.rpc.")))?;
    D::decode(&*detail.value).ok()
}
