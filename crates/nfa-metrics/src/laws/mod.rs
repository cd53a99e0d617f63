//! The known laws: one file and one line each.

use crate::laws::law::Laws;

pub mod balance;
pub mod law;
pub mod needs;
pub mod nfa;
pub mod product;
pub mod quantity;

/// Every built-in law.
pub fn laws() -> Laws {
    Laws::default().with(nfa::LAW).with(balance::LAW)
}
