//! The tables that a query names.

use std::ops::ControlFlow;

use crate::sql::ast::{ObjectName, Visitor};
use crate::sql::walk::walk;
use crate::sql::{Name, Query};

/// The tables that a query names, as (schema, name).
pub(super) fn named_tables(query: &Query) -> Vec<(Option<String>, String)> {
    struct Names(Vec<(Option<String>, String)>);
    impl Visitor for Names {
        type Break = ();
        fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
            let name = Name::of(relation);
            self.0.push((name.qualifier().last().cloned(), name.name().to_owned()));
            ControlFlow::Continue(())
        }
    }
    let mut names = Names(Vec::new());
    let _ = walk(query.query.as_ref(), &mut names);
    names.0
}
