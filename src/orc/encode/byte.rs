//! Run length encoding of bytes and of booleans (specification, "Byte Run Length Encoding", "Boolean Run Length Encoding").

/// Encodes whole bytes: runs of 3 to 130 equal bytes, literals up to 128.
pub(super) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    let mut literal = 0;
    while at < bytes.len() {
        let value = bytes[at];
        let mut end = at + 1;
        while end < bytes.len() && end - at < 130 && bytes[end] == value {
            end += 1;
        }
        if end - at >= 3 {
            literals(&bytes[literal..at], out);
            out.push((end - at - 3) as u8);
            out.push(value);
            literal = end;
        }
        at = end;
    }
    literals(&bytes[literal..], out);
}

fn literals(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.chunks(128) {
        out.push((chunk.len() as i16).wrapping_neg() as u8);
        out.extend_from_slice(chunk);
    }
}

/// Collects bits, first bit in the highest place. Bits that do not fill a byte wait for the next row group.
#[derive(Debug, Default)]
pub(super) struct Bits {
    whole: Vec<u8>,
    part: u8,
    used: u8,
}

impl Bits {
    /// Bits of the next byte that are already taken: the last number of a row index position.
    pub(super) fn offset(&self) -> u64 {
        u64::from(self.used)
    }

    pub(super) fn extend(&mut self, bits: impl Iterator<Item = bool>) {
        for bit in bits {
            self.part |= u8::from(bit) << (7 - self.used);
            self.used += 1;
            if self.used == 8 {
                self.whole.push(self.part);
                (self.part, self.used) = (0, 0);
            }
        }
    }

    /// `n` times true.
    pub(super) fn extend_true(&mut self, n: usize) {
        if self.used == 0 {
            self.whole.resize(self.whole.len() + n / 8, 0xff);
            self.extend(std::iter::repeat_n(true, n % 8));
        } else {
            self.extend(std::iter::repeat_n(true, n));
        }
    }

    /// Encodes the whole bytes collected so far.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>) {
        encode(&self.whole, out);
        self.whole.clear();
    }

    /// Encodes everything; the last byte is filled with zeros.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        if self.used > 0 {
            self.whole.push(self.part);
            (self.part, self.used) = (0, 0);
        }
        self.flush(out);
    }
}
