//! The known laws: one file and one line each.

use crate::law::Laws;

pub mod balance;
pub mod nfa;

/// Every built-in law.
pub fn laws() -> Laws {
    Laws::default().with(nfa::LAW).with(balance::LAW)
}
