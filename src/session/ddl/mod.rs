//! Databases, tables and views: made, altered, dropped.

mod alter;
mod databases;
mod tables;
mod views;
