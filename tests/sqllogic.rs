//! The sqllogictest files of sql-tests/, over both wires against one server: `flashgate demo`, whose tables have a
//! history in 2022.
//!
//! A file with `mysql` or `postgres` in its name runs on that wire only, all others on both; `demo*` in the database with
//! the history, all others in an empty database of their own. `let name` of a file captures a value (a time, mostly) that later statements name as `$name`
//! once they say `control substitution on`. Error messages read `CODE (SQLSTATE): text`, and `statement error (SQLSTATE)`
//! tests the state alone. FLASHGATE_SLT=word runs only the files with that word in their name.
#![allow(clippy::unwrap_used)]

use std::fmt;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use async_trait::async_trait;
use mysql_async::prelude::Queryable;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Record, Runner};
use tokio_postgres::SimpleQueryMessage;

/// A `flashgate demo` of its own, killed at the end.
struct Server {
    child: Child,
    mysql: SocketAddr,
    postgres: SocketAddr,
    _data: tempfile::TempDir,
}

impl Server {
    fn start() -> Server {
        let data = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_flashgate"))
            .args(["demo", "--mysql-listen", "127.0.0.1:0", "--postgres-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"])
            .arg("--data-dir")
            .arg(data.path())
            .env("FLASHGATE_LOG_LEVEL", "error")
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = child.stdout.take().unwrap();
        let (send, ready) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        let line = ready.recv_timeout(Duration::from_secs(60)).expect("no ready line within a minute");
        let address = |name: &str| line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok()).unwrap();
        assert!(line.starts_with("flashgate ready "), "{line}");
        Server { mysql: address("mysql"), postgres: address("postgres"), child, _data: data }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An error as the files name it.
#[derive(Debug)]
struct SqlError {
    code: String,
    state: String,
    message: String,
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.code, self.state, self.message)
    }
}

impl std::error::Error for SqlError {}

impl SqlError {
    fn client(error: impl fmt::Display) -> SqlError {
        SqlError { code: "client".into(), state: "client".into(), message: error.to_string() }
    }
}

impl From<mysql_async::Error> for SqlError {
    fn from(error: mysql_async::Error) -> SqlError {
        match error {
            mysql_async::Error::Server(e) => SqlError { code: e.code.to_string(), state: e.state, message: e.message },
            other => SqlError::client(other),
        }
    }
}

impl From<tokio_postgres::Error> for SqlError {
    fn from(error: tokio_postgres::Error) -> SqlError {
        match error.as_db_error() {
            Some(e) => {
                let message = [Some(e.message()), e.hint()].into_iter().flatten().collect::<Vec<_>>().join(" ");
                SqlError { code: "ERROR".into(), state: e.code().code().into(), message }
            }
            None => SqlError::client(error),
        }
    }
}

type Output = Result<DBOutput<DefaultColumnType>, SqlError>;

/// One connection.
enum Connection {
    MySql(Box<mysql_async::Conn>),
    Postgres(tokio_postgres::Client),
}

impl Connection {
    async fn mysql(address: SocketAddr, database: Option<&str>) -> Result<Connection, SqlError> {
        let options = mysql_async::OptsBuilder::default()
            .ip_or_hostname(address.ip().to_string())
            .tcp_port(address.port())
            .user(Some("root"))
            .db_name(database)
            .prefer_socket(false);
        Ok(Connection::MySql(Box::new(mysql_async::Conn::new(options).await?)))
    }

    async fn postgres(address: SocketAddr, database: &str) -> Result<Connection, SqlError> {
        let mut config = tokio_postgres::Config::new();
        config.host(address.ip().to_string()).port(address.port()).user("root").dbname(database);
        let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        Ok(Connection::Postgres(client))
    }
}

/// Empty text and NULL are told apart from each other and from nothing.
fn cell(text: Option<&str>) -> String {
    match text {
        None => "NULL".to_owned(),
        Some("") => "(empty)".to_owned(),
        Some(text) => text.to_owned(),
    }
}

async fn run_mysql(connection: &mut mysql_async::Conn, sql: &str) -> Output {
    let mut result = connection.query_iter(sql).await?;
    let width = result.columns_ref().len();
    if width == 0 {
        return Ok(DBOutput::StatementComplete(result.affected_rows()));
    }
    let rows: Vec<mysql_async::Row> = result.collect().await?;
    let text = |value: mysql_async::Value| match value {
        mysql_async::Value::NULL => cell(None),
        mysql_async::Value::Bytes(bytes) => match String::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => cell(Some(&text)),
            Ok(text) => format!("0x{}", hex::encode_upper(text)),
            Err(error) => format!("0x{}", hex::encode_upper(error.into_bytes())),
        },
        other => format!("{other:?}"),
    };
    let rows = rows.into_iter().map(|row| row.unwrap().into_iter().map(text).collect()).collect();
    Ok(DBOutput::Rows { types: vec![DefaultColumnType::Any; width], rows })
}

async fn run_postgres(client: &tokio_postgres::Client, sql: &str) -> Output {
    let (mut width, mut rows, mut affected) = (None, Vec::new(), 0);
    for message in client.simple_query(sql).await? {
        match message {
            SimpleQueryMessage::RowDescription(columns) => width = Some(columns.len()),
            SimpleQueryMessage::Row(row) => rows.push((0..row.len()).map(|i| cell(row.get(i))).collect()),
            SimpleQueryMessage::CommandComplete(n) => affected = n,
            _ => {}
        }
    }
    Ok(match width {
        Some(width) => DBOutput::Rows { types: vec![DefaultColumnType::Any; width], rows },
        None => DBOutput::StatementComplete(affected),
    })
}

#[async_trait]
impl AsyncDB for Connection {
    type Error = SqlError;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Output {
        let answer = async {
            match self {
                Connection::MySql(connection) => run_mysql(connection, sql).await,
                Connection::Postgres(client) => run_postgres(client, sql).await,
            }
        };
        tokio::time::timeout(Duration::from_secs(60), answer).await.unwrap_or_else(|_| Err(SqlError::client("no answer within a minute")))
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        match self {
            Connection::MySql(_) => "mysql",
            Connection::Postgres(_) => "postgres",
        }
    }

    async fn sleep(duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn error_sql_state(error: &SqlError) -> Option<String> {
        Some(error.state.clone())
    }
}

fn files(wire: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql-tests");
    let other = if wire == "mysql" { "postgres" } else { "mysql" };
    let only = std::env::var("FLASHGATE_SLT").unwrap_or_default();
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "slt"))
        .filter(|path| !stem(path).contains(other) && stem(path).contains(&only))
        .collect();
    files.sort();
    files
}

fn stem(path: &Path) -> &str {
    path.file_stem().and_then(|s| s.to_str()).unwrap()
}

/// Runs one file; gives every record that went wrong.
async fn run_file(server: &Server, wire: &'static str, file: &Path) -> Vec<String> {
    let shared = stem(file).starts_with("demo");
    let database = if shared { "demo".to_owned() } else { format!("{}_{wire}", stem(file)) };
    let (mysql, postgres) = (server.mysql, server.postgres);
    if !shared {
        let first = match wire {
            "mysql" => Connection::mysql(mysql, None).await,
            _ => Connection::postgres(postgres, "demo").await,
        };
        first.unwrap().run(&format!("CREATE DATABASE {database}")).await.unwrap();
    }
    let mut runner = Runner::new(|| {
        let database = database.clone();
        async move {
            match wire {
                "mysql" => Connection::mysql(mysql, Some(&database)).await,
                _ => Connection::postgres(postgres, &database).await,
            }
        }
    });
    let mut wrong = Vec::new();
    for record in sqllogictest::parse_file(file).unwrap() {
        if let Record::Halt { .. } = record {
            break;
        }
        if let Err(error) = runner.run_async(record).await {
            wrong.push(format!("[{wire}] {error}"));
        }
    }
    wrong
}

async fn run_all(wire: &'static str) {
    let server = Server::start();
    let mut wrong = Vec::new();
    for file in files(wire) {
        wrong.extend(run_file(&server, wire, &file).await);
    }
    assert!(wrong.is_empty(), "{} records went wrong:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

#[tokio::test]
async fn every_file_passes_on_the_mysql_wire() {
    run_all("mysql").await;
}

#[tokio::test]
async fn every_file_passes_on_the_postgres_wire() {
    run_all("postgres").await;
}
