//! SLEEP(n) and pg_sleep(n): asynchronous, so that KILL, cancel and time limits end them.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::async_udf::{AsyncScalarUDF, AsyncScalarUDFImpl};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::types::Family;

#[derive(Debug)]
struct Sleep {
    family: Family,
    signature: Signature,
}

impl PartialEq for Sleep {
    fn eq(&self, other: &Self) -> bool {
        self.family == other.family
    }
}

impl Eq for Sleep {}

impl Hash for Sleep {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.family.hash(state);
    }
}

/// The sleeping function of a dialect.
pub(super) fn udf(family: Family) -> ScalarUDF {
    let sleep = Sleep { family, signature: Signature::any(1, Volatility::Volatile) };
    AsyncScalarUDF::new(Arc::new(sleep)).into_scalar_udf()
}

impl ScalarUDFImpl for Sleep {
    fn name(&self) -> &str {
        match self.family {
            Family::MySql => "sleep",
            Family::Postgres => "pg_sleep",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.family {
            Family::MySql => DataType::Int64,
            Family::Postgres => DataType::Utf8,
        })
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(DataFusionError::Internal("sleep runs asynchronously".into()))
    }
}

#[async_trait]
impl AsyncScalarUDFImpl for Sleep {
    async fn invoke_async_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        for arg in args.args {
            let seconds = cast(&arg.into_array(rows)?, &DataType::Float64)?;
            for seconds in seconds.as_primitive::<Float64Type>().iter().flatten() {
                if let Ok(pause) = Duration::try_from_secs_f64(seconds) {
                    tokio::time::sleep(pause).await;
                }
            }
        }
        let array: ArrayRef = match self.family {
            Family::MySql => Arc::new(Int64Array::from(vec![0; rows])),
            Family::Postgres => Arc::new(StringArray::from(vec![""; rows])),
        };
        debug_assert_eq!(array.len(), rows);
        Ok(ColumnarValue::Array(array))
    }
}
