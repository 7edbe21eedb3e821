//! The two protocols; nothing about flashback.

pub mod mysql;
pub mod postgres;
