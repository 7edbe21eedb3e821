//! (room: orc)
