//! Why a law has no two matrices at a place.

use crate::judge::verdict::Verdict;

/// Why a law has no two matrices at a place where it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absent {
    /// It can't apply there.
    NotApplicable(String),
    /// It may, and nothing can be told yet.
    Unknown(String),
}

impl Absent {
    /// What is said then.
    pub fn verdict(&self) -> Verdict {
        match self {
            Absent::NotApplicable(_) => Verdict::NotApplicable,
            Absent::Unknown(_) => Verdict::Undetermined,
        }
    }

    /// Why.
    pub fn reason(&self) -> &str {
        match self {
            Absent::NotApplicable(why) | Absent::Unknown(why) => why,
        }
    }
}
