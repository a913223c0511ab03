//! The RPCs of the contract, as `build.rs` finds them in the protos.

include!(concat!(env!("OUT_DIR"), "/method.rs"));

impl Method {
    /// The name that a request id belongs to.
    pub fn name(self) -> &'static str {
        self.path().rsplit('/').next().unwrap_or_default()
    }

    /// Whether it changes nothing (AIP-131, AIP-132, AIP-231).
    pub fn is_read(self) -> bool {
        ["Get", "BatchGet", "List", "Watch"].iter().any(|verb| self.name().starts_with(verb))
    }

    /// Whether it answers with a page (AIP-132).
    pub fn is_list(self) -> bool {
        self.name().starts_with("List")
    }

    /// Reads [`Self::path`].
    pub fn of_path(path: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|method| method.path() == path)
    }
}
