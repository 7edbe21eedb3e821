//! The client's own connection to the upstream, for a local statement that needs hot tables.
//!
//! A statement runs beside the one who holds that connection: it asks through a [`UpstreamHandle`], and the wire answers at the
//! [`Requests`], one request after the other. So what is done there is done by the client's user in the client's transaction.
//! Neither side knows of the other more than the requests.

use std::io;
use std::pin::pin;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Kind, Result};
use crate::types::{ColumnInfo, SqlType};

/// Batches of a hot table that may wait to be taken.
const BATCHES_AHEAD: usize = 1;

/// What a statement of the upstream's did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// Rows affected.
    pub affected: u64,
    /// MySQL's last insert id; 0: none.
    pub last_insert_id: u64,
    /// Rows that were found to be duplicates (MySQL's info text).
    pub duplicates: u64,
    /// Warnings (MySQL) or notices (PostgreSQL).
    pub warnings: u64,
    /// MySQL: a transaction is open now.
    pub in_transaction: Option<bool>,
}

/// An INSERT of rows that are not in its text: they stand between the two parts, each in parentheses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InsertText {
    /// `INSERT INTO t (a, b) VALUES `
    pub head: String,
    /// ` ON CONFLICT DO NOTHING`
    pub tail: String,
}

/// A column of a hot table, as the upstream describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HotColumn {
    /// Its name.
    pub name: String,
    /// Its type here.
    pub ty: SqlType,
    /// What the upstream is asked for, with `{}` for the quoted column: where the column as such would not come exactly.
    pub fetch: Option<&'static str>,
    /// May it be NULL?
    pub nullable: bool,
}

type Answer<T> = oneshot::Sender<Result<T>>;

/// A request for the client's connection.
#[derive(Debug)]
pub enum Request {
    /// What follows is kept or undone as a whole.
    Begin(Answer<()>),
    /// It is kept, or undone, together.
    End { keep: bool, answer: Answer<Done> },
    /// A statement without rows.
    Run { text: String, answer: Answer<Done> },
    /// An INSERT of the rows of a batch, in as many statements as their size asks for.
    Insert { text: Arc<InsertText>, columns: Arc<[ColumnInfo]>, rows: RecordBatch, answer: Answer<Done> },
    /// The columns of a query.
    Describe { query: String, answer: Answer<Vec<HotColumn>> },
    /// The rows of a query, whose columns have these types.
    Rows { query: String, types: Vec<SqlType>, rows: mpsc::Sender<RecordBatch>, answer: Answer<()> },
    /// What the last statement warned of (MySQL): code, SQLSTATE is not told, sentence.
    Warnings { answer: Answer<Vec<(u16, bool, String)>> },
}

/// The ends of a local transaction at MySQL, whatever the session's completion_type is.
pub const MYSQL_COMMIT: &str = "COMMIT AND NO CHAIN NO RELEASE";
pub const MYSQL_ROLLBACK: &str = "ROLLBACK AND NO CHAIN NO RELEASE";

/// The asking side. It ends with the statement it was made for.
#[derive(Debug, Clone)]
pub struct UpstreamHandle {
    requests: mpsc::Sender<Request>,
}

/// The answering side.
pub struct Requests {
    requests: mpsc::Receiver<Request>,
    over: CancellationToken,
}

/// A handle for one statement, the requests that come through it, and what ends them.
pub fn upstream_handle() -> (UpstreamHandle, Requests, CancellationToken) {
    let (requests, taken) = mpsc::channel(1);
    let over = CancellationToken::new();
    (UpstreamHandle { requests }, Requests { requests: taken, over: over.clone() }, over)
}

impl Requests {
    /// The next request; None: the statement is over.
    pub async fn next(&mut self) -> Option<Request> {
        tokio::select! {
            biased;
            request = self.requests.recv() => request,
            () = self.over.cancelled() => None,
        }
    }
}

/// Runs `work` to its end while `service` answers its requests until `over` closes the handle; then lets the service end what it has
/// begun, unless nobody will use the connection any more (`left`). An error is the upstream's connection's.
pub async fn run_with_executor<T>(
    work: impl Future<Output = T>,
    service: impl Future<Output = io::Result<()>>,
    over: CancellationToken,
    left: impl FnOnce(&T) -> bool,
) -> io::Result<T> {
    let mut work = pin!(work);
    let mut service = pin!(service);
    let done = tokio::select! {
        biased;
        done = &mut work => done,
        ended = &mut service => {
            ended?;
            return Err(io::Error::other("the upstream handle was closed before its statement ended"));
        }
    };
    over.cancel();
    if !left(&done) {
        service.await?;
    }
    Ok(done)
}

impl UpstreamHandle {
    async fn ask<T>(&self, make: impl FnOnce(Answer<T>) -> Request) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(make(answer)).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    /// Begins what is kept or undone as a whole.
    pub async fn begin(&self) -> Result<()> {
        self.ask(Request::Begin).await
    }

    /// Keeps or undoes what was done since [`UpstreamHandle::begin`].
    pub async fn end(&self, keep: bool) -> Result<Done> {
        self.ask(|answer| Request::End { keep, answer }).await
    }

    /// Runs a statement that has no rows.
    pub async fn run(&self, text: String) -> Result<Done> {
        self.ask(|answer| Request::Run { text, answer }).await
    }

    /// Inserts the rows of a batch.
    pub async fn insert(&self, text: &Arc<InsertText>, columns: &Arc<[ColumnInfo]>, rows: RecordBatch) -> Result<Done> {
        let (text, columns) = (Arc::clone(text), Arc::clone(columns));
        self.ask(|answer| Request::Insert { text, columns, rows, answer }).await
    }

    /// The columns of a query.
    pub async fn describe(&self, query: String) -> Result<Vec<HotColumn>> {
        self.ask(|answer| Request::Describe { query, answer }).await
    }

    /// Gives the rows of a query to `take`, batch by batch. Their columns are Utf8, Binary, or of the Arrow type of `types`.
    pub async fn rows(&self, query: String, types: Vec<SqlType>, mut take: impl FnMut(RecordBatch) -> Result<()>) -> Result<()> {
        let (rows, mut come) = mpsc::channel(BATCHES_AHEAD);
        let asked = self.ask(|answer| Request::Rows { query, types, rows, answer });
        let taken = async {
            while let Some(batch) = come.recv().await {
                take(batch)?;
            }
            Ok(())
        };
        tokio::try_join!(asked, taken).map(|_| ())
    }

    /// What the last statement warned of: code, whether it is but a note, sentence.
    pub async fn warnings(&self) -> Result<Vec<(u16, bool, String)>> {
        self.ask(|answer| Request::Warnings { answer }).await
    }
}

fn closed() -> Error {
    Error::new(Kind::Refused, "the rows of a hot table can only be had while their statement runs")
        .with_hint("read the whole result at once")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_are_answered_until_the_statement_ends_and_not_after() {
        let (upstream, mut requests, over) = upstream_handle();
        let kept = upstream.clone();
        let work = async move {
            upstream.begin().await.unwrap();
            upstream.end(true).await.unwrap().affected
        };
        let service = async {
            while let Some(request) = requests.next().await {
                match request {
                    Request::Begin(answer) => answer.send(Ok(())).unwrap(),
                    Request::End { keep: true, answer } => answer.send(Ok(Done { affected: 7, ..Done::default() })).unwrap(),
                    other => panic!("{other:?}"),
                }
            }
            Ok(())
        };
        assert_eq!(run_with_executor(work, service, over, |_| false).await.unwrap(), 7);
        drop(requests);
        assert_eq!(kept.begin().await.unwrap_err().kind(), Kind::Refused);
    }

    #[tokio::test]
    async fn what_was_begun_is_ended_though_nobody_waits_for_it() {
        let (upstream, mut requests, over) = upstream_handle();
        let (mut begun, mut ended) = (false, false);
        let work = async {
            let asked = tokio::time::timeout(std::time::Duration::from_millis(20), upstream.begin()).await;
            assert!(asked.is_err());
        };
        let service = async {
            while let Some(request) = requests.next().await {
                begun = true;
                tokio::time::sleep(std::time::Duration::from_millis(60)).await;
                ended = true;
                drop(request);
            }
            Ok(())
        };
        run_with_executor(work, service, over, |()| false).await.unwrap();
        assert!(begun && ended);
    }

    #[tokio::test]
    async fn an_upstream_that_goes_ends_the_statement() {
        let (_upstream, _requests, over) = upstream_handle();
        let gone = async { Err::<(), _>(io::ErrorKind::UnexpectedEof.into()) };
        let outcome = run_with_executor(std::future::pending::<()>(), gone, over, |()| false).await;
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
