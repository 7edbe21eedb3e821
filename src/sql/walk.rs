//! One walk over the syntax tree for all visitors.
//!
//! sqlparser's `visit` is generic over the visitor, and each visitor type compiles the walk over every kind of node once more. Here the visitor
//! stands behind `dyn`, so that the walk is compiled once for reading and once for changing.

use std::ops::ControlFlow::{self, Break, Continue};

use super::ast::{Expr, ObjectName, Query, Select, Statement, TableFactor, ValueWithSpan, Visit, VisitMut, Visitor, VisitorMut};

/// Shows every node of the tree to the visitor; ends early with what a method breaks with.
pub fn walk<T: Visit + ?Sized, V: Visitor>(tree: &T, visitor: &mut V) -> ControlFlow<V::Break> {
    let mut erased = Erased { visitor, end: None };
    match tree.visit(&mut ParseBudget(&mut erased)) {
        Continue(()) => Continue(()),
        Break(()) => erased.end.map_or(Continue(()), Break),
    }
}

/// As [`walk`], for a visitor that changes nodes.
pub fn walk_mut<T: VisitMut + ?Sized, V: VisitorMut>(tree: &mut T, visitor: &mut V) -> ControlFlow<V::Break> {
    let mut erased = Erased { visitor, end: None };
    match tree.visit(&mut Changing(&mut erased)) {
        Continue(()) => Continue(()),
        Break(()) => erased.end.map_or(Continue(()), Break),
    }
}

/// Calls `look` with every expression of the tree, outer ones before the ones in them.
pub fn expressions<T: Visit + ?Sized, E>(tree: &T, look: impl FnMut(&Expr) -> ControlFlow<E>) -> ControlFlow<E> {
    walk(tree, &mut Expressions(look))
}

/// Calls `change` with every expression of the tree, inner ones before the ones around them.
pub fn expressions_mut<T: VisitMut + ?Sized, E>(tree: &mut T, change: impl FnMut(&mut Expr) -> ControlFlow<E>) -> ControlFlow<E> {
    walk_mut(tree, &mut Expressions(change))
}

struct Expressions<F>(F);

impl<E, F: FnMut(&Expr) -> ControlFlow<E>> Visitor for Expressions<F> {
    type Break = E;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<E> {
        self.0(expr)
    }
}

impl<E, F: FnMut(&mut Expr) -> ControlFlow<E>> VisitorMut for Expressions<F> {
    type Break = E;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<E> {
        self.0(expr)
    }
}

/// A visitor, and what it ended the walk with.
struct Erased<'v, V, B> {
    visitor: &'v mut V,
    end: Option<B>,
}

impl<V, B> Erased<'_, V, B> {
    fn keep(end: &mut Option<B>, flow: ControlFlow<B>) -> ControlFlow<()> {
        match flow {
            Continue(()) => Continue(()),
            Break(value) => {
                *end = Some(value);
                Break(())
            }
        }
    }
}

/// The methods of both kinds of visitor: a trait that may stand behind `dyn`, the visitor behind it, and the walk's side of it.
macro_rules! erased {
    ($trait:ident, $behind:ident, $visitor:ident, { $($method:ident: $node:ty),* $(,)? }) => {
        trait $behind {
            $(fn $method(&mut self, node: $node) -> ControlFlow<()>;)*
        }

        impl<V: $visitor> $behind for Erased<'_, V, V::Break> {
            $(fn $method(&mut self, node: $node) -> ControlFlow<()> {
                Self::keep(&mut self.end, self.visitor.$method(node))
            })*
        }

        struct $trait<'v>(&'v mut dyn $behind);

        impl $visitor for $trait<'_> {
            type Break = ();

            $(fn $method(&mut self, node: $node) -> ControlFlow<()> {
                self.0.$method(node)
            })*
        }
    };
}

erased!(ParseBudget, Reads, Visitor, {
    pre_visit_query: &Query,
    post_visit_query: &Query,
    pre_visit_select: &Select,
    post_visit_select: &Select,
    pre_visit_relation: &ObjectName,
    post_visit_relation: &ObjectName,
    pre_visit_table_factor: &TableFactor,
    post_visit_table_factor: &TableFactor,
    pre_visit_expr: &Expr,
    post_visit_expr: &Expr,
    pre_visit_statement: &Statement,
    post_visit_statement: &Statement,
    pre_visit_value: &ValueWithSpan,
    post_visit_value: &ValueWithSpan,
});

erased!(Changing, Changes, VisitorMut, {
    pre_visit_query: &mut Query,
    post_visit_query: &mut Query,
    pre_visit_select: &mut Select,
    post_visit_select: &mut Select,
    pre_visit_relation: &mut ObjectName,
    post_visit_relation: &mut ObjectName,
    pre_visit_table_factor: &mut TableFactor,
    post_visit_table_factor: &mut TableFactor,
    pre_visit_expr: &mut Expr,
    post_visit_expr: &mut Expr,
    pre_visit_statement: &mut Statement,
    post_visit_statement: &mut Statement,
    pre_visit_value: &mut ValueWithSpan,
    post_visit_value: &mut ValueWithSpan,
});
