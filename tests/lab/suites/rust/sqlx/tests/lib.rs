//! sqlx's tests of MySQL and PostgreSQL, and what they call of `sqlx-test`, a crate that is not published.
//!
//! Not here: macros.rs, whose `query!` asks a database at compile time, rustsec.rs, which sends 4 GiB, and mysql/derives.rs, which
//! derives unsigned types that do not compile where PostgreSQL is there too.

// The tests know this crate by the name of the helper.
extern crate self as sqlx_test;
// In the prelude, for the modules in modules that say `time::`.
extern crate time_ as time;

use sqlx::pool::PoolOptions;
use sqlx::{Connection, Database, Pool};

mod mysql {
    mod describe;
    mod error;
    mod migrate;
    mod mysql;
    #[path = "test-attr.rs"]
    mod test_attr;
    mod types;
}

mod postgres {
    mod derives;
    mod describe;
    mod error;
    mod migrate;
    mod postgres;
    mod query_builder;
    #[path = "test-attr.rs"]
    mod test_attr;
    mod types;
}

pub fn setup_if_needed() {}

pub async fn new<DB: Database>() -> anyhow::Result<DB::Connection> {
    Ok(DB::Connection::connect(&std::env::var("DATABASE_URL")?).await?)
}

pub async fn pool<DB: Database>() -> anyhow::Result<Pool<DB>> {
    Ok(PoolOptions::new().max_connections(5).connect(&std::env::var("DATABASE_URL")?).await?)
}

/// What a value is as SQL, compared by the server with the value bound, and both of them read back.
#[macro_export]
macro_rules! comparison {
    (MySql) => {
        "SELECT CAST({0} <=> ? AS SIGNED INTEGER), {0}, ?"
    };
    (Postgres) => {
        "SELECT ({0} IS NOT DISTINCT FROM $1)::int4, {0}, $2"
    };
}

#[macro_export]
macro_rules! test_type {
    ($name:ident<$ty:ty>($db:ident, $sql:literal, $($text:literal == $value:expr),+ $(,)?)) => {
        $crate::test_prepared_type!($name<$ty>($db, $sql, $($text == $value),+));
        $crate::test_unprepared_type!($name<$ty>($db, $($text == $value),+));
    };
    ($name:ident<$ty:ty>($db:ident, $($text:literal == $value:expr),+ $(,)?)) => {
        $crate::test_prepared_type!($name<$ty>($db, $($text == $value),+));
        $crate::test_unprepared_type!($name<$ty>($db, $($text == $value),+));
    };
    ($name:ident($($rest:tt)+)) => {
        $crate::test_type!($name<$name>($($rest)+));
    };
}

#[macro_export]
macro_rules! test_prepared_type {
    ($name:ident<$ty:ty>($db:ident, $sql:literal, $($text:literal == $value:expr),+ $(,)?)) => {
        $crate::bind_and_read!($name<$ty>($db, $sql, $($text == $value),+));
    };
    ($name:ident<$ty:ty>($db:ident, $($text:literal == $value:expr),+ $(,)?)) => {
        $crate::bind_and_read!($name<$ty>($db, $crate::comparison!($db), $($text == $value),+));
    };
}

#[macro_export]
macro_rules! bind_and_read {
    ($name:ident<$ty:ty>($db:ident, $sql:expr, $($text:literal == $value:expr),+)) => {
        paste::item! {
            #[sqlx_macros::test]
            async fn [<test_prepared_type_ $name>]() -> anyhow::Result<()> {
                use sqlx::Row as _;
                let mut conn = $crate::new::<$db>().await?;
                $(
                    let query = format!($sql, $text);
                    let row = sqlx::query(&query).bind($value).bind($value).fetch_one(&mut conn).await?;
                    assert_eq!(row.try_get::<i32, _>(0)?, 1, "the server takes {} and {:?} for different values", $text, $value);
                    assert_eq!($value, row.try_get::<$ty, _>(1)?);
                    assert_eq!($value, row.try_get::<$ty, _>(2)?);
                )+
                Ok(())
            }
        }
    };
}

#[macro_export]
macro_rules! test_unprepared_type {
    ($name:ident<$ty:ty>($db:ident, $($text:literal == $value:expr),+ $(,)?)) => {
        paste::item! {
            #[sqlx_macros::test]
            async fn [<test_unprepared_type_ $name>]() -> anyhow::Result<()> {
                use sqlx::{Executor as _, Row as _};
                let mut conn = $crate::new::<$db>().await?;
                $(
                    let row = conn.fetch_one(concat!("SELECT ", $text, " AS _1")).await?;
                    assert_eq!($value, row.try_get::<$ty, _>("_1")?);
                )+
                Ok(())
            }
        }
    };
}

/// Of types that are read but not bound.
#[macro_export]
macro_rules! test_decode_type {
    ($name:ident<$ty:ty>($db:ident, $($text:literal == $value:expr),+ $(,)?)) => {
        $crate::test_unprepared_type!($name<$ty>($db, $($text == $value),+));
        paste::item! {
            #[sqlx_macros::test]
            async fn [<test_decode_type_ $name>]() -> anyhow::Result<()> {
                use sqlx::Row as _;
                let mut conn = $crate::new::<$db>().await?;
                $(
                    let row = sqlx::query(concat!("SELECT ", $text, " AS _1")).fetch_one(&mut conn).await?;
                    assert_eq!($value, row.try_get::<$ty, _>("_1")?);
                )+
                Ok(())
            }
        }
    };
}
