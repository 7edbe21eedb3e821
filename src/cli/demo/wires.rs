//! The tour's two clients: ordinary drivers, one for each protocol, that print what they ask and what they get.

use std::net::SocketAddr;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use tokio::task::JoinHandle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::answer::Answer;
use crate::cli::Failure;

/// Both connections.
pub(super) struct Wires {
    mysql: Conn,
    postgres: Client,
    /// Moves the PostgreSQL client's bytes.
    pump: JoinHandle<()>,
}

impl Wires {
    /// Connects as root to `database`.
    pub async fn connect(mysql: SocketAddr, postgres: SocketAddr, database: &str) -> Result<Wires, Failure> {
        let options = OptsBuilder::default()
            .ip_or_hostname(mysql.ip().to_string())
            .tcp_port(mysql.port())
            .user(Some("root"))
            .db_name(Some(database))
            .prefer_socket(false);
        let mysql = Conn::new(options).await.map_err(|e| Failure::Failed(format!("no MySQL client could connect: {e}")))?;
        let mut config = tokio_postgres::Config::new();
        config.host(postgres.ip().to_string()).port(postgres.port()).user("root").dbname(database);
        let (client, connection) =
            config.connect(NoTls).await.map_err(|e| Failure::Failed(format!("no PostgreSQL client could connect: {e}")))?;
        let pump = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(%error, "the tour's PostgreSQL connection broke");
            }
        });
        Ok(Wires { mysql, postgres: client, pump })
    }

    /// Says goodbye on both.
    pub async fn close(self) -> Result<(), Failure> {
        drop(self.postgres);
        self.mysql.disconnect().await.map_err(|e| Failure::Failed(e.to_string()))?;
        self.pump.await.map_err(|e| Failure::Failed(e.to_string()))
    }

    /// A statement on the MySQL wire.
    pub async fn mysql(&mut self, sql: &str) -> Answer {
        println!("mysql> {sql};");
        let asked = async {
            let mut result = self.mysql.query_iter(sql).await?;
            collect(&mut result).await
        };
        print(sql, asked.await.map_err(mysql_error))
    }

    /// A prepared statement on the MySQL wire, with one parameter.
    pub async fn mysql_prepared(&mut self, sql: &str, param: &str) -> Answer {
        println!("mysql> {sql};    -- prepared, with '{param}'");
        let asked = async {
            let mut result = self.mysql.exec_iter(sql, (param,)).await?;
            collect(&mut result).await
        };
        print(sql, asked.await.map_err(mysql_error))
    }

    /// A statement on the PostgreSQL wire.
    pub async fn postgres(&mut self, sql: &str) -> Answer {
        println!("postgres=> {sql};");
        let asked = self.postgres.simple_query(sql).await.map(simple).map_err(postgres_error);
        print(sql, asked)
    }

    /// A prepared statement on the PostgreSQL wire, with one parameter; its columns must be text.
    pub async fn postgres_prepared(&mut self, sql: &str, param: &str) -> Answer {
        println!("postgres=> {sql};    -- prepared, with '{param}'");
        let asked = async {
            let statement = self.postgres.prepare_typed(sql, &[tokio_postgres::types::Type::TEXT]).await?;
            let params: [&(dyn ToSql + Sync); 1] = [&param];
            let rows = self.postgres.query(&statement, &params).await?;
            let columns: Vec<String> = statement.columns().iter().map(|c| c.name().to_owned()).collect();
            let cells = rows.iter().map(|row| (0..columns.len()).map(|i| row.try_get(i)).collect());
            Ok(Answer { rows: cells.collect::<Result<_, _>>()?, columns, ..Answer::default() })
        };
        print(sql, asked.await.map_err(postgres_error))
    }
}

/// Puts the statement in, prints the answer.
fn print(sql: &str, asked: Result<Answer, (String, String)>) -> Answer {
    let answer = match asked {
        Ok(answer) => Answer { sql: sql.to_owned(), ..answer },
        Err(error) => Answer { sql: sql.to_owned(), error: Some(error), ..Answer::default() },
    };
    println!("{answer}");
    answer
}

async fn collect<P: mysql_async::prelude::Protocol>(
    result: &mut mysql_async::QueryResult<'_, '_, P>,
) -> Result<Answer, mysql_async::Error> {
    let columns = result.columns_ref().iter().map(|c| c.name_str().into_owned()).collect();
    let rows: Vec<mysql_async::Row> = result.collect().await?;
    let rows = rows.into_iter().map(|row| row.unwrap().into_iter().map(cell).collect()).collect();
    Ok(Answer { columns, rows, affected: result.affected_rows(), ..Answer::default() })
}

/// A value as MySQL's own client prints it.
fn cell(value: mysql_async::Value) -> Option<String> {
    match value {
        mysql_async::Value::NULL => None,
        mysql_async::Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        mysql_async::Value::Date(y, mo, d, h, mi, s, 0) => Some(format!("{y:04}-{mo:02}-{d:02} {h:02}:{mi:02}:{s:02}")),
        other => Some(other.as_sql(true).trim_matches('\'').to_owned()),
    }
}

fn mysql_error(error: mysql_async::Error) -> (String, String) {
    match error {
        mysql_async::Error::Server(e) => (e.code.to_string(), e.message),
        other => ("client".to_owned(), other.to_string()),
    }
}

fn simple(messages: Vec<SimpleQueryMessage>) -> Answer {
    let mut answer = Answer::default();
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(columns) => answer.columns = columns.iter().map(|c| c.name().to_owned()).collect(),
            SimpleQueryMessage::Row(row) => answer.rows.push((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect()),
            SimpleQueryMessage::CommandComplete(rows) => answer.affected = rows,
            _ => {}
        }
    }
    answer
}

fn postgres_error(error: tokio_postgres::Error) -> (String, String) {
    match error.as_db_error() {
        Some(e) => (e.code().code().to_owned(), [Some(e.message()), e.hint()].into_iter().flatten().collect::<Vec<_>>().join(" -- ")),
        None => ("client".to_owned(), error.to_string()),
    }
}
