//! (room: gms)
