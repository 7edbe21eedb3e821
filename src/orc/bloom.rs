//! Bloom filters of a row group (specification, "Bloom Filter Index", stream kind BLOOM_FILTER_UTF8).

use orc_rust::proto;

/// Seed of the string hash, as ORC's writers use it.
const SEED: u64 = 104_729;
/// Wanted rate of false positives.
const FALSE_POSITIVES: f64 = 0.05;

/// A bloom filter being filled or asked.
#[derive(Debug, Clone)]
pub(super) struct Bloom {
    words: Vec<u64>,
    hashes: u32,
}

impl Bloom {
    /// A filter sized for `entries` distinct values.
    pub(super) fn sized_for(entries: usize) -> Bloom {
        let entries = entries.max(1) as f64;
        let ln2 = std::f64::consts::LN_2;
        let bits = (-entries * FALSE_POSITIVES.ln() / (ln2 * ln2)).ceil().max(64.0);
        let words = (bits / 64.0).ceil() as usize;
        let hashes = (bits / entries * ln2).round().clamp(1.0, 16.0) as u32;
        Bloom { words: vec![0; words], hashes }
    }

    /// From a file; None when it is not one that we can ask.
    pub(super) fn from_proto(filter: &proto::BloomFilter) -> Option<Bloom> {
        let words = match &filter.utf8bitset {
            Some(bytes) if bytes.len() % 8 == 0 => bytes.as_chunks::<8>().0.iter().map(|c| u64::from_le_bytes(*c)).collect(),
            _ => filter.bitset.clone(),
        };
        let hashes = filter.num_hash_functions();
        (!words.is_empty() && (1..=64).contains(&hashes)).then_some(Bloom { words, hashes })
    }

    pub(super) fn to_proto(&self) -> proto::BloomFilter {
        proto::BloomFilter {
            num_hash_functions: Some(self.hashes),
            bitset: vec![],
            utf8bitset: Some(self.words.iter().flat_map(|w| w.to_le_bytes()).collect()),
        }
    }

    pub(super) fn add(&mut self, hash: u64) {
        let bits = self.words.len() as u64 * 64;
        for bit in places(hash, self.hashes, bits) {
            self.words[(bit / 64) as usize] |= 1 << (bit % 64);
        }
    }

    /// False: certainly not in the set.
    pub(super) fn may_contain(&self, hash: u64) -> bool {
        let bits = self.words.len() as u64 * 64;
        places(hash, self.hashes, bits).all(|bit| self.words[(bit / 64) as usize] >> (bit % 64) & 1 == 1)
    }
}

/// Bit places of a hash: its two halves combined, negative sums flipped.
fn places(hash: u64, hashes: u32, bits: u64) -> impl Iterator<Item = u64> {
    let (low, high) = (hash as i32, (hash >> 32) as i32);
    (1..=hashes as i32).map(move |i| {
        let combined = low.wrapping_add(i.wrapping_mul(high));
        (if combined < 0 { !combined } else { combined }) as u64 % bits
    })
}

/// Thomas Wang's 64-bit integer hash, for integers and dates.
pub(super) fn hash_int(value: i64) -> u64 {
    let mut key = value;
    key = (!key).wrapping_add(key << 21);
    key ^= key >> 24;
    key = key.wrapping_add(key << 3).wrapping_add(key << 8);
    key ^= key >> 14;
    key = key.wrapping_add(key << 2).wrapping_add(key << 4);
    key ^= key >> 28;
    key = key.wrapping_add(key << 31);
    key as u64
}

/// The 64-bit Murmur3 of ORC's writers, for text.
pub(super) fn hash_bytes(data: &[u8]) -> u64 {
    const C1: u64 = 0x87c3_7b91_1142_53d5;
    const C2: u64 = 0x4cf5_ad43_2745_937f;
    let mix = |k: u64| k.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2);
    let mut hash = SEED;
    let (blocks, tail) = data.as_chunks::<8>();
    for block in blocks {
        hash ^= mix(u64::from_le_bytes(*block));
        hash = hash.rotate_left(27).wrapping_mul(5).wrapping_add(0x52dc_e729);
    }
    if !tail.is_empty() {
        let mut last = [0; 8];
        last[..tail.len()].copy_from_slice(tail);
        hash ^= mix(u64::from_le_bytes(last));
    }
    hash ^= data.len() as u64;
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_was_added_is_denied_and_most_else_is() {
        let mut filter = Bloom::sized_for(1000);
        (0..1000).for_each(|i| filter.add(hash_int(i)));
        let read = Bloom::from_proto(&filter.to_proto()).unwrap();
        assert!((0..1000).all(|i| read.may_contain(hash_int(i))));
        let wrong = (1000..11_000).filter(|&i| read.may_contain(hash_int(i))).count();
        assert!(wrong < 1000, "{wrong} false positives of 10000");
    }

    #[test]
    fn another_reader_finds_what_was_added() {
        let mut filter = Bloom::sized_for(10);
        filter.add(hash_bytes(b"flashback"));
        let other = orc_rust::bloom_filter::BloomFilter::try_from_proto(&filter.to_proto()).unwrap();
        assert!(other.might_contain(b"flashback") && !other.might_contain(b"flash"));
    }
}
