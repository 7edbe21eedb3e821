//! Small pieces of syntax tree.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, GroupByExpr, Ident, ObjectName,
    Query, Select, SelectFlavor, SelectItem, SetExpr, TableFactor, TableWithJoins, UnaryOperator, Value,
};

/// A placeholder while an expression is taken apart.
pub(super) fn hole() -> Expr {
    Expr::Value(Value::Null.into())
}

/// Takes an expression out of its place.
pub(super) fn take(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, hole())
}

pub(super) fn list(args: Vec<Expr>) -> FunctionArguments {
    FunctionArguments::List(FunctionArgumentList {
        duplicate_treatment: None,
        args: args.into_iter().map(|a| FunctionArg::Unnamed(FunctionArgExpr::Expr(a))).collect(),
        clauses: Vec::new(),
    })
}

/// `name(args)`.
pub(super) fn call(name: &str, args: Vec<Expr>) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(Ident::new(name)),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: list(args),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

pub(super) fn string(text: impl Into<String>) -> Expr {
    Expr::Value(Value::SingleQuotedString(text.into()).into())
}

pub(super) fn number(n: i64) -> Expr {
    let digits = Expr::Value(Value::Number(n.unsigned_abs().to_string(), false).into());
    if n < 0 { Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(digits) } } else { digits }
}

pub(super) fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

pub(super) fn not(expr: Expr) -> Expr {
    Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(Expr::Nested(Box::new(expr))) }
}

/// `SELECT item FROM factor`.
pub(super) fn select_of(item: Expr, factor: TableFactor) -> Query {
    let select = Select {
        select_token: AttachedToken::empty(),
        optimizer_hints: Vec::new(),
        distinct: None,
        select_modifiers: None,
        top: None,
        top_before_distinct: false,
        projection: vec![SelectItem::UnnamedExpr(item)],
        exclude: None,
        into: None,
        from: vec![TableWithJoins { relation: factor, joins: Vec::new() }],
        lateral_views: Vec::new(),
        prewhere: None,
        selection: None,
        connect_by: Vec::new(),
        group_by: GroupByExpr::Expressions(Vec::new(), Vec::new()),
        cluster_by: Vec::new(),
        distribute_by: Vec::new(),
        sort_by: Vec::new(),
        having: None,
        named_window: Vec::new(),
        qualify: None,
        window_before_qualify: false,
        value_table_mode: None,
        flavor: SelectFlavor::Standard,
    };
    query_of(Box::new(SetExpr::Select(Box::new(select))))
}

/// A query that is `body` and nothing else.
pub(super) fn query_of(body: Box<SetExpr>) -> Query {
    Query {
        with: None,
        body,
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}

/// Joins expressions by AND or OR as a balanced tree, so that long lists do not nest deeply. None of nothing.
pub(super) fn joined(mut items: Vec<Expr>, op: &BinaryOperator) -> Option<Expr> {
    if items.len() <= 1 {
        return items.pop();
    }
    let rest = items.split_off(items.len() / 2);
    let (left, right) = (joined(items, op)?, joined(rest, op)?);
    Some(Expr::Nested(Box::new(binary(left, op.clone(), right))))
}

/// The text of a string literal.
pub(super) fn as_string(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(v) => match &v.value {
            Value::SingleQuotedString(s) => Some(s),
            _ => None,
        },
        Expr::Nested(inner) => as_string(inner),
        _ => None,
    }
}

/// The mark that [`spell_out_mysql`] puts on the sides of BETWEEN: `fg_among(side, other)` is `side`, in a comparison
/// whose types `other` takes part in.
pub(super) const AMONG: &str = "fg_among";

/// Longest IN list that is spelt out as comparisons, so that each sees the types of its two sides.
const SPELT_OUT: usize = 200;

/// MySQL's BETWEEN: as [`spell_out`] does it, with a mark on each side that names the third one. Numbers need none.
pub(super) fn spell_out_mysql(expr: &mut Expr) {
    if let Expr::Between { expr: value, negated, low, high } = expr {
        let (value, low, high) = (take(value), take(low), take(high));
        let (first, op, second) = if *negated {
            (BinaryOperator::Lt, BinaryOperator::Or, BinaryOperator::Gt)
        } else {
            (BinaryOperator::GtEq, BinaryOperator::And, BinaryOperator::LtEq)
        };
        let marked = needs_types(&low) || needs_types(&high);
        let mark = |side: &Expr, third: &Expr| {
            if marked { call(AMONG, vec![side.clone(), third.clone()]) } else { side.clone() }
        };
        let from = binary(mark(&value, &high), first, mark(&low, &high));
        *expr = Expr::Nested(Box::new(binary(from, op, binary(mark(&value, &low), second, mark(&high, &low)))));
    }
    if let Expr::InList { expr: value, list, .. } = expr
        && !list.iter().any(needs_types)
    {
        bytes_as_number(value);
    }
    spell_out(expr);
}

/// A literal of bytes where a number is wanted: the number that its last 64 bits are.
pub(super) fn bytes_as_number(expr: &mut Expr) {
    match expr {
        Expr::Nested(inner) => bytes_as_number(inner),
        Expr::Value(v) => {
            if let Some(n) = number_of_bytes(&v.value) {
                v.value = Value::Number(n.to_string(), false);
            }
        }
        _ => {}
    }
}

/// The number that a literal of bytes is.
pub(super) fn number_of_bytes(value: &Value) -> Option<u64> {
    let number = |digits: &str, radix: u32, most: usize| {
        let last = &digits[digits.len().saturating_sub(most)..];
        u64::from_str_radix(if last.is_empty() { "0" } else { last }, radix).ok()
    };
    match value {
        Value::HexStringLiteral(hex) => number(hex, 16, 16),
        Value::SingleQuotedByteStringLiteral(bits) | Value::DoubleQuotedByteStringLiteral(bits) => number(bits, 2, 64),
        _ => None,
    }
}

/// `x BETWEEN a AND b` and `x IN (..)` as comparisons, where the types of the sides may matter; also row comparisons.
pub(super) fn spell_out(expr: &mut Expr) {
    match expr {
        Expr::Between { expr: value, negated, low, high } => {
            let (value, low, high) = (take(value), take(low), take(high));
            let (first, op, second) = if *negated {
                (BinaryOperator::Lt, BinaryOperator::Or, BinaryOperator::Gt)
            } else {
                (BinaryOperator::GtEq, BinaryOperator::And, BinaryOperator::LtEq)
            };
            let both = binary(binary(value.clone(), first, low), op, binary(value, second, high));
            *expr = Expr::Nested(Box::new(both));
        }
        Expr::InList { expr: value, list, negated } if list.len() <= SPELT_OUT && list.iter().any(needs_types) => {
            let (value, negated) = (take(value), *negated);
            let items = std::mem::take(list).into_iter().map(|item| equal(value.clone(), item)).collect();
            if let Some(any) = joined(items, &BinaryOperator::Or) {
                *expr = if negated { not(any) } else { any };
            }
        }
        Expr::BinaryOp { left, op: op @ (BinaryOperator::Eq | BinaryOperator::NotEq), right } => {
            if let (Expr::Tuple(a), Expr::Tuple(b)) = (left.as_ref(), right.as_ref())
                && a.len() == b.len()
            {
                let all = joined(a.iter().cloned().zip(b.iter().cloned()).map(|(a, b)| equal(a, b)).collect(), &BinaryOperator::And);
                if let Some(all) = all {
                    *expr = if *op == BinaryOperator::Eq { all } else { not(all) };
                }
            }
        }
        _ => {}
    }
}

/// `x op ANY (ARRAY[..])` and `x op ALL (ARRAY[..])` as comparisons, so that each item is read as what it stands beside.
pub(super) fn spell_out_array(expr: &mut Expr) {
    let (left, compare_op, right, op) = match expr {
        Expr::AnyOp { left, compare_op, right, .. } => (left, compare_op, right, BinaryOperator::Or),
        Expr::AllOp { left, compare_op, right } => (left, compare_op, right, BinaryOperator::And),
        _ => return,
    };
    let Expr::Array(array) = right.as_mut() else { return };
    if array.elem.is_empty() || array.elem.len() > SPELT_OUT || array.elem.iter().any(|item| matches!(item, Expr::Array(_))) {
        return;
    }
    let compared = std::mem::take(&mut array.elem).into_iter().map(|item| binary(left.as_ref().clone(), compare_op.clone(), item));
    if let Some(all) = joined(compared.collect(), &op) {
        *expr = Expr::Nested(Box::new(all));
    }
}

/// Numbers in a list compare natively; anything else goes through the planner.
fn needs_types(item: &Expr) -> bool {
    !matches!(item, Expr::Value(v) if matches!(v.value, Value::Number(..) | Value::Null))
}

/// `a = b`, of rows too.
fn equal(a: Expr, b: Expr) -> Expr {
    let mut pair = binary(a, BinaryOperator::Eq, b);
    spell_out(&mut pair);
    pair
}
