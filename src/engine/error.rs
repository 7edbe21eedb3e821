//! DataFusion's errors in the words and codes that a client expects.

use datafusion::arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;

use crate::error::{Error, Kind};
use crate::types::Family;

/// Translates an error of planning or running a query.
pub fn translate(error: DataFusionError, family: Family) -> Error {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<Error>() {
            Ok(own) => *own,
            Err(other) => match other.downcast::<DataFusionError>() {
                Ok(nested) => translate(*nested, family),
                Err(other) => Error::internal(other.to_string()),
            },
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => translate(*inner, family),
        DataFusionError::Shared(shared) => match std::sync::Arc::try_unwrap(shared) {
            Ok(inner) => translate(inner, family),
            Err(shared) => shared_error(&shared),
        },
        DataFusionError::Collection(errors) => match errors.into_iter().next() {
            Some(first) => translate(first, family),
            None => Error::internal("an empty list of errors"),
        },
        DataFusionError::SchemaError(inner, _) => schema_error(&inner, family),
        DataFusionError::ArrowError(inner, _) => arrow_error(*inner, family),
        DataFusionError::ResourcesExhausted(_) => Error::new(Kind::OutOfMemory, "the query needs more memory than the engine may use")
            .with_hint("narrow the query, or raise limits.engine_memory"),
        DataFusionError::NotImplemented(what) if what.contains("OuterReferenceColumn") || what.contains("ScalarSubquery(") => {
            outer_reference()
        }
        DataFusionError::NotImplemented(what) => Error::new(Kind::Unsupported, what),
        DataFusionError::IoError(inner) => Error::new(Kind::Storage, format!("spilling to disk failed: {inner}")),
        DataFusionError::ObjectStore(inner) => Error::new(Kind::Storage, format!("a store failed: {}", first_line(&inner.to_string()))),
        DataFusionError::SQL(inner, _) => Error::new(Kind::Syntax, format!("You have an error in your SQL syntax: {inner}")),
        DataFusionError::Plan(text) | DataFusionError::Execution(text) | DataFusionError::Configuration(text) => plain(&text, family),
        DataFusionError::Internal(text) if text.contains("failed to match any signature") => plain(&text, family),
        other => unforeseen(&other.strip_backtrace()),
    }
}

/// An error that no rule knows.
fn unforeseen(text: &str) -> Error {
    if text.contains("exceeded the allowable limit") {
        return Error::new(Kind::OutOfMemory, "the query needs more space for spilled rows than the engine may use")
            .with_hint("narrow the query, or raise limits.spill_bytes");
    }
    Error::internal(first_line(text).to_owned())
}

/// An error that several consumers hold: its own error may only be copied.
fn shared_error(error: &DataFusionError) -> Error {
    match error.find_root() {
        DataFusionError::External(inner) => inner.downcast_ref::<Error>().cloned().unwrap_or_else(|| Error::internal(inner.to_string())),
        DataFusionError::ResourcesExhausted(_) => Error::new(Kind::OutOfMemory, "the query needs more memory than the engine may use"),
        other => unforeseen(&other.strip_backtrace()),
    }
}

fn schema_error(error: &SchemaError, family: Family) -> Error {
    match error {
        SchemaError::FieldNotFound { field, .. } if field.relation.as_ref().is_some_and(|of| of.table().starts_with("__correlated_sq")) => {
            outer_reference()
        }
        SchemaError::FieldNotFound { field, .. } => unknown_column(&field.flat_name(), family),
        SchemaError::AmbiguousReference { field } => Error::new(
            Kind::AmbiguousColumn,
            match family {
                Family::MySql => format!("Column '{}' in field list is ambiguous", field.name),
                Family::Postgres => format!("column reference \"{}\" is ambiguous", field.name),
            },
        ),
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            Error::new(Kind::Duplicate, format!("Duplicate column name '{name}'"))
        }
    }
}

/// The error for a subquery that the engine can't make a join of.
fn outer_reference() -> Error {
    Error::unsupported("a subquery that refers to its outer query in this way")
        .with_hint("write it as a join; most often a LIMIT or an ORDER BY in the subquery prevents planning it")
}

/// The error for a column that nothing has.
pub fn unknown_column(name: &str, family: Family) -> Error {
    Error::new(
        Kind::UnknownColumn,
        match family {
            Family::MySql => format!("Unknown column '{name}' in 'field list'"),
            Family::Postgres => format!("column \"{name}\" does not exist"),
        },
    )
}

fn arrow_error(error: ArrowError, family: Family) -> Error {
    match error {
        ArrowError::DivideByZero => Error::new(Kind::DivisionByZero, "division by zero"),
        ArrowError::ArithmeticOverflow(text) => Error::new(Kind::ValueRange, format!("out of range: {text}")),
        ArrowError::CastError(text) | ArrowError::ParseError(text) | ArrowError::InvalidArgumentError(text) => {
            Error::new(Kind::InvalidValue, text)
        }
        ArrowError::ExternalError(inner) => match inner.downcast::<Error>() {
            Ok(own) => *own,
            Err(other) => match other.downcast::<DataFusionError>() {
                Ok(nested) => translate(*nested, family),
                Err(other) => Error::internal(other.to_string()),
            },
        },
        other => unforeseen(&other.to_string()),
    }
}

/// DataFusion says much in plain text; the commonest cases are told apart by it.
fn plain(text: &str, family: Family) -> Error {
    let text = first_line(text);
    let lower = text.to_ascii_lowercase();
    if lower.contains("invalid function") || lower.contains("unknown function") {
        let name = text.split('\'').nth(1).unwrap_or_default();
        return Error::new(
            Kind::UnknownFunction,
            match family {
                Family::MySql => format!("FUNCTION {name} does not exist"),
                Family::Postgres => format!("function {name}() does not exist"),
            },
        );
    }
    // Function 'sum' requires .., but received String (DataType: Utf8).
    if let Some(received) = text.split("but received ").nth(1).filter(|_| text.contains("Function '")) {
        let name = text.split('\'').nth(1).unwrap_or_default().trim_start_matches("fg_pg_").trim_start_matches("fg_");
        let ty = received.split([' ', ',', '.']).next().unwrap_or_default().to_lowercase();
        return Error::new(Kind::UnknownFunction, format!("function {name}({}) does not exist", if ty == "string" { "text" } else { &ty }))
            .with_hint("no function matches the name and the types of the arguments; a cast may help");
    }
    if lower.contains("group by") && lower.contains("aggregate") {
        return Error::new(Kind::Grouping, text);
    }
    if lower.contains("divide by zero") || lower.contains("division by zero") {
        return Error::new(Kind::DivisionByZero, "division by zero");
    }
    if lower.contains("scalar subquery returned more than one row") {
        return Error::new(
            Kind::ManyRows,
            match family {
                Family::MySql => "Subquery returns more than 1 row",
                Family::Postgres => "more than one row returned by a subquery used as an expression",
            },
        );
    }
    // Order by column out of bounds, specified: 5, max: 2. Cannot find column with position 5 in SELECT clause.
    let ordered = text.split("out of bounds, specified: ").nth(1).map(|rest| rest.split(',').next().unwrap_or_default());
    let ordered = ordered.or_else(|| lower.starts_with("order by index starts at 1").then_some("0"));
    let grouped = text.split("Cannot find column with position ").nth(1).map(|rest| rest.split(' ').next().unwrap_or_default());
    if let Some(position) = ordered.or(grouped) {
        let (clause, mysql) = if grouped.is_none() { ("ORDER BY", "order clause") } else { ("GROUP BY", "group statement") };
        return Error::new(
            Kind::WrongPosition,
            match family {
                Family::MySql => format!("Unknown column '{position}' in '{mysql}'"),
                Family::Postgres => format!("{clause} position {position} is not in select list"),
            },
        );
    }
    if lower.contains("queries have different number of columns") {
        return Error::new(
            Kind::SelectWidth,
            match family {
                Family::MySql => "The used SELECT statements have a different number of columns",
                Family::Postgres => "each UNION, INTERSECT or EXCEPT query must have the same number of columns",
            },
        );
    }
    if lower.starts_with("limit must be >=") {
        return Error::new(Kind::NegativeLimit, "LIMIT must not be negative");
    }
    if lower.starts_with("offset must be >=") {
        return Error::new(Kind::NegativeOffset, "OFFSET must not be negative");
    }
    if lower.starts_with("table") && lower.contains("not found") {
        let name = text.split('\'').nth(1).unwrap_or_default();
        return Error::new(Kind::UnknownTable, format!("Table '{name}' doesn't exist"));
    }
    Error::new(Kind::InvalidStatement, text)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Hands an error through DataFusion; [`translate`] takes it out again.
pub fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
