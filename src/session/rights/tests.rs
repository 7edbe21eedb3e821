use std::sync::Arc;

use futures::TryStreamExt;

use super::Principal;
use crate::config::Config;
use crate::error::{Kind, Result};
use crate::node::Node;
use crate::session::{Client, Reply, Session, UpstreamSession};
use crate::sql::Dialect;
use crate::types::Protocol;

/// An instance with cold tables `shop.orders`, `shop.people` and `old.orders`, and a view `shop.large` of `shop.orders`.
struct House {
    node: Arc<Node>,
    _dir: tempfile::TempDir,
}

impl House {
    async fn build() -> House {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { data_dir: dir.path().to_owned(), ..Config::default() };
        let house = House { node: Node::open(config).await.unwrap(), _dir: dir };
        let mut own = Session::open(Arc::clone(&house.node), client(Protocol::MySql, "root")).await.unwrap();
        for text in [
            "CREATE DATABASE shop",
            "CREATE DATABASE old",
            "CREATE TABLE shop.orders (id INT, amount INT)",
            "INSERT INTO shop.orders VALUES (1, 10), (2, 20)",
            "CREATE TABLE shop.people (id INT)",
            "CREATE TABLE old.orders (id INT)",
            "CREATE TABLE shop.gone (id INT)",
            "DROP TABLE shop.gone",
            "USE shop",
            "CREATE VIEW shop.large AS SELECT id FROM orders WHERE amount > 15",
        ] {
            run(&mut own, text).await.unwrap_or_else(|e| panic!("{text}: {e}"));
        }
        house
    }

    async fn session(&self, protocol: Protocol, user: &str, principal: Option<(&str, bool)>) -> Session {
        let principal = principal.map(|(account, superuser)| Principal { account: account.into(), superuser });
        let mut upstream_session = UpstreamSession { database: Some("shop".into()), principal, ..UpstreamSession::default() };
        upstream_session.status.autocommit = true;
        Session::open_with_upstream(Arc::clone(&self.node), client(protocol, user), upstream_session).await.unwrap()
    }

    async fn mysql(&self) -> (Session, Session) {
        let root = self.session(Protocol::MySql, "root", Some(("root@localhost", true))).await;
        (root, self.session(Protocol::MySql, "ann", Some(("ann@%", false))).await)
    }

    async fn postgres(&self) -> (Session, Session) {
        let root = self.session(Protocol::Postgres, "postgres", Some(("postgres", true))).await;
        (root, self.session(Protocol::Postgres, "ann", Some(("ann", false))).await)
    }
}

fn client(protocol: Protocol, user: &str) -> Client {
    let (peer, user) = ("127.0.0.1:5000".to_owned(), user.to_owned());
    Client { protocol, peer, user, database: None, settings: Vec::new(), tls: false, id: None }
}

/// Runs a text to its end; gives how many rows came.
async fn run(session: &mut Session, text: &str) -> Result<usize> {
    let mut count = 0;
    for parsed in session.parse(text)? {
        count = match session.execute(&parsed, &[]).await? {
            Reply::Rows(rows) => rows.batches.try_collect::<Vec<_>>().await?.iter().map(|batch| batch.num_rows()).sum(),
            _ => 0,
        };
    }
    Ok(count)
}

/// The texts of a result's only column.
async fn lines(session: &mut Session, text: &str) -> Vec<String> {
    let parsed = session.parse(text).unwrap().remove(0);
    let Reply::Rows(rows) = session.execute(&parsed, &[]).await.unwrap() else { panic!("{text}: no rows") };
    crate::engine::catalog::testing::lines(&rows.batches.try_collect::<Vec<_>>().await.unwrap())
}

fn is_denied<T>(outcome: &Result<T>) -> bool {
    matches!(outcome, Err(error) if matches!(error.kind(), Kind::Denied | Kind::PrivilegeNeeded))
}

/// Statements of both languages, and the grants that each needs: with all but one of them it is denied. A grant without
/// ON is a file storage's.
const NEEDS: &[(&str, &[&str])] = &[
    ("SELECT * FROM orders", &["SELECT ON orders"]),
    ("SELECT * FROM (SELECT 1 AS a) AS x WHERE a IN (SELECT id FROM orders)", &["SELECT ON orders"]),
    ("WITH x AS (SELECT * FROM orders) SELECT * FROM x", &["SELECT ON orders"]),
    ("SELECT 1 AS id UNION SELECT id FROM people", &["SELECT ON people"]),
    ("SELECT * FROM orders AS o JOIN people AS p ON o.id = p.id", &["SELECT ON orders", "SELECT ON people"]),
    ("SELECT * FROM large", &["SELECT ON large", "SELECT ON orders"]),
    ("EXPLAIN SELECT * FROM orders", &["SELECT ON orders"]),
    ("INSERT INTO orders VALUES (3, 30)", &["INSERT ON orders"]),
    ("INSERT INTO people SELECT id FROM orders", &["INSERT ON people", "SELECT ON orders"]),
    ("UPDATE orders SET amount = 1", &["UPDATE ON orders"]),
    ("UPDATE orders SET amount = 1 WHERE id = 9", &["UPDATE ON orders", "SELECT ON orders"]),
    ("UPDATE orders SET amount = amount + 1", &["UPDATE ON orders", "SELECT ON orders"]),
    ("UPDATE orders SET amount = (SELECT max(id) FROM people)", &["UPDATE ON orders", "SELECT ON orders", "SELECT ON people"]),
    ("DELETE FROM people", &["DELETE ON people"]),
    ("DELETE FROM people WHERE id = 9", &["DELETE ON people", "SELECT ON people"]),
    ("TRUNCATE TABLE people", &["DROP ON people"]),
    ("CREATE TABLE made (id INT)", &["CREATE ON made"]),
    ("CREATE TABLE copied AS SELECT * FROM orders", &["CREATE ON copied", "SELECT ON orders"]),
    ("CREATE VIEW seen AS SELECT id FROM orders", &["CREATE ON seen", "SELECT ON orders"]),
    ("DROP VIEW seen", &["DROP ON seen"]),
    ("ALTER TABLE made ADD COLUMN b INT", &["ALTER ON made"]),
    ("ALTER TABLE made RENAME TO moved", &["ALTER ON made", "DROP ON made", "CREATE ON moved"]),
    ("ALTER TABLE moved PURGE BEFORE TIMESTAMP '2022-07-05 11:11:11' PREVIEW", &["ALTER ON moved", "ADMIN"]),
    ("DROP TABLE moved", &["DROP ON moved"]),
    ("SHOW FILES FROM orders", &["ALTER ON orders"]),
    ("SHOW FILESTORAGE", &["BACKUP"]),
    ("ALTER FILESTORAGE OSS BACKUP PREVIEW", &["BACKUP"]),
    ("SHOW RECYCLEBIN", &["RESTORE"]),
    ("FLASHBACK TABLE gone TO BEFORE DROP", &["RESTORE"]),
    ("ALTER FILESTORAGE OSS PURGE BEFORE TIMESTAMP '2022-07-05 11:11:11' PREVIEW", &["ADMIN"]),
    ("CLEAR FILESTORAGE OSS PREVIEW", &["ADMIN"]),
    ("PURGE RECYCLEBIN", &["ADMIN"]),
    ("GRANT SELECT ON COLD TABLE orders TO bob", &["ADMIN"]),
    ("SHOW COLD GRANTS FOR bob", &["ADMIN"]),
    ("SHOW FLASHGATE SESSIONS", &["ADMIN"]),
];

/// The same for one language.
const MYSQL_NEEDS: &[(&str, &[&str])] = &[
    ("SHOW CREATE TABLE orders", &["INSERT ON orders"]),
    ("SHOW COLUMNS FROM orders", &["SELECT ON orders"]),
    ("DESCRIBE orders", &["DROP ON orders"]),
    ("CREATE TABLE alike LIKE orders ENGINE = OSS", &["CREATE ON alike", "SELECT ON orders"]),
    ("RENAME TABLE alike TO old.alike", &["ALTER ON alike", "DROP ON alike", "CREATE ON old.alike"]),
    ("OPTIMIZE TABLE orders", &["ALTER ON orders"]),
    ("UPDATE orders AS o JOIN people AS p ON o.id = p.id SET o.amount = 1", &["SELECT ON orders", "SELECT ON people", "UPDATE ON orders"]),
    ("DELETE o FROM orders AS o JOIN people AS p ON o.id = p.id", &["SELECT ON orders", "SELECT ON people", "DELETE ON orders"]),
    ("PREPARE p FROM 'SELECT * FROM orders'; EXECUTE p", &["SELECT ON orders"]),
    ("SET @a = (SELECT max(id) FROM orders)", &["SELECT ON orders"]),
    ("SELECT id FROM orders LIMIT 1 INTO @a", &["SELECT ON orders"]),
    ("DO (SELECT max(id) FROM orders)", &["SELECT ON orders"]),
    ("LOCK TABLES orders READ", &["SELECT ON orders"]),
];
const POSTGRES_NEEDS: &[(&str, &[&str])] = &[
    ("COPY orders TO STDOUT", &["SELECT ON orders"]),
    ("COPY orders FROM STDIN", &["INSERT ON orders"]),
    ("COPY (SELECT * FROM people) TO STDOUT", &["SELECT ON people"]),
    ("UPDATE orders SET amount = 1 FROM people WHERE orders.id = people.id", &["SELECT ON orders", "SELECT ON people", "UPDATE ON orders"]),
    ("DELETE FROM orders USING people WHERE orders.id = people.id", &["SELECT ON orders", "SELECT ON people", "DELETE ON orders"]),
    ("PREPARE p AS SELECT * FROM orders; EXECUTE p; DEALLOCATE p", &["SELECT ON orders"]),
    ("DECLARE c CURSOR WITH HOLD FOR SELECT * FROM orders", &["SELECT ON orders"]),
];

async fn each_grant_is_needed_and_all_are_enough(root: &mut Session, ann: &mut Session, cases: &[(&str, &[&str])]) {
    let statement = |verb: &str, grant: &str, to: &str| match grant.split_once(" ON ") {
        Some((privilege, table)) => format!("{verb} {privilege} ON COLD TABLE {table} {to} ann"),
        None => format!("{verb} {grant} ON FILESTORAGE {to} ann"),
    };
    for (text, grants) in cases {
        for missing in *grants {
            let others: Vec<&&str> = grants.iter().filter(|grant| grant != &missing).collect();
            // Who has ADMIN has all: what it needs besides cannot be missing.
            if others.contains(&&"ADMIN") {
                continue;
            }
            for grant in &others {
                run(root, &statement("GRANT", grant, "TO")).await.unwrap();
            }
            let outcome = run(ann, text).await;
            assert!(is_denied(&outcome), "{text} without {missing}: {outcome:?}");
            let described = ann.parse(text).unwrap().remove(0);
            assert!(is_denied(&ann.describe(&described, &[]).await), "describing {text} without {missing}");
            for grant in &others {
                run(root, &statement("REVOKE", grant, "FROM")).await.unwrap();
            }
        }
        for grant in *grants {
            run(root, &statement("GRANT", grant, "TO")).await.unwrap();
        }
        run(ann, text).await.unwrap_or_else(|e| panic!("{text} with {grants:?}: {e}"));
        for grant in *grants {
            run(root, &statement("REVOKE", grant, "FROM")).await.unwrap();
        }
    }
    assert_eq!(lines(ann, "SHOW COLD GRANTS").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mysql_statements_need_what_is_granted() {
    let house = House::build().await;
    let (mut root, mut ann) = house.mysql().await;
    each_grant_is_needed_and_all_are_enough(&mut root, &mut ann, NEEDS).await;
    each_grant_is_needed_and_all_are_enough(&mut root, &mut ann, MYSQL_NEEDS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_statements_need_what_is_granted() {
    let house = House::build().await;
    let (mut root, mut ann) = house.postgres().await;
    each_grant_is_needed_and_all_are_enough(&mut root, &mut ann, NEEDS).await;
    each_grant_is_needed_and_all_are_enough(&mut root, &mut ann, POSTGRES_NEEDS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denied_user_reads_the_error_of_its_own_database_and_what_would_help() {
    let house = House::build().await;
    let (_, mut ann) = house.mysql().await;
    let error = run(&mut ann, "SELECT * FROM orders").await.unwrap_err();
    assert_eq!((error.mysql_code(), error.mysql_sqlstate()), (1142, "42000"));
    assert_eq!(error.message(), "SELECT command denied to user 'ann'@'%' for table 'orders'");
    assert_eq!(error.hint(), Some("an administrator can allow it: GRANT SELECT ON COLD TABLE shop.orders TO 'ann'@'%'"));
    let error = run(&mut ann, "ALTER FILESTORAGE OSS BACKUP").await.unwrap_err();
    assert_eq!((error.mysql_code(), error.mysql_sqlstate()), (1227, "42000"));
    assert_eq!(error.message(), "Access denied; you need (at least one of) the BACKUP privilege(s) for this operation");
    assert!(error.hint().unwrap().ends_with("GRANT BACKUP ON FILESTORAGE TO 'ann'@'%'"));
    let (_, mut ann) = house.postgres().await;
    let error = run(&mut ann, "SELECT * FROM orders").await.unwrap_err();
    assert_eq!((error.sqlstate(), error.message()), ("42501", "permission denied for table orders"));
    assert!(error.hint().unwrap().ends_with("GRANT SELECT ON COLD TABLE shop.\"public\".orders TO \"ann\""), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_denied_like_what_is() {
    let house = House::build().await;
    let (_, mut ann) = house.mysql().await;
    for name in ["orders", "nothing"] {
        for text in [
            "DROP TABLE $",
            "DROP TABLE IF EXISTS $",
            "TRUNCATE $",
            "SHOW FILES FROM $",
            "ALTER TABLE $ ADD COLUMN x INT",
            "FLASHBACK TABLE $ TO BEFORE DROP",
            "PURGE TABLE $",
            "SHOW CREATE TABLE $",
            "INSERT INTO $ VALUES (1)",
            "CREATE TABLE $ (id INT)",
            "ALTER FILESTORAGE $ BACKUP",
            "DROP FILESTORAGE IF EXISTS $",
        ] {
            let text = text.replace('$', name);
            assert!(is_denied(&run(&mut ann, &text).await), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grants_are_of_accounts_databases_everybody_and_one_protocol() {
    let house = House::build().await;
    let (mut root, mut ann) = house.mysql().await;
    let mut near = house.session(Protocol::MySql, "ann", Some(("ann@localhost", false))).await;
    let mut odd = house.session(Protocol::MySql, "x", Some(("a'b@c@localhost", false))).await;
    let (_, mut role) = house.postgres().await;
    let read = "SELECT * FROM orders";
    run(&mut root, "GRANT SELECT ON COLD TABLE shop.* TO 'ann'@'LOCALHOST'").await.unwrap();
    assert!(run(&mut near, read).await.is_ok() && is_denied(&run(&mut ann, read).await) && is_denied(&run(&mut role, read).await));
    assert!(is_denied(&run(&mut near, "SELECT * FROM old.orders").await));
    run(&mut root, "GRANT SELECT ON COLD TABLE *.* TO ANN, 'a''b@c'@'localhost'").await.unwrap();
    assert!(is_denied(&run(&mut ann, read).await), "names of accounts keep their case");
    assert!(run(&mut odd, "SELECT * FROM old.orders").await.is_ok());
    run(&mut root, "GRANT SELECT ON COLD TABLE *.* TO PUBLIC").await.unwrap();
    assert!(run(&mut ann, read).await.is_ok() && is_denied(&run(&mut role, read).await));
    assert_eq!(
        lines(&mut root, "SHOW COLD GRANTS").await,
        [
            "GRANT SELECT ON COLD TABLE *.* TO 'ANN'",
            "GRANT SELECT ON COLD TABLE *.* TO 'a''b@c'@'localhost'",
            "GRANT SELECT ON COLD TABLE shop.* TO 'ann'@'localhost'",
            "GRANT SELECT ON COLD TABLE *.* TO PUBLIC",
        ]
    );
    assert_eq!(lines(&mut near, "SHOW COLD GRANTS").await.len(), 2);
    assert_eq!(lines(&mut near, "SHOW COLD GRANTS FOR ann@localhost").await.len(), 1);
    // A client of which nothing is known is nobody but its login name.
    let mut unknown = house.session(Protocol::MySql, "ann@localhost", None).await;
    run(&mut root, "REVOKE ALL ON COLD TABLE *.* FROM PUBLIC").await.unwrap();
    assert!(is_denied(&run(&mut unknown, read).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_may_do_everything_and_a_user_without_an_upstream_too() {
    let house = House::build().await;
    let (mut root, mut ann) = house.mysql().await;
    run(&mut root, "GRANT ADMIN ON FILESTORAGE TO ann").await.unwrap();
    for text in
        ["SELECT * FROM large", "SHOW FILESTORAGE", "FLASHBACK TABLE gone TO BEFORE DROP", "GRANT SELECT ON COLD TABLE orders TO bob"]
    {
        run(&mut ann, text).await.unwrap_or_else(|e| panic!("{text}: {e}"));
    }
    let mut own = Session::open(Arc::clone(&house.node), client(Protocol::MySql, "nobody")).await.unwrap();
    run(&mut own, "SELECT * FROM shop.orders; SHOW FILESTORAGE").await.unwrap();
    assert_eq!(run(&mut own, "GRANT SELECT ON COLD TABLE shop.orders TO bob").await.unwrap_err().kind(), Kind::Refused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_shows_what_the_user_may_see() {
    let house = House::build().await;
    let (mut root, mut ann) = house.mysql().await;
    let files = "SELECT file_name FROM information_schema.files";
    let all = run(&mut root, files).await.unwrap();
    let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema IN ('shop', 'old')";
    assert_eq!((all, run(&mut ann, files).await.unwrap(), run(&mut ann, tables).await.unwrap()), (1, 0, 0));
    run(&mut root, "GRANT INSERT ON COLD TABLE orders TO ann").await.unwrap();
    assert_eq!((run(&mut ann, files).await.unwrap(), lines(&mut ann, tables).await), (1, vec!["orders".to_owned()]));
    let stores = "SELECT * FROM information_schema.file_storage";
    assert_eq!((run(&mut root, stores).await.unwrap(), run(&mut ann, stores).await.unwrap()), (1, 0));
    run(&mut root, "GRANT BACKUP ON FILESTORAGE TO ann").await.unwrap();
    assert_eq!(run(&mut ann, stores).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grants_of_the_upstream_itself_are_the_upstream_s() {
    let house = House::build().await;
    for dialect in [Dialect::MYSQL, Dialect::POSTGRES] {
        let owns = |text: &str| crate::session::may_own(&house.node, None, &dialect, text);
        for theirs in [
            "GRANT SELECT ON t TO ann",
            "GRANT SELECT ON cold TO ann",
            "REVOKE SELECT ON t FROM orders",
            "GRANT ALL ON TABLE orders TO ann",
            "GRANT backup ON filestorages TO ann",
            "SHOW COLD",
            "SELECT cold FROM t",
        ] {
            assert!(!owns(theirs), "{theirs}");
        }
        assert!(!owns(&"GRANT a TO b;;".repeat(100_000)), "many of them are no deep recursion");
        for ours in [
            "GRANT SELECT ON COLD TABLE orders TO ann",
            "REVOKE BACKUP ON FILESTORAGE FROM ann",
            "SHOW COLD GRANTS",
            "SHOW COLD STANDINS",
            "CREATE OR REPLACE STANDIN FOR COLD TABLE absent",
            "DROP STANDIN absent",
            "GRANT FILE ON COLD TABLE t TO ann",
            "GRANT BACKUP ON FILESTORAGE ann",
            "GRANT SELECT ON t TO ann; SELECT * FROM orders",
        ] {
            assert!(owns(ours), "{ours}");
        }
    }
}
