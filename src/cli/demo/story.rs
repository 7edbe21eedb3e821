//! The story that the tour tells: statements, and the answers they must get.
//!
//! The sample tables are only read. All changes happen in a table of the tour's own, which goes in the end: the tour
//! may be told again on the same data.

use super::wires::Wires;
use crate::cli::Failure;

/// The time of the statement that the product grew from, on 5 July: three days before the mistake.
const GOOD: &str = "2022-07-05 11:11:11";
/// User 100's orders then.
const RIGHT: [&[&str]; 5] = [
    &["1", "100", "Desk lamp", "34.90", "delivered", "2022-06-02 08:15:00"],
    &["8", "100", "Bicycle bell", "11.50", "delivered", "2022-06-08 18:44:03"],
    &["14", "100", "Coffee, 1 kg", "21.80", "delivered", "2022-06-16 07:05:33"],
    &["20", "100", "Desk chair", "189.00", "delivered", "2022-06-24 09:47:18"],
    &["23", "100", "Bicycle pump", "23.95", "paid", "2022-06-29 17:11:40"],
];

type Told = Result<(), Failure>;

/// Tells all of it.
pub(super) async fn tell(w: &mut Wires) -> Told {
    past(w).await?;
    two_times(w).await?;
    read_time(w).await?;
    own_tables(w).await?;
    undo(w).await?;
    recycle_bin(w).await?;
    file_storage(w).await?;
    purge(w).await?;
    clean_up(w).await?;
    say("That was the tour. `flashgate demo` serves the same data to your own client.");
    Ok(())
}

fn say(text: &str) {
    println!("-- {text}");
}

async fn past(w: &mut Wires) -> Told {
    say("The orders of user 100 today. Something went wrong on 8 July 2022: an UPDATE whose WHERE named the user only.");
    let today = w.mysql("SELECT id, item, amount, status FROM oss_orders WHERE userId = 100 ORDER BY id").await;
    today.is(&[
        &["1", "Desk lamp", "0.00", "cancelled"],
        &["8", "Bicycle bell", "0.00", "cancelled"],
        &["14", "Coffee, 1 kg", "0.00", "cancelled"],
        &["20", "Desk chair", "0.00", "cancelled"],
        &["23", "Bicycle pump", "0.00", "cancelled"],
        &["28", "Book stand", "26.40", "paid"],
    ])?;
    say("The same orders as of 5 July, the statement that Flashgate grew from. The clause may stand last ..");
    w.mysql(&format!("SELECT * FROM oss_orders where userId = 100 AS OF TIMESTAMP '{GOOD}'")).await.in_order_is(&RIGHT)?;
    say(".. and any PostgreSQL client says it as well.");
    w.postgres(&format!("SELECT * FROM oss_orders where userId = 100 AS OF TIMESTAMP '{GOOD}'")).await.in_order_is(&RIGHT)?;
    say("A program gives the time as a parameter.");
    let sql = "SELECT count(*) AS orders, CAST(sum(amount) AS CHAR) AS spent FROM oss_orders AS OF TIMESTAMP ? WHERE userId = 100";
    w.mysql_prepared(sql, GOOD).await.is(&[&["5", "281.15"]])?;
    let sql = "SELECT CAST(sum(amount) AS text) AS spent FROM oss_orders AS OF TIMESTAMP $1 WHERE userId = 100";
    w.postgres_prepared(sql, GOOD).await.is(&[&["281.15"]])?;
    say("Times that have no answer are errors, never fewer rows.");
    w.mysql("SELECT * FROM oss_orders AS OF TIMESTAMP '2099-01-01 00:00:00'").await.fails("1210", "")?;
    Ok(())
}

async fn two_times(w: &mut Wires) -> Told {
    say("Each table of a query may have its own time: what did the mistake change?");
    let difference = w
        .postgres(&format!(
            "SELECT t.id, t.item, o.amount AS was, t.amount AS is, o.status AS was_status \
             FROM oss_orders t JOIN oss_orders AS OF TIMESTAMP '{GOOD}' o ON o.id = t.id \
             WHERE t.amount <> o.amount ORDER BY t.id"
        ))
        .await;
    difference.is(&[
        &["1", "Desk lamp", "34.90", "0.00", "delivered"],
        &["8", "Bicycle bell", "11.50", "0.00", "delivered"],
        &["14", "Coffee, 1 kg", "21.80", "0.00", "delivered"],
        &["20", "Desk chair", "189.00", "0.00", "delivered"],
        &["23", "Bicycle pump", "23.95", "0.00", "paid"],
    ])?;
    say("How it was answered: which files were visible, and which of them had to be opened.");
    let sql = format!("EXPLAIN SELECT * FROM oss_orders AS OF TIMESTAMP '{GOOD}' WHERE id = 23");
    w.mysql(&sql).await.shows("2022-07-05 11:11:11")?.shows("visible files kept")?.shows("hold no matching row")?;
    Ok(())
}

async fn read_time(w: &mut Wires) -> Told {
    say("A whole session can live in the past: reports and tools that know no AS OF.");
    w.mysql(&format!("SET flashback_read_time = '{GOOD}'")).await.done()?;
    let sql = "SELECT c.city, count(*) AS orders FROM oss_orders o JOIN oss_customers c ON c.userId = o.userId \
               WHERE o.userId IN (100, 103) GROUP BY c.city ORDER BY c.city";
    w.mysql(sql).await.is(&[&["Lisbon", "5"], &["Szeged", "3"]])?;
    w.mysql("SET flashback_read_time = DEFAULT").await.done()?;
    w.mysql(sql).await.is(&[&["Porto", "6"]])?;
    Ok(())
}

async fn own_tables(w: &mut Wires) -> Told {
    say("Now with tables of your own. A new one takes the right rows from the past of another.");
    w.mysql("DROP TABLE IF EXISTS my_orders, returned").await.done()?;
    w.mysql(
        "CREATE TABLE my_orders (id BIGINT NOT NULL PRIMARY KEY, userId BIGINT NOT NULL, item VARCHAR(100), \
         amount DECIMAL(10,2), status VARCHAR(20), created DATETIME) ENGINE='OSS'",
    )
    .await
    .done()?;
    let sql = format!("INSERT INTO my_orders SELECT * FROM oss_orders WHERE userId = 100 AS OF TIMESTAMP '{GOOD}'");
    w.mysql(&sql).await.changed(5)?;
    Ok(())
}

async fn undo(w: &mut Wires) -> Told {
    let before = w.mysql("SELECT NOW(6)").await.first()?;
    say("A wrong UPDATE of today ..");
    w.mysql("UPDATE my_orders SET amount = 0, status = 'cancelled'").await.changed(5)?;
    w.postgres("SELECT sum(amount) AS spent FROM my_orders").await.is(&[&["0.00"]])?;
    say(".. is undone from the past, in one transaction: nobody sees the table empty.");
    w.mysql("BEGIN").await.done()?;
    w.mysql("DELETE FROM my_orders").await.changed(5)?;
    w.mysql(&format!("INSERT INTO my_orders SELECT * FROM my_orders AS OF TIMESTAMP '{before}'")).await.changed(5)?;
    w.postgres("SELECT sum(amount) AS spent FROM my_orders").await.is(&[&["0.00"]])?;
    w.mysql("COMMIT").await.done()?;
    w.postgres("SELECT sum(amount) AS spent FROM my_orders").await.is(&[&["281.15"]])?;
    Ok(())
}

async fn recycle_bin(w: &mut Wires) -> Told {
    say("A dropped table lies in the recycle bin.");
    w.mysql("DROP TABLE my_orders").await.done()?;
    w.mysql("SELECT count(*) FROM my_orders").await.fails("1146", "my_orders")?;
    w.mysql("SHOW RECYCLEBIN").await.shows("FILE_STORAGE_BIN_")?.shows("my_orders")?;
    w.mysql("FLASHBACK TABLE my_orders TO BEFORE DROP RENAME TO returned").await.done()?;
    w.postgres("SELECT count(*) AS orders FROM returned").await.is(&[&["5"]])?;
    Ok(())
}

async fn file_storage(w: &mut Wires) -> Told {
    say("What the tables are made of: ORC files, each with its life. Any ORC reader can read them.");
    w.mysql("SHOW FILESTORAGE").await.shows("OSS")?;
    w.mysql(&format!("SHOW FILES FROM oss_customers AS OF TIMESTAMP '{GOOD}'")).await.shows(".orc")?;
    say("A backup writes the list of all file versions into the store.");
    w.mysql("ALTER FILESTORAGE OSS BACKUP").await.done()?;
    say("What would it mean to take the whole storage back to 5 July? A PREVIEW changes nothing.");
    w.mysql(&format!("ALTER FILESTORAGE OSS AS OF TIMESTAMP '{GOOD}' PREVIEW")).await.shows("demo.oss_orders")?;
    Ok(())
}

async fn purge(w: &mut Wires) -> Told {
    say("History costs space. What would go with the history before 7 July 2022?");
    w.mysql("ALTER FILESTORAGE OSS PURGE BEFORE TIMESTAMP '2022-07-07 00:00:00' PREVIEW").await.shows("demo.oss_orders")?;
    let now = w.mysql("SELECT NOW(6)").await.first()?;
    say("What backups of the last 30 days may need is guarded; a hint says that you know.");
    w.mysql(&format!("ALTER TABLE returned PURGE BEFORE TIMESTAMP '{now}'")).await.fails("1290", "BACKUP_OSS_PERIOD")?;
    w.mysql(&format!("/*+TDDL:cmd_extra(BACKUP_OSS_PERIOD=0)*/ ALTER TABLE returned PURGE BEFORE TIMESTAMP '{now}'")).await.done()?;
    say("From then on a read before the horizon is an error that names it. Never silently fewer rows.");
    let sql = format!("SELECT count(*) FROM returned AS OF TIMESTAMP '{GOOD}'");
    w.mysql(&sql).await.fails("8055", "")?;
    w.postgres(&sql).await.fails("72000", "")?;
    w.postgres("SELECT count(*) AS orders FROM returned").await.is(&[&["5"]])?;
    Ok(())
}

async fn clean_up(w: &mut Wires) -> Told {
    w.mysql("DROP TABLE returned").await.done()?;
    w.mysql("PURGE TABLE returned").await.done()?;
    Ok(())
}
