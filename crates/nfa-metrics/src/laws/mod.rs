//! The known laws: one file and one line each.

use crate::laws::law::Laws;

pub mod absent;
pub mod balance;
pub mod bfact;
pub mod columns;
pub mod crh;
pub mod enfa;
pub mod fact;
pub mod fact_averaged;
pub mod law;
pub mod needs;
pub mod nfa;
pub mod nfa_centered;
pub mod product;
pub mod quantity;
pub mod stationary;
pub mod virtual_covariance;

/// Every built-in law.
pub fn laws() -> Laws {
    Laws::default()
        .with(nfa::LAW)
        .with(nfa_centered::LAW)
        .with(fact::LAW)
        .with(bfact::LAW)
        .with(fact_averaged::LAW)
        .with(enfa::LAW)
        .with(virtual_covariance::LAW)
        .with(crh::RW_BEFORE)
        .with(crh::GW_BEFORE)
        .with(crh::RG_BEFORE)
        .with(crh::RW_BEHIND)
        .with(crh::GW_BEHIND)
        .with(crh::RG_BEHIND)
        .with(balance::LAW)
}
