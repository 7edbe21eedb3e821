//! Flashgate: a SQL proxy that gives any MySQL or PostgreSQL client a way back in time.
//!
//! The modules ("rooms"), from the top down; a room uses only rooms below it.
//!
//! - [`cli`]: the commands of the binary: serve, demo, user.
//! - [`server`]: listeners, TLS, limits, drain, reload.
//! - [`http`]: health, readiness and metrics over HTTP.
//! - [`relay`]: in front of an upstream: bytes pass both ways, local statements are answered in between.
//! - [`wire`]: the MySQL and PostgreSQL protocols; nothing about flashback.
//! - [`route`]: may a text name something that Flashgate owns? (a relay asks this first)
//! - [`session`]: one client: its state, and running one statement for either protocol.
//! - [`node`]: the running server without its clients: configuration in force, GMS, stores, engine, users, background tasks.
//! - [`variables`]: system variables and settings: their types, scopes and checks.
//! - [`engine`]: a query at a read time: DataFusion, the per-query catalog, dialects and functions.
//! - [`cold`]: cold tables: snapshot scan, insert, rewrite, compaction, transactions, purge and trim.
//! - [`sql`]: the language: Flashgate's statements, parser, printer, AS OF clauses, time expressions.
//! - [`orc`]: the format: pruned reading, writing with statistics and indexes.
//! - [`gms`]: metadata: tables, file versions, visibility index, clock, recycle bin, horizons.
//! - [`store`]: object stores by URI, credentials, wrappers.
//! - [`upstream`]: connections to the upstream, the database behind the proxy.
//! - [`proxy_protocol`], [`sockets`]: the client's address behind a load balancer; options of TCP sockets.
//! - [`telemetry`]: metrics by name.
//! - [`config`]: one typed config; file < environment < flags.
//! - [`types`]: SQL types and columns, with their Arrow form.
//! - [`time`]: the TSO and time zones.
//! - [`error`], [`fault`]: the one error type; named points at which a test may kill the process.

pub mod cli;
pub mod cold;
pub mod config;
pub mod engine;
pub mod error;
pub mod fault;
pub mod gms;
pub mod http;
pub mod node;
pub mod orc;
pub mod proxy_protocol;
pub mod relay;
pub mod route;
pub mod server;
pub mod session;
pub mod sockets;
pub mod sql;
pub mod store;
pub mod telemetry;
pub mod time;
pub mod types;
pub mod upstream;
pub mod variables;
pub mod wire;

pub use error::{Error, Kind, Result};
pub use time::Tso;
