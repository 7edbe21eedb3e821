//! Stand-ins: views without rows that take the place of cold tables in the upstream's catalog.

use super::cursor::Cursor;
use super::ddl::{Name, StandIn};
use super::printer::{Printer, flag, list};
use super::statement::Statement;
use crate::error::Result;

pub(super) fn parse(cursor: &mut Cursor, outer: bool) -> Result<Option<Statement>> {
    if !outer {
        return Ok(None);
    }
    let verb = cursor.accept_one(&["CREATE OR REPLACE STANDIN", "CREATE STANDIN", "DROP STANDIN", "SHOW COLD STANDINS"]);
    Ok(Some(Statement::StandIn(match verb {
        None => return Ok(None),
        Some("SHOW COLD STANDINS") => StandIn::Show,
        Some("DROP STANDIN") => {
            let if_exists = cursor.accept("IF EXISTS");
            StandIn::Drop { if_exists, names: names(cursor)? }
        }
        Some(verb) => StandIn::Create { or_replace: verb.contains("REPLACE"), names: names(cursor)? },
    })))
}

fn names(cursor: &mut Cursor) -> Result<Vec<Name>> {
    cursor.expect("FOR COLD TABLE")?;
    cursor.list(Cursor::name)
}

impl Printer<'_> {
    pub(super) fn stand_in(&self, stand_in: &StandIn) -> String {
        let of = |names: &[Name]| format!("FOR COLD TABLE {}", list(names, |name| self.name(name)));
        match stand_in {
            StandIn::Create { or_replace, names } => format!("CREATE {}STANDIN {}", flag(*or_replace, "OR REPLACE "), of(names)),
            StandIn::Drop { if_exists, names } => format!("DROP STANDIN {}{}", flag(*if_exists, "IF EXISTS "), of(names)),
            StandIn::Show => "SHOW COLD STANDINS".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Dialect, parse};

    #[test]
    fn stand_ins_are_read_in_both_languages() {
        let name = |parts: &[&str]| Name { parts: parts.iter().map(|part| (*part).to_owned()).collect() };
        for dialect in [Dialect::MYSQL, Dialect::POSTGRES] {
            let one = |text: &str| parse(&dialect, text).map(|mut all| all.remove(0).statement);
            let create = StandIn::Create { or_replace: true, names: vec![name(&["d", "t"]), name(&["u"])] };
            assert_eq!(one("create or replace standin for cold table d.t, u").unwrap(), Statement::StandIn(create));
            let drop = StandIn::Drop { if_exists: true, names: vec![name(&["t"])] };
            assert_eq!(one("DROP STANDIN IF EXISTS FOR COLD TABLE t").unwrap(), Statement::StandIn(drop));
            assert_eq!(one("SHOW COLD STANDINS").unwrap(), Statement::StandIn(StandIn::Show));
            for wrong in
                ["CREATE STANDIN t", "CREATE STANDIN FOR COLD TABLE", "DROP STANDIN FOR COLD TABLE t CASCADE", "EXPLAIN SHOW COLD STANDINS"]
            {
                assert!(one(wrong).is_err(), "{wrong}");
            }
        }
    }
}
