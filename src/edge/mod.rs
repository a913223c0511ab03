//! What every way in has in common, whatever protocol it speaks.

pub mod problem;
