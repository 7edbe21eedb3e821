//! A row of the table of functions ([`Spec`]) as a function of DataFusion, with the facts of one session.

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

use super::cast::cast_name;
use super::choice::{self, CASE, CASE_OF, case_parts, converted};
use super::facts::Facts;
use super::scalar::{Call, JSON_TYPE, Spec};
use super::{json, moments, numeric};
use crate::engine::error::external;
use crate::error::{Error, Kind, Result};
use crate::types::coerce::{self, Family};
use crate::types::meta;

/// How [`crate::types::SqlType::Uuid`] is written in a field's metadata.
const UUID_TYPE: &str = "\"Uuid\"";

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

/// Functions to which a moment is a number in MySQL, with as many digits after the point as its column declares.
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

/// What makes a value one of another type, in the session of a function of this table.
pub(in crate::engine) fn conversion(function: &ScalarUDF) -> Option<Arc<ScalarUDF>> {
    let function = function.inner().downcast_ref::<Function>()?;
    Some(conversion_in(&function.facts))
}

/// The same in a session with these facts.
pub(in crate::engine) fn conversion_in(facts: &Arc<Facts>) -> Arc<ScalarUDF> {
    Arc::new(udf(choice::conversion_spec(), facts))
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
            return numeric::padded_type(types, constants);
        }
        (self.spec.returns)(types, constants)
    }

    /// The type of the number that a moment in this argument is to the function.
    fn number_of(&self, field: &Field) -> Option<DataType> {
        let wanted = OF_NUMBERS.contains(&self.spec.name) || self.spec.name == "unix_timestamp";
        if self.facts.family != Family::MySql || !wanted { None } else { moments::number_of_field(field) }
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
        if self.spec.name == cast_name()
            && let Some(Some(ScalarValue::Utf8(Some(declared)))) = args.scalar_arguments.get(1)
            && [JSON_TYPE, UUID_TYPE].contains(&declared.as_str())
        {
            return Ok(Arc::new(field.with_metadata([(meta::TYPE.to_owned(), declared.clone())].into())));
        }
        if self.spec.name == "gen_random_uuid" {
            return Ok(Arc::new(field.with_metadata([(meta::TYPE.to_owned(), UUID_TYPE.to_owned())].into())));
        }
        if json::JSON_VALUED.contains(&self.spec.name) {
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
            let with = conversion_in(&self.facts);
            if let Some(case) = case_parts(self.spec.name, args.clone(), |at, e| converted(e, &types[at], &to, Some(&with))) {
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
                Some(ty) => moments::as_numbers(&array, &ty, &self.facts).map_err(external)?,
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
