//! Rules over logical plans: what the dialects mean and DataFusion does not do, or does wrongly.
//!
//! Those of [`analyzer_rules`] run for every query, around DataFusion's own type coercion. The others are passes that
//! `engine::query` runs over a new plan where the syntax tree says that there is something to do:
//!
//! - `common_moments`, `comparison_keys`, `mixed_types`: the type in which values meet
//! - `second_fractions`, `quotient_digits`: how many digits a value has, in MySQL sessions

pub(super) mod common_moments;
pub(super) mod common_types;
pub(super) mod comparison_keys;
mod lossless_casts;
pub(super) mod mixed_types;
mod null_membership;
mod outer_types;
pub(super) mod quotient_digits;
pub(super) mod second_fractions;
mod single_rows;

use std::sync::Arc;

use datafusion::optimizer::{Analyzer, AnalyzerRule};

use super::functions;
use crate::types::Family;

/// The rules that settle types and meaning, in the order in which they run.
pub(super) fn analyzer_rules(family: Family) -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> = vec![Arc::new(common_types::DoublesWin), Arc::new(single_rows::SingleRows)];
    rules.extend(Analyzer::new().rules);
    rules.push(Arc::new(outer_types::OuterTypes));
    if let Some([double, real]) = functions::of_decimals(family) {
        rules.push(Arc::new(lossless_casts::LosslessCasts { double, real }));
    }
    rules.push(Arc::new(null_membership::MembershipOfNulls));
    rules
}
