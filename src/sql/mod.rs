//! (room: sql)
