//! Names that the upstream has taken from the cold tables of the same names.

use std::collections::BTreeSet;

/// Names without a schema that mean tables of the upstream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum HiddenNames {
    #[default]
    None,
    /// These.
    Some(BTreeSet<String>),
    All,
}

impl HiddenNames {
    /// Is it one of them?
    pub fn covers(&self, name: &str) -> bool {
        match self {
            HiddenNames::None => false,
            HiddenNames::Some(names) => names.contains(name),
            HiddenNames::All => true,
        }
    }
}
