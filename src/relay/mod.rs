//! In front of an upstream: a client's bytes pass to the database and back, and local statements are answered in between.
//!
//! [`mysql`] and [`postgres`] are built alike, the same file for the same job. In the order in which a connection meets them:
//!
//! - `login`, `socket_login`: the upstream greets and authenticates; the relay takes out what it cannot keep.
//! - `pump`: the bytes between the two streams; `outgoing`: those that a stream has not taken yet.
//! - `client_side`: where a command or message of the client begins, and which of them are held for a decision.
//! - `expected`, `upstream_side`: which answers are awaited, and where each ends.
//! - `dispatch`: what was held goes on, or is answered here. `decide`: the upstream, Flashgate, or both?
//! - `script`: a text of several statements. `stand_ins`: statements about stand-ins.
//! - `local`: the local session: takes over the state of the upstream's session, and gets the client's connection lent.
//! - `own_queries`: what the relay asks the upstream by itself, unseen by the client.
//! - `executor`: what a local statement asks of hot tables; `literals`: rows for the upstream; `hot_rows`: rows from it.
//! - `cancel`: KILL and CancelRequest.
//!
//! The room owns the connection to the upstream of each client. It never changes a byte of what is not Flashgate's.

pub mod mysql;
mod outgoing;
pub mod postgres;
