//! The functions that a query calls.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, Visitor};

use crate::sql::walk::walk;

/// The functions that a query calls, in lower case. In FROM they are relations to the parser.
pub fn called(tree: &ast::Query) -> HashSet<String> {
    struct Calls(HashSet<String>);
    impl Calls {
        fn add(&mut self, name: &ast::ObjectName) {
            self.0.extend(name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.to_ascii_lowercase()));
        }
    }
    impl Visitor for Calls {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &ast::Expr) -> ControlFlow<()> {
            if let ast::Expr::Function(function) = expr {
                self.add(&function.name);
            }
            ControlFlow::Continue(())
        }
        fn pre_visit_relation(&mut self, relation: &ast::ObjectName) -> ControlFlow<()> {
            self.add(relation);
            ControlFlow::Continue(())
        }
    }
    let mut calls = Calls(HashSet::new());
    let _ = walk(tree, &mut calls);
    calls.0
}
