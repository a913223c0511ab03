//! How long what is over is kept. A group of its own, because `migrate` has to know of the events.

use std::time::Duration;

use clap::Args;

use super::values::{self, Age};

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Retention")]
pub struct Retention {
    /// Days that an email is kept after it was sent, given up or dropped, up to 36500; 0 keeps it for ever. Then it is
    /// deleted, and no longer among the `deliveries` of its invitation.
    #[arg(long, value_name = "DAYS", default_value = "0", value_parser = values::age)]
    pub emails_retention_days: Age,

    /// Days that an invitation keeps its addresses after its end, up to 36500; 0 keeps them as long as the invitation.
    /// Then `email`, `account_email` and `annotations` are empty, and so are the recipients of its emails; those that
    /// were not sent yet are dropped.
    #[arg(long, value_name = "DAYS", default_value = "0", value_parser = values::age)]
    pub invitation_addresses_retention_days: Age,

    /// Days that an invitation is kept after its end, up to 36500; 0 keeps it for ever. Then it is deleted with its
    /// emails; its events stay.
    #[arg(long, value_name = "DAYS", default_value = "0", value_parser = values::age)]
    pub invitations_retention_days: Age,

    /// Days that an event is kept, up to 36500; 0 keeps it for ever. The oldest of an organization go first, and the
    /// positions of the others stay. `migrate` has to know this as well: with `database_service_role` it gives the
    /// service the right to delete events of that age, and of no other.
    #[arg(long, value_name = "DAYS", default_value = "0", value_parser = values::age)]
    pub events_retention_days: Age,

    /// Days from DeleteAccount until the account's addresses are erased from ended invitations and from emails, 0 to
    /// 365. 0: within the hour.
    #[arg(long, value_name = "DAYS", default_value = "30", value_parser = values::days(0..=365))]
    pub erasure_delay_days: Duration,
}
