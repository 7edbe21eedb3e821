//! SHOW VARIABLES, STATUS, WARNINGS, PROCESSLIST, ENGINES and the rest that is about the server; PostgreSQL's SHOW.

use super::context::{ShowContext, Warning};
use super::grid::Grid;
use crate::engine::catalog::charsets::{CHARSETS, COLLATIONS, default_collation};
use crate::engine::catalog::{Cell, PRIVILEGES};
use crate::error::{Error, Kind, Result};
use crate::gms::StorageStatus;
use crate::types::same;
use crate::variables::Scope;

/// Characters of a statement that SHOW PROCESSLIST shows without FULL.
const SHORT_INFO: usize = 100;

pub(super) fn variables(scope: Scope, context: &ShowContext<'_>) -> Grid {
    let mut grid = Grid::new("Variable_name:v64,Value:v1024");
    for variable in context.variables.all(scope) {
        grid.push([variable.name.into(), variable.value.into()]);
    }
    grid
}

pub(super) fn status(context: &ShowContext<'_>) -> Grid {
    let mut grid = Grid::new("Variable_name:v64,Value:v1024");
    for (name, value) in &context.snapshot.status {
        grid.push([name.into(), value.into()]);
    }
    grid.sorted()
}

pub(super) fn warnings(context: &ShowContext<'_>, which: fn(&Warning) -> bool, offset: u64, limit: Option<u64>) -> Grid {
    let mut grid = Grid::new("Level:v7,Code:uint,Message:v512");
    let skip = usize::try_from(offset).unwrap_or(usize::MAX);
    let take = limit.map_or(usize::MAX, |l| usize::try_from(l).unwrap_or(usize::MAX));
    for w in context.warnings.iter().filter(|w| which(w)).skip(skip).take(take) {
        grid.push([w.level.into(), Cell::Int(i64::from(w.code)), w.message.as_str().into()]);
    }
    grid
}

pub(super) fn processlist(full: bool, context: &ShowContext<'_>) -> Grid {
    let mut grid = Grid::new("Id:ubigint,User:v32,Host:v261,db:v64,Command:v16,Time:int,State:v64,Info:text");
    for p in &context.snapshot.processes {
        let info = p.statement.as_ref().map(|s| if full { s.clone() } else { s.chars().take(SHORT_INFO).collect() });
        grid.push([
            Cell::UInt(u64::from(p.id)),
            p.user.as_str().into(),
            p.host.as_str().into(),
            p.database.as_deref().into(),
            p.command.as_str().into(),
            Cell::Int((context.snapshot.now.as_second() - p.since.as_second()).max(0)),
            p.state.as_str().into(),
            info.into(),
        ]);
    }
    grid
}

pub(super) fn engines(context: &ShowContext<'_>) -> Grid {
    let mut grid = Grid::new("Engine:v64,Support:v8,Comment:v80,Transactions:v3,XA:v3,Savepoints:v3");
    let default = context.variables.text("default_storage_engine").unwrap_or_default();
    for storage in &context.snapshot.metadata.storages {
        let support = match () {
            () if storage.status == StorageStatus::Disabled => "DISABLED",
            () if same(&default, &storage.engine) => "DEFAULT",
            () => "YES",
        };
        let comment = "Cold tables: ORC files whose history is kept";
        grid.push([storage.engine.as_str().into(), support.into(), comment.into(), "YES".into(), "NO".into(), "YES".into()]);
    }
    grid
}

pub(super) fn collations() -> Grid {
    let mut grid = Grid::new("Collation:v64,Charset:v64,Id:ubigint,Default:v3,Compiled:v3,Sortlen:uint,Pad_attribute:v9");
    for c in COLLATIONS {
        let default = if c.default { "Yes" } else { "" };
        let sort_length = if c.pad == "NO PAD" { 0 } else { 1 };
        grid.push([
            c.name.into(),
            c.charset.into(),
            Cell::UInt(u64::from(c.id)),
            default.into(),
            "Yes".into(),
            sort_length.into(),
            c.pad.into(),
        ]);
    }
    grid
}

pub(super) fn charsets() -> Grid {
    let mut grid = Grid::new("Charset:v64,Description:v2048,Default collation:v64,Maxlen:uint");
    for c in CHARSETS {
        grid.push([c.name.into(), c.description.into(), default_collation(c.name).into(), c.max_len.into()]);
    }
    grid
}

pub(super) fn privileges() -> Grid {
    let mut grid = Grid::new("Privilege:v64,Context:v128,Comment:text");
    for privilege in PRIVILEGES {
        let context = if privilege == "PROCESS" { "Server Admin" } else { "Databases,Tables" };
        grid.push([privilege.into(), context.into(), "every user has it".into()]);
    }
    grid
}

pub(super) fn grants(user: Option<&str>, context: &ShowContext<'_>) -> Result<Grid> {
    let name = match user {
        Some(user) => user.split('@').next().unwrap_or_default().trim_matches(['\'', '`', '"']),
        None => &context.snapshot.user,
    };
    if !context.snapshot.users.iter().any(|u| u == name) {
        return Err(Error::new(Kind::Refused, format!("There is no such grant defined for user '{name}' on host '%'")));
    }
    let grant = format!("GRANT {} ON *.* TO `{}`@`%`", PRIVILEGES.join(", "), name.replace('`', "``"));
    Ok(Grid::new("Grants:v1024").relabel(0, format!("Grants for {name}@%")).row([grant.into()]))
}

pub(super) fn plugins(context: &ShowContext<'_>) -> Grid {
    let mut grid = Grid::new("Name:v64,Status:v10,Type:v80,Library:v64,License:v80");
    let mut push = |name: &str, kind: &str| grid.push([name.into(), "ACTIVE".into(), kind.into(), Cell::Null, "Apache-2.0".into()]);
    push("caching_sha2_password", "AUTHENTICATION");
    push("mysql_native_password", "AUTHENTICATION");
    context.snapshot.metadata.storages.iter().for_each(|s| push(&s.engine, "STORAGE ENGINE"));
    grid
}

pub(super) fn triggers() -> Grid {
    Grid::new(
        "Trigger:v64,Event:v6,Table:v64,Statement:text,Timing:v6,Created:datetime,sql_mode:text,Definer:v288,character_set_client:v64,\
         collation_connection:v64,Database Collation:v64",
    )
}

pub(super) fn events() -> Grid {
    Grid::new(
        "Db:v64,Name:v64,Definer:v288,Time zone:v64,Type:v9,Execute at:datetime,Interval value:v256,Interval field:v18,Starts:datetime,\
         Ends:datetime,Status:v18,Originator:uint,character_set_client:v64,collation_connection:v64,Database Collation:v64",
    )
}

pub(super) fn routines() -> Grid {
    Grid::new(
        "Db:v64,Name:v64,Type:v9,Definer:v288,Modified:datetime,Created:datetime,Security_type:v7,Comment:text,character_set_client:v64,\
         collation_connection:v64,Database Collation:v64",
    )
}

/// There is no replication: no rows, and the columns that monitors look for.
pub(super) fn replica_status(old_names: bool) -> Grid {
    if old_names {
        return Grid::new(
            "Slave_IO_State:v256,Master_Host:v256,Master_User:v96,Master_Port:uint,Connect_Retry:uint,Master_Log_File:v512,Read_Master_Log_Pos:ubigint,\
             Relay_Log_File:v512,Relay_Log_Pos:ubigint,Slave_IO_Running:v3,Slave_SQL_Running:v3,Last_Errno:int,Last_Error:text,Seconds_Behind_Master:ubigint",
        );
    }
    Grid::new(
        "Replica_IO_State:v256,Source_Host:v256,Source_User:v96,Source_Port:uint,Connect_Retry:uint,Source_Log_File:v512,Read_Source_Log_Pos:ubigint,\
         Relay_Log_File:v512,Relay_Log_Pos:ubigint,Replica_IO_Running:v3,Replica_SQL_Running:v3,Last_Errno:int,Last_Error:text,Seconds_Behind_Source:ubigint",
    )
}

pub(super) fn setting(name: &str, context: &ShowContext<'_>) -> Result<Grid> {
    let label = crate::variables::definition(context.variables.family(), name).map_or_else(|| name.to_owned(), |d| d.name.to_owned());
    let value = context.variables.text(name).ok_or_else(|| context.variables.unknown(name))?;
    Ok(Grid::new("setting:text").relabel(0, label).row([value.into()]))
}

pub(super) fn all_settings(context: &ShowContext<'_>) -> Grid {
    let mut grid = Grid::new("name:text,setting:text,description:text");
    for s in context.variables.all(Scope::Session) {
        grid.push([s.name.into(), s.value.into(), s.description.into()]);
    }
    grid
}
