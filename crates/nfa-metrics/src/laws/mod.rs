//! One file per law; the registry is [`crate::law::laws`].

pub mod balance;
pub mod nfa;
