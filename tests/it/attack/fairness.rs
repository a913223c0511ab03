//! What one caller may take from others: an attacker, a bystander of another tenant, and what the bystander gets.

mod calls;
