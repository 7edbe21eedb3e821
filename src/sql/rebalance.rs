//! Rebalances long chains of AND, OR and UNION, which the parser leaves as deep as they are long: `a OR b OR c OR d`
//! becomes `(a OR b) OR (c OR d)`, the same in meaning, so that whatever walks the tree needs little stack.

use std::convert::Infallible;
use std::ops::ControlFlow;

use super::ast::{BinaryOperator, Expr, Query, SetExpr, SetOperator, SetQuantifier, Value, VisitMut, VisitorMut};
use super::walk::walk_mut;

/// Chains shorter than this stay as they are.
const SHORT: usize = 8;

/// Rebalances every chain in the tree.
pub(super) fn rebalance<T: VisitMut>(tree: &mut T) {
    let _ = walk_mut(tree, &mut Rebalance);
}

struct Rebalance;

impl VisitorMut for Rebalance {
    type Break = Infallible;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Infallible> {
        if let Expr::BinaryOp { op: op @ (BinaryOperator::And | BinaryOperator::Or), .. } = expr {
            let op = op.clone();
            if chain_length(expr, &op) >= SHORT {
                let operands = take_operands(expr, &op);
                *expr = join(operands, &|left, right| Expr::BinaryOp { left: Box::new(left), op: op.clone(), right: Box::new(right) })
                    .unwrap_or(Expr::Value(Value::Null.into()));
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Infallible> {
        if let SetExpr::SetOperation { op: SetOperator::Union, set_quantifier, .. } = query.body.as_ref() {
            let quantifier = *set_quantifier;
            let operands = take_branches(&mut query.body, quantifier);
            let joined = join(operands, &|left, right| SetExpr::SetOperation {
                op: SetOperator::Union,
                set_quantifier: quantifier,
                left: Box::new(left),
                right: Box::new(right),
            });
            if let Some(joined) = joined {
                *query.body = joined;
            }
        }
        ControlFlow::Continue(())
    }
}

fn chain_length(expr: &Expr, wanted: &BinaryOperator) -> usize {
    let mut length = 0;
    let mut at = expr;
    while let Expr::BinaryOp { left, op, .. } = at {
        if op != wanted {
            break;
        }
        length += 1;
        at = left;
    }
    length
}

/// The operands of a left-deep chain, first to last.
fn take_operands(expr: &mut Expr, wanted: &BinaryOperator) -> Vec<Expr> {
    let mut operands = Vec::new();
    let mut at = std::mem::replace(expr, Expr::Value(Value::Null.into()));
    loop {
        match at {
            Expr::BinaryOp { left, op, right } if op == *wanted => {
                operands.push(*right);
                at = *left;
            }
            first => {
                operands.push(first);
                operands.reverse();
                return operands;
            }
        }
    }
}

/// The branches of a left-deep chain of UNIONs of one kind.
fn take_branches(body: &mut Box<SetExpr>, quantifier: SetQuantifier) -> Vec<SetExpr> {
    let mut branches = Vec::new();
    let hole = SetExpr::Values(super::ast::Values { explicit_row: false, rows: Vec::new(), value_keyword: false });
    let mut at = std::mem::replace(body.as_mut(), hole);
    loop {
        match at {
            SetExpr::SetOperation { op: SetOperator::Union, set_quantifier, left, right } if set_quantifier == quantifier => {
                branches.push(*right);
                at = *left;
            }
            first => {
                branches.push(first);
                branches.reverse();
                return branches;
            }
        }
    }
}

/// Joins neighbours until one is left.
fn join<T>(mut items: Vec<T>, pair: &impl Fn(T, T) -> T) -> Option<T> {
    while items.len() > 1 {
        let mut next = Vec::with_capacity(items.len().div_ceil(2));
        let mut left = items.into_iter();
        while let Some(first) = left.next() {
            next.push(match left.next() {
                Some(second) => pair(first, second),
                None => first,
            });
        }
        items = next;
    }
    items.pop()
}

#[cfg(test)]
mod tests {
    use super::super::{Dialect, Statement, parse};

    #[test]
    fn a_rebalanced_chain_keeps_its_order() {
        let ors = (0..50).map(|i| format!("a{i}")).collect::<Vec<_>>().join(" OR ");
        let unions = (0..50).map(|i| format!("SELECT {i}")).collect::<Vec<_>>().join(" UNION ");
        let text = format!("{unions} UNION SELECT 1 WHERE {ors}");
        let Statement::Query(query) = parse(&Dialect::POSTGRES, &text).unwrap().remove(0).statement else { panic!() };
        assert_eq!(query.query.to_string(), text);
    }

    #[test]
    fn unions_of_different_kinds_are_not_mixed() {
        let text = "SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION ALL SELECT 3 UNION ALL SELECT 4";
        let Statement::Query(query) = parse(&Dialect::POSTGRES, text).unwrap().remove(0).statement else { panic!() };
        assert!(query.query.to_string().starts_with("SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION ALL"));
    }
}
