//! One email that stands for several notices.

use minijinja::{Value, context};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::store::outbox::{Facts, Held};

/// So many are shown one by one; of the others it says how many they are.
pub const SHOWN: usize = 50;

/// What the template may name: what any email has, and a list of what each notice has, with its `kind`.
pub fn values(common: Value, shown: impl Iterator<Item = Value>, notices: &[(&Held, &Facts)]) -> Value {
    let kinds = notices.iter().map(|(held, _)| held.kind.as_str().to_ascii_lowercase());
    let list = shown.zip(kinds).map(|(values, kind)| context! { kind, ..values }).collect::<Vec<_>>();
    context! { count => notices.len(), further => notices.len() - list.len(), notices => list, ..common }
}

/// The same whenever it stands for the same ones, so that a mail program recognizes a repetition.
pub fn id(notices: &[(&Held, &Facts)]) -> Uuid {
    let mut ids = notices.iter().map(|(held, _)| held.id).collect::<Vec<_>>();
    ids.sort_unstable();
    let hash = ids.iter().fold(Sha256::new(), |hash, id| hash.chain_update(id.as_bytes())).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
