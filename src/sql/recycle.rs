//! The recycle bin: SHOW RECYCLEBIN, FLASHBACK TABLE, PURGE TABLE, PURGE RECYCLEBIN.

use super::cursor::Cursor;
use super::statement::Statement;
use crate::error::Result;

pub(super) fn parse(cursor: &mut Cursor, _outer: bool) -> Result<Option<Statement>> {
    let verb = cursor.accept_one(&["SHOW RECYCLEBIN", "FLASHBACK TABLE", "PURGE TABLE", "PURGE RECYCLEBIN"]);
    Ok(Some(match verb {
        Some("SHOW RECYCLEBIN") => Statement::ShowRecycleBin,
        Some("FLASHBACK TABLE") => {
            let name = cursor.name()?;
            cursor.expect("TO BEFORE DROP")?;
            let rename_to = if cursor.accept("RENAME TO") { Some(cursor.ident()?) } else { None };
            Statement::FlashbackTable { name, rename_to }
        }
        Some("PURGE TABLE") => Statement::PurgeTable { name: cursor.name()? },
        Some(_) => Statement::PurgeRecycleBin,
        None => return Ok(None),
    }))
}
