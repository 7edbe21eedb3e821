//! Tests of [`super`]: whole conversations over an in-memory stream, message by message.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::node::Node;
use crate::wire::postgres::serve_stream;
use crate::wire::{Context, LocalRuntime};

/// A server with an empty data directory of its own.
struct Server {
    context: Arc<Context>,
    _dir: tempfile::TempDir,
}

impl Server {
    async fn start() -> Server {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { data_dir: dir.path().to_owned(), ..Config::default() };
        let node = Node::open(config).await.unwrap();
        let scanner = Arc::new(crate::route::CurrentScanner::new(Arc::clone(&node.gms)));
        let context = Context {
            node,
            tls: None,
            drain: CancellationToken::new(),
            upstreams: Default::default(),
            scanner,
            local_runtime: LocalRuntime::here(),
        };
        Server { context: Arc::new(context), _dir: dir }
    }

    /// A client that has sent nothing yet.
    fn connect(&self, peer: &str) -> Talk {
        let (client, server) = tokio::io::duplex(1 << 16);
        let peer: SocketAddr = peer.parse().unwrap();
        let task = tokio::spawn(serve_stream(server, peer, Arc::clone(&self.context)));
        Talk { stream: client, task }
    }

    /// A client that has logged in as root.
    async fn login(&self) -> Talk {
        let mut talk = self.connect("127.0.0.1:5000");
        talk.startup(&[("user", "root")]).await;
        let answers = talk.until_ready().await;
        assert_eq!(answers, "R K ZI");
        talk
    }
}

/// Kind and body.
type Message<'a> = (u8, &'a [u8]);

/// One conversation. Answers are shown by their kinds; an error by its SQLSTATE (`E42601`), a tag and a status by
/// their text (`C(SELECT 1)`, `ZI`).
struct Talk {
    stream: DuplexStream,
    task: JoinHandle<std::io::Result<()>>,
}

impl Talk {
    async fn startup(&mut self, pairs: &[(&str, &str)]) {
        let mut body = BytesMut::new();
        body.put_u32(3 << 16);
        for (name, value) in pairs {
            body.put_slice(format!("{name}\0{value}\0").as_bytes());
        }
        body.put_u8(0);
        self.stream.write_u32(body.len() as u32 + 4).await.unwrap();
        self.stream.write_all(&body).await.unwrap();
    }

    async fn send(&mut self, messages: &[Message<'_>]) {
        let mut out = BytesMut::new();
        for (kind, body) in messages {
            out.put_u8(*kind);
            out.put_u32(body.len() as u32 + 4);
            out.put_slice(body);
        }
        self.stream.write_all(&out).await.unwrap();
    }

    async fn query(&mut self, text: &str) -> String {
        self.send(&[(b'Q', format!("{text}\0").as_bytes())]).await;
        self.until_ready().await
    }

    async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let kind = self.stream.read_u8().await.ok()?;
        let length = self.stream.read_u32().await.ok()? as usize;
        let mut body = vec![0; length - 4];
        self.stream.read_exact(&mut body).await.ok()?;
        Some((kind, body))
    }

    /// All answers up to ReadyForQuery or the end of the connection.
    async fn until_ready(&mut self) -> String {
        let mut shown = vec![];
        while let Some((kind, body)) = self.next().await {
            let text = String::from_utf8_lossy(&body).into_owned();
            let code = || text.split('\0').find_map(|f| f.strip_prefix('C')).unwrap_or_default().to_owned();
            shown.push(match kind {
                b'E' if text.starts_with("SFATAL") => format!("FATAL{}", code()),
                b'E' => format!("E{}", code()),
                b'C' => format!("C({})", text.trim_end_matches('\0')),
                b'Z' => format!("Z{text}"),
                b'S' => continue,
                kind => (kind as char).to_string(),
            });
            if kind == b'Z' {
                return shown.join(" ");
            }
        }
        shown.push("end".to_owned());
        shown.join(" ")
    }
}

const SYNC: Message<'static> = (b'S', b"");
const PARSE: Message<'static> = (b'P', b"\0select 1\0\0\0");
const BIND: Message<'static> = (b'B', b"\0\0\0\0\0\0\0\0");
const EXECUTE: Message<'static> = (b'E', b"\0\0\0\0\0");
const NO_PORTAL: Message<'static> = (b'E', b"nope\0\0\0\0\0");

#[tokio::test]
async fn root_without_a_password_comes_in_from_this_machine_only() {
    let server = Server::start().await;
    assert_eq!(server.login().await.query("select 1").await, "T D C(SELECT 1) ZI");
    for (peer, user) in [("192.0.2.1:5000", "root"), ("127.0.0.1:5000", "ann")] {
        let mut talk = server.connect(peer);
        talk.startup(&[("user", user)]).await;
        let (kind, body) = talk.next().await.unwrap();
        assert_eq!((kind, &body[..4]), (b'R', &[0, 0, 0, 10][..]), "{peer} {user}: a password must be asked for");
        talk.send(&[(b'p', b"SCRAM-SHA-256\0\0\0\0\x0bn,,n=,r=abc")]).await;
        let (_, body) = talk.next().await.unwrap();
        let first = String::from_utf8_lossy(&body[4..]).into_owned();
        let nonce = first[2..].split(',').next().unwrap();
        let proof = format!("c=biws,r={nonce},p={}A=", "A".repeat(42));
        talk.send(&[(b'p', proof.as_bytes())]).await;
        assert_eq!(talk.until_ready().await, "FATAL28P01 end");
    }
}

#[tokio::test]
async fn an_unknown_database_is_fatal_with_its_own_code() {
    let server = Server::start().await;
    let mut talk = server.connect("127.0.0.1:5000");
    talk.startup(&[("user", "root"), ("database", "missing")]).await;
    assert_eq!(talk.until_ready().await, "R FATAL3D000 end");
}

#[tokio::test]
async fn ready_for_query_tells_the_truth_about_the_transaction() {
    let server = Server::start().await;
    let mut talk = server.login().await;
    assert_eq!(talk.query("begin").await, "C(BEGIN) ZT");
    assert_eq!(talk.query("selec 1").await, "E42601 ZE");
    assert_eq!(talk.query("select 1").await, "E25P02 ZE");
    assert_eq!(talk.query("rollback").await, "C(ROLLBACK) ZI");
    // An error that only the wire sees fails the transaction too.
    assert_eq!(talk.query("begin").await, "C(BEGIN) ZT");
    talk.send(&[NO_PORTAL, SYNC]).await;
    assert_eq!(talk.until_ready().await, "E34000 ZE");
    assert_eq!(talk.query("rollback").await, "C(ROLLBACK) ZI");
}

#[tokio::test]
async fn several_statements_answer_in_order_and_stop_at_the_first_error() {
    let server = Server::start().await;
    let mut talk = server.login().await;
    assert_eq!(talk.query("select 1; select 1").await, "T D C(SELECT 1) T D C(SELECT 1) ZI");
    assert_eq!(talk.query("").await, "I ZI");
    assert_eq!(talk.query(" ; ").await, "I ZI");
    let answers = talk.query("select 1; begin; selec 1; select 1").await;
    assert!(answers.contains("E42601") && !answers.ends_with("ZT"), "{answers}");
}

#[tokio::test]
async fn a_pipeline_that_failed_is_skipped_up_to_its_sync() {
    let server = Server::start().await;
    let mut talk = server.login().await;
    talk.send(&[PARSE, BIND, EXECUTE, NO_PORTAL, EXECUTE, (b'Q', b"select 1\0"), SYNC]).await;
    assert_eq!(talk.until_ready().await, "1 2 D C(SELECT 1) E34000 ZI");
    talk.send(&[PARSE, BIND, (b'D', b"P\0"), EXECUTE, SYNC]).await;
    assert_eq!(talk.until_ready().await, "1 2 T D C(SELECT 1) ZI");
}

#[tokio::test]
async fn what_was_described_and_not_run_is_not_run_later() {
    let server = Server::start().await;
    assert_eq!(server.login().await.query("CREATE DATABASE d").await, "C(CREATE DATABASE) ZI");
    let (mut talk, mut other) = (server.connect("127.0.0.1:5000"), server.connect("127.0.0.1:5001"));
    for talk in [&mut talk, &mut other] {
        talk.startup(&[("user", "root"), ("database", "d")]).await;
        assert_eq!(talk.until_ready().await, "R K ZI");
    }
    assert_eq!(other.query("CREATE TABLE t (id INT)").await, "C(CREATE TABLE) ZI");
    let text = "SELECT id FROM t";
    let parse = format!("\0{text}\0\0\0");
    let (bind, run) = (&b"\0\0\0\0\0\0\0\0"[..], &b"\0\0\0\0\0"[..]);
    for rows in 0..3 {
        talk.send(&[(b'P', parse.as_bytes()), (b'B', bind), (b'D', b"P\0"), (b'S', b"")]).await;
        assert_eq!(talk.until_ready().await, "1 2 T ZI");
        talk.send(&[(b'B', bind), (b'D', b"P\0"), (b'S', b"")]).await;
        assert_eq!(talk.until_ready().await, "2 T ZI");
        assert_eq!(other.query("INSERT INTO t VALUES (1)").await, "C(INSERT 0 1) ZI");
        let found = rows + 1;
        let want = |head: &str| format!("{head}{}C(SELECT {found}) ZI", "D ".repeat(found));
        assert_eq!(talk.query(text).await, want("T "));
        talk.send(&[(b'B', bind), (b'D', b"P\0"), (b'S', b"")]).await;
        assert_eq!(talk.until_ready().await, "E26000 ZI", "a simple query forgets the unnamed statement");
        talk.send(&[(b'P', parse.as_bytes()), (b'B', bind), (b'D', b"P\0"), (b'E', run), (b'S', b"")]).await;
        assert_eq!(talk.until_ready().await, want("1 2 T "));
        talk.send(&[(b'B', bind), (b'E', run), (b'S', b"")]).await;
        assert_eq!(talk.until_ready().await, want("2 "));
    }
}

#[tokio::test]
async fn a_portal_with_a_row_limit_is_suspended_and_goes_on() {
    let server = Server::start().await;
    let mut talk = server.login().await;
    let one = (b'E', &b"\0\0\0\0\x01"[..]);
    talk.send(&[PARSE, BIND, one, one, one, SYNC]).await;
    assert_eq!(talk.until_ready().await, "1 2 D s C(SELECT 0) C(SELECT 0) ZI");
    // Outside a transaction it ended with the Sync.
    talk.send(&[one, SYNC]).await;
    assert_eq!(talk.until_ready().await, "E34000 ZI");
    // Inside one it lives on.
    assert_eq!(talk.query("begin").await, "C(BEGIN) ZT");
    talk.send(&[(b'P', b"s\0select 1\0\0\0"), (b'B', b"p\0s\0\0\0\0\0\0\0"), (b'E', b"p\0\0\0\0\x01"), SYNC]).await;
    assert_eq!(talk.until_ready().await, "1 2 D s ZT");
    talk.send(&[(b'E', b"p\0\0\0\0\x01"), (b'C', b"Pp\0"), SYNC]).await;
    assert_eq!(talk.until_ready().await, "C(SELECT 0) 3 ZT");
}

#[tokio::test]
async fn messages_out_of_order_are_answered_and_the_next_command_works() {
    let server = Server::start().await;
    let mut talk = server.login().await;
    let cases: &[(&[Message<'_>], &str)] = &[
        (&[(b'F', b"\0\0\0\x01")], "E0A000 ZI"),
        (&[(b'Q', b"no end")], "E08P01 ZI"),
        (&[(b'Q', b"select '\xff'\0")], "E22021 ZI"),
        (&[(b'P', b"x"), SYNC], "E08P01 ZI"),
        (&[(b'P', b"\0select 1; select 1\0\0\0"), SYNC], "E42601 ZI"),
        (&[(b'B', b"\0nope\0\0\0\0\0\0\0"), SYNC], "E26000 ZI"),
        (&[PARSE, (b'B', b"\0\0\0\0\0\x01\xff\xff\xff\xff\0\0"), SYNC], "1 E08P01 ZI"),
        (&[PARSE, (b'B', b"\0\0\0\0\0\0\0\x01\0\x07"), SYNC], "1 E08P01 ZI"),
        (&[(b'D', b"Snope\0"), SYNC], "E26000 ZI"),
        (&[(b'C', b"Snope\0"), SYNC], "3 ZI"),
        (&[(b'P', b"\0\0\0\0"), BIND, (b'D', b"P\0"), EXECUTE, SYNC], "1 2 n I ZI"),
        (&[(b'd', b"stray"), (b'c', b""), (b'f', b"x\0"), SYNC], "ZI"),
    ];
    for (messages, expected) in cases {
        talk.send(messages).await;
        assert_eq!(talk.until_ready().await, *expected, "{messages:?}");
        assert_eq!(talk.query("select 1").await, "T D C(SELECT 1) ZI");
    }
}

#[tokio::test]
async fn messages_without_a_known_end_close_their_connection_only() {
    let server = Server::start().await;
    let mut other = server.login().await;
    for (bytes, expected) in [
        (&b"!\0\0\0\x04"[..], "FATAL08P01 end"),
        (b"Q\xff\xff\xff\xff", "FATAL54000 end"),
        (b"Q\0\0\0\x01", "FATAL08P01 end"),
        (b"p\0\0\0\x04", "FATAL08P01 end"),
    ] {
        let mut talk = server.login().await;
        talk.stream.write_all(bytes).await.unwrap();
        assert_eq!(talk.until_ready().await, expected, "{bytes:?}");
        assert!(talk.task.await.unwrap().is_ok());
        assert_eq!(other.query("select 1").await, "T D C(SELECT 1) ZI");
    }
}

#[tokio::test]
async fn draining_ends_an_idle_connection_with_57p01() {
    let server = Server::start().await;
    let mut talk = server.login().await;
    server.context.drain.cancel();
    assert_eq!(talk.until_ready().await, "FATAL57P01 end");
    assert!(talk.task.await.unwrap().is_ok());
}

#[tokio::test]
async fn terminate_and_a_closed_connection_end_in_order() {
    let server = Server::start().await;
    let mut talk = server.login().await;
    talk.send(&[(b'X', b"")]).await;
    assert!(talk.task.await.unwrap().is_ok());
    let talk = server.login().await;
    drop(talk.stream);
    assert!(talk.task.await.unwrap().is_ok());
}

#[tokio::test]
async fn tokio_postgres_prepares_binds_and_reads() {
    let server = Server::start().await;
    let talk = server.connect("127.0.0.1:5000");
    let mut config = tokio_postgres::Config::new();
    config.user("root").ssl_mode(tokio_postgres::config::SslMode::Disable);
    let (client, connection) = config.connect_raw(talk.stream, tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let statement = client.prepare("select 1").await.unwrap();
    for _ in 0..3 {
        assert_eq!(client.query(&statement, &[]).await.unwrap().len(), 1);
    }
    let error = client.simple_query("selec 1").await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "42601");
    let client = Arc::new(client);
    let both = tokio::join!(client.query("select 1", &[]), client.query("select 1", &[]));
    assert_eq!((both.0.unwrap().len(), both.1.unwrap().len()), (1, 1));
    drop(client);
    connection.await.unwrap().unwrap();
}
