//! Object identifiers: the same for the same object, in every process and at every time.
//!
//! Tables and their keys get theirs from the table's id; what has only a name (databases, schemas, views, roles) from a
//! hash of it. Every kind has a range of its own. All stay below 2^31, so that an int4 holds them.

/// First identifier that PostgreSQL gives to users' objects.
pub const FIRST_USER_OID: i64 = 16_384;
/// The bootstrap superuser.
pub const SUPERUSER: i64 = 10;
pub const PG_CATALOG: i64 = 11;
pub const PG_TOAST: i64 = 99;
pub const PUBLIC: i64 = 2200;
pub const INFORMATION_SCHEMA: i64 = 13_207;
/// The type of a table's row is not listed; indexes are btrees by name.
pub const BTREE: i64 = 403;
pub const HEAP: i64 = 2;

const NAMED_BITS: u32 = 27;
const VIEWS: i64 = 0x1000_0000;
const DATABASES: i64 = 0x1800_0000;
const SCHEMAS: i64 = 0x2000_0000;
const ROLES: i64 = 0x2800_0000;
const INDEXES: i64 = 0x4000_0000;
/// Keys of one table, at most.
const KEYS: u64 = 64;

/// Of a table, by its id. Ids come from a counter; 2^28 of them fit.
pub fn table(id: u64) -> i64 {
    FIRST_USER_OID + i64::try_from(id % (VIEWS as u64 - FIRST_USER_OID as u64)).unwrap_or(0)
}

/// Of the n-th key of a table: its index and its constraint.
pub fn index(id: u64, n: usize) -> i64 {
    INDEXES + i64::try_from((id * KEYS + n as u64 % KEYS) % 0x4000_0000).unwrap_or(0)
}

/// Of a column's default.
pub fn default(id: u64, column: usize) -> i64 {
    INDEXES + i64::try_from((id * 2048 + column as u64 % 2048) % 0x4000_0000).unwrap_or(0)
}

pub fn view(database: &str, name: &str) -> i64 {
    VIEWS + hash(&[database, name])
}

pub fn database(name: &str) -> i64 {
    DATABASES + hash(&[name])
}

pub fn schema(database: &str, name: &str) -> i64 {
    SCHEMAS + hash(&[database, name])
}

pub fn role(name: &str) -> i64 {
    if name == "root" { SUPERUSER } else { ROLES + hash(&[name]) }
}

/// FNV-1a over the folded parts, cut to the range of one kind.
fn hash(parts: &[&str]) -> i64 {
    let mut h: u64 = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        for byte in crate::types::fold(part).bytes().chain([0]) {
            h = (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    ((h ^ (h >> 32)) & ((1 << NAMED_BITS) - 1)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_do_not_overlap_and_fit_an_int4() {
        assert!(table(1) < VIEWS && table(200_000_000) < VIEWS);
        assert!(view("d", "v") < DATABASES && database("d") < SCHEMAS && schema("d", "s") < ROLES && role("x") < INDEXES);
        assert!(i32::try_from(index(16_000_000, 63)).is_ok());
        assert_eq!(view("D", "V"), view("d", "v"));
    }
}
