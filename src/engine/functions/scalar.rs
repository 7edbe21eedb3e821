//! How a scalar function is written down: a row with its name, its arity, its type and what it does to whole arrays.
//!
//! Arguments come in any type and are read as the function needs them ([`Call::text`], [`Call::int`], ..), in the
//! dialect's manner: MySQL takes what it can from a text and gives NULL for a wrong date, PostgreSQL refuses.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::*;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::*;
use datafusion::error::Result as DfResult;
use datafusion::functions::expr_fn::coalesce;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use datafusion::scalar::ScalarValue;

use super::{Facts, external};
use crate::engine::dialect::choice::{self, CASE, CASE_OF};
use crate::error::{Error, Kind, Result};
use crate::types::coerce::civil::{DAY, utc_to_civil};
use crate::types::coerce::moment::{mysql_number, mysql_time, parse_moment};
use crate::types::coerce::{self, Family, parse_decimal, parse_integer_prefix};
use crate::types::{SqlType, UTC, meta};

/// How [`SqlType::Json`] is written in a field's metadata.
const JSON_TYPE: &str = "\"Json\"";
/// And [`SqlType::Uuid`].
const UUID_TYPE: &str = "\"Uuid\"";

/// Arrow's type of a civil moment (MySQL DATETIME, PostgreSQL timestamp).
pub const CIVIL: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// Arrow's type of a moment with zone.
pub fn zoned() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()))
}

/// What a function returns, from its argument types and constant arguments.
pub type TypeOf = fn(&[DataType], &[Option<&ScalarValue>]) -> Result<DataType>;
/// What a function does.
pub type Eval = fn(&Call<'_>) -> Result<ArrayRef>;

/// One function.
pub struct Spec {
    /// Lower case.
    pub name: &'static str,
    /// Fewest arguments.
    pub least: usize,
    /// Most arguments.
    pub most: usize,
    /// Its type.
    pub returns: TypeOf,
    /// Its work.
    pub eval: Eval,
    /// Does it give the same for the same? Volatile ones run for every row.
    pub volatility: Volatility,
}

/// No upper limit of arguments.
pub const MANY: usize = usize::MAX;

/// Adds a function under each of its names (`left|lcase`).
pub fn add(out: &mut Vec<Spec>, names: &'static str, arity: std::ops::RangeInclusive<usize>, returns: TypeOf, eval: Eval) {
    for name in names.split('|') {
        out.push(Spec { name, least: *arity.start(), most: *arity.end(), returns, eval, volatility: Volatility::Immutable });
    }
}

/// Adds a function that may give something else every time.
pub fn add_volatile(out: &mut Vec<Spec>, names: &'static str, arity: std::ops::RangeInclusive<usize>, returns: TypeOf, eval: Eval) {
    for name in names.split('|') {
        out.push(Spec { name, least: *arity.start(), most: *arity.end(), returns, eval, volatility: Volatility::Volatile });
    }
}

/// Always text.
pub fn text(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(DataType::Utf8)
}
/// Always a 64-bit integer.
pub fn int(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(DataType::Int64)
}
/// Always a double.
pub fn float(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(DataType::Float64)
}
/// Always a truth value.
pub fn truth(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(DataType::Boolean)
}
/// Always bytes.
pub fn bytes(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(DataType::Binary)
}
/// Always a date.
pub fn date(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(DataType::Date32)
}
/// Always a moment without zone.
pub fn civil(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(CIVIL)
}
/// Always a moment with zone.
pub fn stamp(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(zoned())
}
/// Always a time of day.
pub fn time(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(DataType::Time64(TimeUnit::Microsecond))
}
/// The first argument's type.
pub fn same(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    Ok(types.first().cloned().unwrap_or(DataType::Null))
}

/// One evaluation: the arguments as arrays of the same length.
pub struct Call<'a> {
    /// In plain form ([`coerce::plain`]).
    pub args: Vec<ArrayRef>,
    /// Rows to answer.
    pub rows: usize,
    /// Of the session.
    pub facts: &'a Facts,
    /// What to answer with.
    pub returns: &'a DataType,
    /// The function's name, for errors.
    pub name: &'a str,
    /// The arguments' fields.
    fields: &'a [FieldRef],
}

/// A cell of an array; None is NULL.
pub trait At {
    /// What a cell holds.
    type Item<'a>
    where
        Self: 'a;
    /// The cell of row `i`.
    fn at(&self, i: usize) -> Option<Self::Item<'_>>;
}

impl At for StringArray {
    type Item<'a> = &'a str;
    fn at(&self, i: usize) -> Option<&str> {
        self.is_valid(i).then(|| self.value(i))
    }
}

impl At for BinaryArray {
    type Item<'a> = &'a [u8];
    fn at(&self, i: usize) -> Option<&[u8]> {
        self.is_valid(i).then(|| self.value(i))
    }
}

impl At for BooleanArray {
    type Item<'a> = bool;
    fn at(&self, i: usize) -> Option<bool> {
        self.is_valid(i).then(|| self.value(i))
    }
}

impl<T: ArrowPrimitiveType> At for PrimitiveArray<T> {
    type Item<'a> = T::Native;
    fn at(&self, i: usize) -> Option<T::Native> {
        self.is_valid(i).then(|| self.value(i))
    }
}

impl Call<'_> {
    /// How many arguments came.
    pub fn count(&self) -> usize {
        self.args.len()
    }

    /// The same call with other arguments and another type to answer with.
    pub fn with<'c>(&'c self, args: Vec<ArrayRef>, returns: &'c DataType) -> Call<'c> {
        Call { args, rows: self.rows, facts: self.facts, returns, name: self.name, fields: self.fields }
    }

    /// Argument `i` as the type's output function writes it in PostgreSQL, where a truth is `t` or `f`; as text elsewhere.
    pub fn output(&self, i: usize) -> Result<StringArray> {
        let array = coerce::output_text(&self.args[i], self.facts.family, &self.facts.zone)?;
        Ok(match array.as_string_opt::<i32>() {
            Some(strings) => strings.clone(),
            None => StringArray::new_null(self.rows),
        })
    }

    /// Is argument `i` a text that is JSON by its declaration or its function?
    pub fn is_json(&self, i: usize) -> bool {
        self.fields.get(i).and_then(|f| f.metadata().get(meta::TYPE)).is_some_and(|ty| ty == JSON_TYPE)
    }

    /// Is this a MySQL session?
    pub fn is_mysql(&self) -> bool {
        self.facts.family == Family::MySql
    }

    /// The digits of the second that argument `i` was declared with.
    pub fn digits(&self, i: usize) -> Option<u8> {
        self.fields.get(i).and_then(|field| super::moments::declared_digits(field))
    }

    /// Argument `i` as text.
    pub fn text(&self, i: usize) -> Result<StringArray> {
        let array = coerce::text_of(&self.args[i], self.facts.family, &self.facts.zone)?;
        Ok(match array.as_string_opt::<i32>() {
            Some(strings) => strings.clone(),
            None => StringArray::new_null(self.rows),
        })
    }

    /// Argument `i` as bytes; text gives its UTF-8.
    pub fn bytes(&self, i: usize) -> Result<BinaryArray> {
        if let Some(array) = self.args[i].as_binary_opt::<i32>() {
            return Ok(array.clone());
        }
        Ok(BinaryArray::from_iter(self.text(i)?.iter()))
    }

    /// Argument `i` as a double.
    pub fn float(&self, i: usize) -> Result<Float64Array> {
        let array = &self.args[i];
        let wide = match array.data_type() {
            DataType::Null => return Ok(Float64Array::new_null(self.rows)),
            DataType::Utf8 | DataType::Binary if self.is_mysql() => {
                let text = self.text(i)?;
                return Ok(text.iter().map(|cell| cell.map(|s| parse_integer_prefix(s).parse().unwrap_or(0.0))).collect());
            }
            DataType::Decimal128(..) => return Ok(coerce::doubles_of_decimals(array)),
            ty if ty.is_numeric() || ty == &DataType::Boolean => {
                cast(array, &DataType::Float64).map_err(|e| Error::internal(e.to_string()))?
            }
            DataType::Date32 | DataType::Timestamp(..) | DataType::Time64(_) if self.is_mysql() => {
                return Ok(self.moments_in_micros(i)?.into_iter().map(|cell| cell.map(|v| v as f64 / 1e6)).collect());
            }
            _ => coerce::cast_to(array, &SqlType::Float64, self.facts.family, &self.facts.zone)?,
        };
        Ok(wide.as_primitive::<Float64Type>().clone())
    }

    /// Argument `i` as a 64-bit integer, rounded; what is beyond its range is NULL.
    pub fn int(&self, i: usize) -> Result<Int64Array> {
        let array = &self.args[i];
        Ok(match array.data_type() {
            DataType::Null => Int64Array::new_null(self.rows),
            DataType::Int64 => array.as_primitive::<Int64Type>().clone(),
            DataType::Utf8 | DataType::Binary if self.is_mysql() => {
                let text = self.text(i)?;
                text.iter().map(|cell| cell.and_then(integer_prefix).and_then(|n| i64::try_from(n).ok())).collect()
            }
            ty if ty.is_integer() || ty == &DataType::Boolean => {
                cast(array, &DataType::Int64).map_err(|e| Error::internal(e.to_string()))?.as_primitive::<Int64Type>().clone()
            }
            _ => {
                let wide = coerce::cast_to(array, &SqlType::Int64 { unsigned: false }, self.facts.family, &self.facts.zone)?;
                wide.as_primitive::<Int64Type>().clone()
            }
        })
    }

    /// Argument `i` as a truth value: not zero.
    pub fn truth(&self, i: usize) -> Result<BooleanArray> {
        if let Some(array) = self.args[i].as_boolean_opt() {
            return Ok(array.clone());
        }
        Ok(self.float(i)?.iter().map(|cell| cell.map(|v| v != 0.0)).collect())
    }

    /// Argument `i` as civil microseconds in the session's zone.
    pub fn civil(&self, i: usize) -> Result<Int64Array> {
        let (array, zone) = (&self.args[i], &self.facts.zone);
        Ok(match array.data_type() {
            DataType::Null => Int64Array::new_null(self.rows),
            DataType::Date32 => array.as_primitive::<Date32Type>().iter().map(|d| d.map(|d| i64::from(d) * DAY)).collect(),
            DataType::Timestamp(_, None) => array.as_primitive::<TimestampMicrosecondType>().iter().collect(),
            DataType::Timestamp(_, Some(_)) => {
                array.as_primitive::<TimestampMicrosecondType>().iter().map(|v| v.map(|v| utc_to_civil(v, zone))).collect()
            }
            DataType::Time64(_) => {
                let today = utc_to_civil(self.facts.now_micros, zone).div_euclid(DAY) * DAY;
                array.as_primitive::<Time64MicrosecondType>().iter().map(|v| v.map(|v| today + v)).collect()
            }
            ty if self.is_mysql() && ty.is_integer() => self
                .int(i)?
                .iter()
                .map(|cell| cell.and_then(|n| mysql_number(n).ok()).and_then(|m| m.civil_in(zone, Family::MySql)))
                .collect(),
            _ if self.is_mysql() => self
                .text(i)?
                .iter()
                .map(|cell| cell.and_then(|s| parse_moment(s, Family::MySql, zone).ok()).and_then(|m| m.civil_in(zone, Family::MySql)))
                .collect(),
            _ => {
                let array = coerce::cast_to(array, &SqlType::DateTime { fsp: 6 }, self.facts.family, zone)?;
                array.as_primitive::<TimestampMicrosecondType>().iter().collect()
            }
        })
    }

    /// Argument `i` as a time of day or span, in microseconds.
    pub fn span(&self, i: usize) -> Result<Int64Array> {
        let array = &self.args[i];
        Ok(match array.data_type() {
            DataType::Time64(_) => array.as_primitive::<Time64MicrosecondType>().iter().collect(),
            DataType::Duration(TimeUnit::Microsecond) => array.as_primitive::<DurationMicrosecondType>().iter().collect(),
            DataType::Date32 | DataType::Timestamp(..) => self.civil(i)?.iter().map(|v| v.map(|v| v.rem_euclid(DAY))).collect(),
            _ => self.text(i)?.iter().map(|cell| cell.and_then(|s| mysql_time(s).ok())).collect(),
        })
    }

    /// Argument `i`, the same for every row: its text in lower case. For units and modes.
    pub fn word(&self, i: usize) -> Result<String> {
        Ok(self.text(i)?.at(0).unwrap_or_default().to_lowercase())
    }

    /// A text for each row.
    pub fn texts<S: AsRef<str>>(&self, f: impl FnMut(usize) -> Option<S>) -> Result<ArrayRef> {
        let mut out = StringBuilder::with_capacity(self.rows, self.rows * 16);
        (0..self.rows).map(f).for_each(|cell| out.append_option(cell));
        Ok(Arc::new(out.finish()))
    }

    /// Bytes for each row.
    pub fn binaries<B: AsRef<[u8]>>(&self, f: impl FnMut(usize) -> Option<B>) -> Result<ArrayRef> {
        let mut out = BinaryBuilder::new();
        (0..self.rows).map(f).for_each(|cell| out.append_option(cell));
        Ok(Arc::new(out.finish()))
    }

    /// An integer for each row.
    pub fn ints(&self, f: impl FnMut(usize) -> Option<i64>) -> Result<ArrayRef> {
        Ok(Arc::new((0..self.rows).map(f).collect::<Int64Array>()))
    }

    /// A double for each row; what is no number is NULL.
    pub fn floats(&self, f: impl FnMut(usize) -> Option<f64>) -> Result<ArrayRef> {
        Ok(Arc::new((0..self.rows).map(f).collect::<Float64Array>()))
    }

    /// A truth value for each row.
    pub fn truths(&self, f: impl FnMut(usize) -> Option<bool>) -> Result<ArrayRef> {
        Ok(Arc::new((0..self.rows).map(f).collect::<BooleanArray>()))
    }

    /// A civil moment for each row.
    pub fn civils(&self, f: impl FnMut(usize) -> Option<i64>) -> Result<ArrayRef> {
        Ok(Arc::new((0..self.rows).map(f).collect::<TimestampMicrosecondArray>()))
    }

    /// A moment (UTC microseconds) for each row.
    pub fn stamps(&self, f: impl FnMut(usize) -> Option<i64>) -> Result<ArrayRef> {
        Ok(Arc::new((0..self.rows).map(f).collect::<TimestampMicrosecondArray>().with_timezone(UTC)))
    }

    /// A date (days) for each row.
    pub fn dates(&self, f: impl FnMut(usize) -> Option<i64>) -> Result<ArrayRef> {
        let mut f = f;
        Ok(Arc::new((0..self.rows).map(|i| f(i).and_then(|d| i32::try_from(d).ok())).collect::<Date32Array>()))
    }

    /// A time of day for each row.
    pub fn times(&self, f: impl FnMut(usize) -> Option<i64>) -> Result<ArrayRef> {
        Ok(Arc::new((0..self.rows).map(f).collect::<Time64MicrosecondArray>()))
    }

    /// A decimal of the declared return type for each row.
    pub fn decimals(&self, f: impl FnMut(usize) -> Option<i128>) -> Result<ArrayRef> {
        let DataType::Decimal128(p, s) = self.returns else {
            return Err(Error::internal(format!("{} does not return a decimal", self.name)));
        };
        let array = (0..self.rows).map(f).collect::<Decimal128Array>().with_precision_and_scale(*p, *s);
        Ok(Arc::new(array.map_err(|e| Error::internal(e.to_string()))?))
    }
}

/// The integer that MySQL takes from the beginning of a text.
pub fn integer_prefix(text: &str) -> Option<i128> {
    let (value, scale) = parse_decimal(parse_integer_prefix(text))?;
    coerce::rescale(value, scale, 0)
}

/// Functions that change a value's type only: nothing to do when it has that type.
const WRAPPERS: [&str; 11] = [
    "fg_text",
    "fg_truth",
    "fg_int",
    "fg_float",
    "fg_exact",
    "fg_pg_sum",
    "fg_pg_avg",
    "fg_stamp",
    "fg_civil",
    "fg_ordered",
    "fg_unordered",
];

/// Functions to which a moment is a number in MySQL, with as many digits behind the point as its column declares.
const OF_NUMBERS: [&str; 9] = ["fg_neg", "fg_exact", "abs", "sign", "round", "truncate", "ceil", "ceiling", "floor"];

/// A row of the table with the facts of one session.
struct Function {
    spec: &'static Spec,
    facts: Arc<Facts>,
    signature: Signature,
}

/// The DataFusion function of a row.
pub fn udf(spec: &'static Spec, facts: &Arc<Facts>) -> ScalarUDF {
    let mut forms = Vec::new();
    if spec.least == 0 {
        forms.push(TypeSignature::Nullary);
    }
    if spec.most > 0 {
        forms.push(TypeSignature::VariadicAny);
    }
    ScalarUDF::new_from_impl(Function { spec, facts: Arc::clone(facts), signature: Signature::one_of(forms, spec.volatility) })
}

/// What a function of ours knows of its session.
pub(super) fn facts_of(function: &ScalarUDF) -> Option<&Arc<Facts>> {
    function.inner().downcast_ref::<Function>().map(|function| &function.facts)
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Function").field(&self.spec.name).finish()
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.spec.name == other.spec.name && Arc::ptr_eq(&self.facts, &other.facts)
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.spec.name.hash(state);
    }
}

impl Function {
    fn returns(&self, types: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<DataType> {
        if self.facts.family == Family::MySql && self.facts.keeps_digits && ["round", "truncate"].contains(&self.spec.name) {
            return super::numeric::padded_type(types, constants);
        }
        (self.spec.returns)(types, constants)
    }

    /// The type of the number that a moment in this argument is to the function.
    fn number_of(&self, field: &Field) -> Option<DataType> {
        let wanted = OF_NUMBERS.contains(&self.spec.name) || self.spec.name == "unix_timestamp";
        if self.facts.family != Family::MySql || !wanted { None } else { super::moments::number_of_field(field) }
    }

    fn check_arity(&self, count: usize) -> DfResult<()> {
        if (self.spec.least..=self.spec.most).contains(&count) {
            return Ok(());
        }
        let name = self.spec.name;
        let message = match self.facts.family {
            Family::MySql => format!("Incorrect parameter count in the call to native function '{name}'"),
            Family::Postgres => format!("function {name} does not take {count} arguments"),
        };
        Err(external(Error::new(Kind::WrongArguments, message)))
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.spec.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> DfResult<DataType> {
        self.check_arity(types.len())?;
        self.returns(types, &vec![None; types.len()]).map_err(external)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> DfResult<FieldRef> {
        self.check_arity(args.arg_fields.len())?;
        let types: Vec<DataType> = args.arg_fields.iter().map(|f| self.number_of(f).unwrap_or_else(|| f.data_type().clone())).collect();
        let ty = self.returns(&types, args.scalar_arguments).map_err(external)?;
        let field = Field::new(self.spec.name, ty, true);
        // A text that is more than that: a cast to JSON or UUID says so.
        if self.spec.name == super::cast_name()
            && let Some(Some(ScalarValue::Utf8(Some(declared)))) = args.scalar_arguments.get(1)
            && [JSON_TYPE, UUID_TYPE].contains(&declared.as_str())
        {
            return Ok(Arc::new(field.with_metadata([(meta::TYPE.to_owned(), declared.clone())].into())));
        }
        if self.spec.name == "gen_random_uuid" {
            return Ok(Arc::new(field.with_metadata([(meta::TYPE.to_owned(), UUID_TYPE.to_owned())].into())));
        }
        if super::json::JSON_VALUED.contains(&self.spec.name) {
            return Ok(Arc::new(field.with_metadata([(meta::TYPE.to_owned(), JSON_TYPE.to_owned())].into())));
        }
        Ok(Arc::new(field))
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> DfResult<ExprSimplifyResult> {
        // A wrapper that has nothing to do goes, so that files are still pruned by the column inside.
        if let [inner] = args.as_slice()
            && WRAPPERS.contains(&self.spec.name)
            && let Ok(ty) = info.get_data_type(inner)
            && (self.spec.returns)(std::slice::from_ref(&ty), &[None]).is_ok_and(|to| to == ty)
        {
            return Ok(ExprSimplifyResult::Simplified(inner.clone()));
        }
        // The engine's own COALESCE looks at no argument that it need not.
        if self.spec.name == "coalesce" {
            let types = args.iter().map(|e| info.get_data_type(e)).collect::<DfResult<Vec<_>>>()?;
            if types.windows(2).all(|pair| pair[0] == pair[1]) {
                return Ok(ExprSimplifyResult::Simplified(coalesce(args)));
            }
        }
        if [CASE, CASE_OF].contains(&self.spec.name) {
            let types = args.iter().map(|e| info.get_data_type(e)).collect::<DfResult<Vec<_>>>()?;
            let constants: Vec<_> = args.iter().map(|e| if let Expr::Literal(value, _) = e { Some(value) } else { None }).collect();
            let to = (self.spec.returns)(&types, &constants).map_err(external)?;
            let with = super::conversion_in(&self.facts);
            if let Some(case) = choice::parts(self.spec.name, args.clone(), |at, e| super::converted(e, &types[at], &to, with.as_ref())) {
                return Ok(ExprSimplifyResult::Simplified(Expr::Case(case)));
            }
        }
        Ok(ExprSimplifyResult::Original(args))
    }

    fn short_circuits(&self) -> bool {
        [CASE, CASE_OF].contains(&self.spec.name)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let constant = self.spec.volatility != Volatility::Volatile && args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        if rows == 0 {
            return Ok(ColumnarValue::Array(new_empty_array(args.return_field.data_type())));
        }
        let mut arrays = Vec::with_capacity(args.args.len());
        for arg in args.args {
            let array = coerce::plain(&arg.into_array(rows)?).map_err(external)?;
            let number = args.arg_fields.get(arrays.len()).filter(|_| OF_NUMBERS.contains(&self.spec.name)).and_then(|f| self.number_of(f));
            arrays.push(match number {
                Some(ty) => super::moments::as_numbers(&array, &ty, &self.facts).map_err(external)?,
                None => array,
            });
        }
        let returns = args.return_field.data_type();
        let call = Call { args: arrays, rows, facts: &self.facts, returns, name: self.spec.name, fields: &args.arg_fields };
        let mut array = (self.spec.eval)(&call).map_err(external)?;
        if array.data_type() != returns {
            array = cast(&array, returns)?;
        }
        if constant { Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)) } else { Ok(ColumnarValue::Array(array)) }
    }
}
