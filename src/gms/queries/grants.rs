//! `fg_grants`.

use sea_query::{Cond, Expr, ExprTrait, Query};

use crate::error::Result;
use crate::gms::backend::{Db, Tx};
use crate::gms::grants::Grant;

const COLUMNS: [&str; 5] = ["protocol", "grantee", "privilege", "schema_name", "table_name"];

/// All grants.
pub async fn grants(db: &Db) -> Result<Vec<Grant>> {
    let query = Query::select().columns(COLUMNS).from("fg_grants").take();
    let grant = |row: &crate::gms::backend::Row| {
        Ok(Grant { protocol: row.text(0)?, grantee: row.text(1)?, privilege: row.text(2)?, database: row.text(3)?, table: row.text(4)? })
    };
    db.rows(query).await?.iter().map(grant).collect()
}

fn values(grant: &Grant) -> [&str; 5] {
    [&grant.protocol, &grant.grantee, &grant.privilege, &grant.database, &grant.table]
}

/// A grant that is not there yet.
pub async fn put(tx: &mut Tx, grant: &Grant) -> Result<()> {
    // Another process may have granted it since memory was read.
    remove(tx, grant).await?;
    let insert = Query::insert().into_table("fg_grants").columns(COLUMNS).values_panic(values(grant).map(Expr::from)).take();
    tx.run(insert).await.map(drop)
}

/// A grant goes.
pub async fn remove(tx: &mut Tx, grant: &Grant) -> Result<()> {
    let mut same = Cond::all();
    for (column, value) in COLUMNS.into_iter().zip(values(grant)) {
        same = same.add(Expr::col(column).eq(value));
    }
    tx.run(Query::delete().from_table("fg_grants").cond_where(same).take()).await.map(drop)
}
