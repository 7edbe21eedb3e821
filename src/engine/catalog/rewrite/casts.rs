//! Casts to the types that pg_catalog has of its own: oid, name, "char", and the reg* types that name an object.

use datafusion::sql::sqlparser::ast::{ArrayElemTypeDef, BinaryOperator, CastKind, DataType, Expr, Value, ValueWithSpan};

use super::build::{arguments, call, last_part, null};

/// What a type name means to a cast.
enum Meaning {
    /// A type that names an object: `regclass`, ..
    Object(&'static str),
    /// A type of the engine's.
    Plain(DataType),
    Unknown,
}

fn meaning(ty: &DataType) -> Meaning {
    let DataType::Custom(name, _) = ty else {
        return match ty {
            DataType::Regclass => Meaning::Object("regclass"),
            // "char" and its kin come as they are.
            DataType::Array(ArrayElemTypeDef::SquareBracket(item, size)) => match meaning(item) {
                Meaning::Plain(item) => Meaning::Plain(DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(item), *size))),
                _ => Meaning::Unknown,
            },
            _ => Meaning::Unknown,
        };
    };
    match last_part(name).as_str() {
        "regclass" => Meaning::Object("regclass"),
        "regtype" => Meaning::Object("regtype"),
        "regproc" | "regprocedure" => Meaning::Object("regproc"),
        "regnamespace" => Meaning::Object("regnamespace"),
        "regrole" => Meaning::Object("regrole"),
        "oid" | "xid" | "cid" | "int4" | "cardinal_number" => Meaning::Plain(DataType::Int(None)),
        "int2" => Meaning::Plain(DataType::SmallInt(None)),
        "int8" => Meaning::Plain(DataType::BigInt(None)),
        "bool" => Meaning::Plain(DataType::Boolean),
        "float4" => Meaning::Plain(DataType::Real),
        "float8" => Meaning::Plain(DataType::DoublePrecision),
        "name" | "char" | "text" | "varchar" | "bpchar" | "cstring" | "pg_node_tree" | "sql_identifier" | "character_data"
        | "yes_or_no" | "aclitem" | "regconfig" | "regdictionary" | "citext" => Meaning::Plain(DataType::Text),
        "int2vector" => Meaning::Plain(DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(DataType::SmallInt(None)), None))),
        "oidvector" => Meaning::Plain(DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(DataType::Int(None)), None))),
        _ => Meaning::Unknown,
    }
}

/// The name of a type as the label of an unnamed cast.
pub(super) fn type_label(ty: &DataType) -> String {
    match ty {
        DataType::Custom(name, _) => last_part(name),
        DataType::Text => "text".into(),
        DataType::Int(_) | DataType::Integer(_) | DataType::Int4(_) => "int4".into(),
        DataType::BigInt(_) | DataType::Int8(_) => "int8".into(),
        DataType::SmallInt(_) | DataType::Int2(_) => "int2".into(),
        DataType::Boolean | DataType::Bool => "bool".into(),
        DataType::DoublePrecision => "float8".into(),
        DataType::Varchar(_) | DataType::CharacterVarying(_) => "varchar".into(),
        DataType::Regclass => "regclass".into(),
        other => other.to_string().to_ascii_lowercase(),
    }
}

fn is_text_literal(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(_) | Value::Placeholder(_) | Value::DollarQuotedString(_), .. })
    )
}

/// The inner expression of a call of `fg_reg*_name`.
fn named_object(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::Function(f) if last_part(&f.name).starts_with("fg_reg") && last_part(&f.name).ends_with("_name") => {
            arguments(f)?.into_iter().next()
        }
        Expr::Nested(inner) => named_object(inner),
        _ => None,
    }
}

/// Rewrites one cast whose operand is rewritten already.
pub(super) fn rewrite(expr: &mut Expr) {
    let Expr::Cast { kind, expr: inner, data_type, .. } = expr else { return };
    match meaning(data_type) {
        // A literal is looked up, a column of OIDs is printed.
        Meaning::Object(object) => {
            let inner = std::mem::replace(inner.as_mut(), null());
            let name = if is_text_literal(&inner) { format!("fg_{object}") } else { format!("fg_{object}_name") };
            *expr = call(&name, vec![inner]);
        }
        Meaning::Plain(plain) => {
            // oid::regclass::oid is the oid again.
            if matches!(plain, DataType::Int(_) | DataType::BigInt(_))
                && let Some(oid) = named_object(inner)
            {
                **inner = oid;
            }
            if matches!(plain, DataType::Text) {
                print_object(inner);
            }
            // Ours are already of these types where they come from a catalog.
            *kind = CastKind::Cast;
            *data_type = plain;
        }
        Meaning::Unknown => match data_type {
            DataType::Text | DataType::Varchar(_) | DataType::CharacterVarying(_) => print_object(inner),
            DataType::Int(_) | DataType::Integer(_) | DataType::BigInt(_) => {
                if let Some(oid) = named_object(inner) {
                    **inner = oid;
                }
            }
            _ => {}
        },
    }
}

/// `'t'::regclass::text`: what was looked up is printed again.
fn print_object(inner: &mut Expr) {
    if let Expr::Function(f) = inner {
        let name = last_part(&f.name);
        if name.starts_with("fg_reg") && !name.ends_with("_name") {
            let looked_up = std::mem::replace(inner, null());
            *inner = call(&format!("{name}_name"), vec![looked_up]);
        }
    }
}

/// In a comparison a reg* value is its OID, on both sides; a literal beside one names the same kind of object.
pub(super) fn object_comparison(expr: &mut Expr) {
    let Expr::BinaryOp { left, op: BinaryOperator::Eq | BinaryOperator::NotEq, right } = expr else {
        if let Expr::InList { expr: left, list, .. } = expr {
            if let Some(object) = object_cast(left) {
                for item in list.iter_mut() {
                    look_up(item, object);
                }
                look_up(left, object);
            } else {
                for item in list.iter_mut() {
                    if let Some(object) = object_cast(item) {
                        look_up(item, object);
                    }
                }
            }
        }
        return;
    };
    let Some(object) = object_cast(left).or_else(|| object_cast(right)) else { return };
    for side in [left, right] {
        if is_text_literal(side) || object_cast(side).is_some() {
            look_up(side, object);
        }
    }
}

fn object_cast(expr: &Expr) -> Option<&'static str> {
    match expr {
        Expr::Cast { data_type, .. } => match meaning(data_type) {
            Meaning::Object(object) => Some(object),
            _ => None,
        },
        Expr::Nested(inner) => object_cast(inner),
        _ => None,
    }
}

/// `x::regclass` or a bare literal becomes a look-up that passes OIDs on.
fn look_up(expr: &mut Expr, object: &'static str) {
    let mut inner = std::mem::replace(expr, null());
    while let Expr::Nested(e) = inner {
        inner = *e;
    }
    if object_cast(&inner).is_some()
        && let Expr::Cast { expr: operand, .. } = inner
    {
        inner = *operand;
    }
    *expr = call(&format!("fg_{object}"), vec![inner]);
}
