//! Filters of lists and streams: a subset of AIP-160, from text to restrictions that an RPC's table of fields reads.
//!
//! ```text
//! filter      = factor { AND factor }
//! factor      = term { OR term }                    the terms restrict one field, by = or :
//! term        = restriction | "(" filter ")"
//! restriction = path comparator ( value | "(" value { OR value } ")" )
//! path        = word { "." ( word | quoted ) }
//! comparator  = "=" | "<" | "<=" | ">" | ">=" | ":"
//! value       = word | quoted                       in quotes, \" and \\ stand for these signs
//! ```
//!
//! As in AIP-160, OR binds closer than AND. Everything else of AIP-160 is refused by name: what can be searched has an index.

mod conjunction;
mod fault;
mod parser;
mod scanner;
#[cfg(test)]
mod tests;

pub use conjunction::{Comparator, Restriction, Value, set_once};
pub use fault::FilterFault;
pub use parser::parse_filter;
