//! Requests that no client would send: made up from the contract or of any bytes, in HTTP that may be odd, too.
//!
//! The fuzz target in `fuzz/` includes this folder and `support`, and nothing else of the tests.

mod contract;
mod dice;
mod odd;
mod wire;

use invitations::domain::Scope;
use tonic::{Code, Status};

use self::contract::Contract;
use self::dice::Dice;
pub use self::wire::{Connection, Request};
use crate::support::Service;

/// How many requests a world is good for: after more of them its people have left and its invitations are closed.
pub const LIFETIME: usize = 2_000;
/// How many of the bytes that decide are for all but the message.
const OUTER: usize = 48;

/// Who can call, and what there is to be named.
pub struct World {
    contract: Contract,
    tokens: Vec<Option<String>>,
}

impl World {
    /// An organization and people of its own; `number` tells it from the other worlds of a service.
    pub async fn new(service: &Service, number: usize) -> Self {
        // twice, or a word of one world with a bit flipped would be the name of somebody in a later one
        let named = |name: &str| format!("{name}{number}x{number}");
        let address = |name: &str| format!("{}@example.com", named(name));
        let [acme, olga, anna, ben, carl] = ["acme", "olga", "anna", "ben", "carl"].map(named);

        let owner = service.owner(&olga, &acme).await;
        let (requester, first) = service.requested(&owner, &acme, &anna).await;
        let (invitee, second) = service.offered(&owner, &acme, &ben, "READER").await;
        let member = service.member(&owner, &acme, &carl, "MANAGER").await;
        let third = owner.invite(&acme, &address("dora")).await.unwrap();

        let mut words = WORDS.map(str::to_owned).to_vec();
        for name in [&olga, &anna, &ben, &carl] {
            let member = format!("organizations/{acme}/members/{name}");
            words.extend([name.clone(), format!("accounts/{name}"), format!("{name}@example.com"), member]);
        }
        words.extend(BELOW.map(|name| format!("organizations/{acme}/{name}")));
        words.extend([named("emil"), address("emil"), address("dora"), service.code_to(&address("dora"), 1).await]);
        for invitation in [first, second, third] {
            // what is there is named more often than what is not
            words.extend([invitation.name.clone(), invitation.name, invitation.etag]);
        }
        words.extend([format!("organizations/{acme}"), acme]);

        let gateway = service.service(&named("gateway"), &Scope::ALL.map(Scope::as_str));
        // those with most rights call most
        let callers = [&owner, &owner, &owner, &owner, &gateway, &gateway, &member, &member, &requester, &invitee];
        let mut tokens = callers.map(|caller| Some(caller.token.clone())).to_vec();
        let odd = [
            service.stranger(&named("emil"), &address("emil")),
            service.entra_stranger(&named("erik"), &address("erik")),
            service.unverified(&named("ute"), &address("dora")),
            service.service(&named("powerless"), &[]),
        ];
        tokens.extend(odd.into_iter().map(|caller| Some(caller.token)));
        tokens.extend([Some(service.forged("expired", &olga, &address("olga"))), None]);
        Self { contract: Contract::new(words), tokens }
    }

    /// Three of four requests hold what the contract has made of the bytes, of these one in six damaged; the others hold
    /// the bytes as they are.
    pub fn request(&self, bytes: &[u8]) -> Request {
        let (outer, inner) = bytes.split_at(bytes.len().min(OUTER));
        let (mut outer, mut inner) = (Dice::new(outer), Dice::new(inner));
        let token = outer.one_of(&self.tokens).as_deref();
        let method = self.contract.method(&mut outer);
        let kind = outer.byte() % 8;
        let mut message = if kind > 5 { inner.rest().to_vec() } else { self.contract.message(&mut inner, method) };
        if kind == 5 && !message.is_empty() {
            for _ in 0..=outer.byte() % 3 {
                let at = outer.below(message.len());
                message[at] ^= 1 << (outer.byte() % 8);
            }
        }
        let mut request = Request::new(&method.path, token, &message);
        odd::make(&mut outer, &mut request);
        request
    }
}

/// What no request may bring about.
pub fn is_own_fault(status: &Status) -> bool {
    matches!(status.code(), Code::Internal | Code::Unknown | Code::DataLoss)
}

/// Below an organization, where there is nothing but `me`.
const BELOW: [&str; 4] = [
    "members/me",
    "invitations/00000000-0000-0000-0000-000000000000",
    "invitations/0191e0a0-0000-7000-8000-000000000001",
    "invitations/ffffffff-ffff-ffff-ffff-ffffffffffff",
];

const WORDS: [&str; 17] = [
    "organizations/umbrella",
    "accounts/me",
    "umbrella",
    "new@example.com",
    "The acme people",
    "en",
    "de-AT",
    "display_name",
    "policy",
    "role",
    "*",
    "policy.approval_role",
    "example.com",
    "github",
    // the etag of what was never changed
    "b40711a88c703975",
    "7d9bd3a2-3c0e-4fd0-9d2b-0a3a1f0a8b11",
    "0191e0a0-0000-7000-8000-000000000001",
];
