//! The seven steps against a running service, and a call that fails.

use std::error::Error;

use invitations::client::{Client, Details};
use invitations_client_example::{Who, invite, seven_steps};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let who = Who::from_environment()?;
    let owner = Client::connect(&who.url, &who.owner_token)?;
    let person = owner.with_token(&who.person_token)?;

    let member = seven_steps(&owner, &person, &who).await?;
    println!("{} is a member with the role {}", member.name, member.role().as_str_name());

    // two fields at once are wrong
    if let Err(status) = owner.invitations().create_invitation(invite("acme", "no address")).await {
        let details = Details::from(&status);
        let reason = details.reason.map_or("no reason that this program knows", |reason| reason.as_str_name());
        println!("{:?}, {reason}: {}", status.code(), status.message());
        for bad in details.fields {
            println!("  {} {}: {}", bad.field, bad.reason, bad.rule);
        }
        if let Some(wait) = details.retry_after {
            println!("  try again in {wait:?}");
        }
    }
    Ok(())
}
