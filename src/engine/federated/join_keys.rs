//! The values of a join's key, and a hot table's scan that asks for these values only.

use std::cmp::Ordering;
use std::collections::HashSet;

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{ident, lit};

use super::predicate::{MOST_BYTES, MOST_VALUES};
use super::scan::HotScan;

/// The values of a key.
#[derive(Debug, Default)]
pub(super) struct KeyValues {
    /// Emptied when they are too many.
    pub(super) values: HashSet<ScalarValue>,
    pub(super) many: bool,
    /// Of texts among them.
    bytes: usize,
    pub(super) least_and_most: Option<(ScalarValue, ScalarValue)>,
}

impl KeyValues {
    pub(super) fn add(&mut self, array: &ArrayRef) -> DfResult<()> {
        for row in (0..array.len()).filter(|row| array.is_valid(*row)) {
            let value = ScalarValue::try_from_array(array, row)?;
            match &mut self.least_and_most {
                Some((least, most)) => {
                    if value < *least {
                        least.clone_from(&value);
                    } else if value > *most {
                        most.clone_from(&value);
                    }
                }
                none => *none = Some((value.clone(), value.clone())),
            }
            if !self.many {
                let bytes = value.try_as_str().flatten().map_or(0, str::len);
                self.bytes += if self.values.insert(value) { bytes } else { 0 };
                if self.values.len() > MOST_VALUES || self.bytes > MOST_BYTES {
                    self.many = true;
                    self.values = HashSet::new();
                }
            }
        }
        Ok(())
    }

    /// The scan with rows of these values only; None: the upstream cannot be asked for them.
    pub(super) fn reduce(&self, scan: &HotScan, index: usize, context: &TaskContext) -> Option<HotScan> {
        let Some((least, most)) = &self.least_and_most else { return scan.without_rows(context).ok() };
        let source = &scan.query.source;
        let column = ident(source.schema.field(*scan.query.wanted.get(index)?).name());
        let condition = if self.many {
            column.between(lit(least.clone()), lit(most.clone()))
        } else {
            // A column's character set may not have the others, and that would be an error.
            if self.values.iter().any(|value| value.try_as_str().flatten().is_some_and(|text| !text.is_ascii())) {
                return None;
            }
            let mut values: Vec<&ScalarValue> = self.values.iter().collect();
            values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal));
            column.in_list(values.into_iter().cloned().map(lit).collect(), false)
        };
        let (text, _) = source.predicates().predicate(&condition)?;
        let bytes: usize = scan.query.predicates.iter().map(String::len).sum();
        (bytes + text.len() <= MOST_BYTES).then(|| scan.with(Some(text)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::Int32Array;

    use super::*;

    #[test]
    fn nulls_are_no_values_of_a_key() {
        let numbers: ArrayRef = Arc::new(Int32Array::from(vec![None, None]));
        let mut keys = KeyValues::default();
        keys.add(&numbers).unwrap();
        assert!(keys.values.is_empty() && keys.least_and_most.is_none());
    }
}
