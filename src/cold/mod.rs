//! (room: cold)
