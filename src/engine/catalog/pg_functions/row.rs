//! A DataFusion function that is computed row by row: catalogs are small, and clarity is worth more here.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::new_empty_array;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::prelude::SessionContext;
use datafusion::scalar::ScalarValue;

type Eval = dyn Fn(&[ScalarValue]) -> ScalarValue + Send + Sync;
/// The error, if any, that a missing value is for these arguments.
type Nothing = fn(&[ScalarValue]) -> Option<crate::error::Error>;

/// What a function returns, from the types of its arguments.
pub(super) type ReturnType = fn(&[DataType]) -> DataType;

/// A function of any number of arguments of any type.
#[derive(Clone)]
pub(super) struct RowFunction {
    name: &'static str,
    signature: Signature,
    fixed: DataType,
    derived: Option<ReturnType>,
    eval: Arc<Eval>,
    /// What a NULL means when it is an error.
    nothing: Option<Nothing>,
}

impl RowFunction {
    pub(super) fn new(name: &'static str, returns: DataType, eval: impl Fn(&[ScalarValue]) -> ScalarValue + Send + Sync + 'static) -> Self {
        let signature = Signature::one_of(
            vec![datafusion::logical_expr::TypeSignature::Nullary, datafusion::logical_expr::TypeSignature::VariadicAny],
            Volatility::Stable,
        );
        RowFunction { name, signature, fixed: returns, derived: None, eval: Arc::new(eval), nothing: None }
    }

    /// The type of the result follows from those of the arguments.
    pub(super) fn derived(
        name: &'static str,
        returns: ReturnType,
        eval: impl Fn(&[ScalarValue]) -> ScalarValue + Send + Sync + 'static,
    ) -> Self {
        RowFunction { derived: Some(returns), ..RowFunction::new(name, DataType::Null, eval) }
    }

    /// Without a value for these arguments the function fails, or (None) is NULL.
    pub(super) fn or_error(self, nothing: Nothing) -> Self {
        RowFunction { nothing: Some(nothing), ..self }
    }

    fn value(&self, args: &[ScalarValue]) -> Result<ScalarValue> {
        let value = (self.eval)(args);
        match self.nothing.filter(|_| value.is_null()).and_then(|nothing| nothing(args)) {
            Some(error) => Err(datafusion::error::DataFusionError::External(Box::new(error))),
            None => Ok(value),
        }
    }
}

pub(super) fn register(ctx: &SessionContext, function: RowFunction) {
    ctx.register_udf(ScalarUDF::new_from_impl(function));
}

impl fmt::Debug for RowFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowFunction").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartialEq for RowFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.eval, &other.eval)
    }
}

impl Eq for RowFunction {}

impl Hash for RowFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for RowFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        Ok(self.derived.map_or_else(|| self.fixed.clone(), |derive| derive(args)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalars: Option<Vec<ScalarValue>> =
            args.args.iter().map(|a| if let ColumnarValue::Scalar(s) = a { Some(s.clone()) } else { None }).collect();
        if let Some(scalars) = scalars {
            return Ok(ColumnarValue::Scalar(self.value(&scalars)?));
        }
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let mut results = Vec::with_capacity(args.number_rows);
        for row in 0..args.number_rows {
            let values = arrays.iter().map(|a| ScalarValue::try_from_array(a, row)).collect::<Result<Vec<_>>>()?;
            results.push(self.value(&values)?);
        }
        if results.is_empty() {
            return Ok(ColumnarValue::Array(new_empty_array(args.return_field.data_type())));
        }
        Ok(ColumnarValue::Array(ScalarValue::iter_to_array(results)?))
    }
}
