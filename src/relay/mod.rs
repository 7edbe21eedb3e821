//! In front of an upstream: a client's bytes pass to the database and back, and statements that are Flashgate's are answered in between.
//!
//! [`mysql`] and [`postgres`] are built alike: the same file for the same job. It owns the connection to the upstream of each client. It
//! never changes a byte of what is not Flashgate's.

pub mod mysql;
pub mod postgres;
