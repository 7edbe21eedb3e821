//! Decoding of byte runs and of bits (specification, "Byte Run Length Encoding", "Boolean Run Length Encoding").

use datafusion::arrow::buffer::{BooleanBuffer, Buffer};

use super::super::codec::Input;
use super::super::damage::{Damage, damaged};

/// Reads bytes from a stream of runs.
#[derive(Debug)]
pub(in crate::orc) struct ByteRuns {
    input: Input,
    left: usize,
    /// The byte that repeats; None: literals.
    repeat: Option<u8>,
}

impl ByteRuns {
    pub(in crate::orc) fn new(input: Input) -> ByteRuns {
        ByteRuns { input, left: 0, repeat: None }
    }

    /// Appends `n` bytes to `out`.
    pub(in crate::orc) fn read(&mut self, mut n: usize, out: &mut Vec<u8>) -> Result<(), Damage> {
        while n > 0 {
            if self.left == 0 {
                self.next_run()?;
            }
            let step = n.min(self.left);
            match self.repeat {
                Some(byte) => out.resize(out.len() + step, byte),
                None => out.extend_from_slice(self.input.take(step)?),
            }
            self.left -= step;
            n -= step;
        }
        Ok(())
    }

    pub(in crate::orc) fn skip(&mut self, n: usize) -> Result<(), Damage> {
        self.read(n, &mut Vec::new())
    }

    fn next_run(&mut self) -> Result<(), Damage> {
        let &[control, ..] = self.input.fill(2)? else { return Err(damaged("a byte stream ends early")) };
        self.input.consume(1);
        if control < 0x80 {
            self.left = control as usize + 3;
            self.repeat = Some(self.input.take(1)?[0]);
        } else {
            self.left = 256 - control as usize;
            self.repeat = None;
        }
        Ok(())
    }
}

/// Reads bits, the highest of a byte first.
#[derive(Debug)]
pub(in crate::orc) struct BitRuns {
    bytes: ByteRuns,
    /// The last byte read, of which `left` bits are unread. Kept in Arrow's order: lowest bit first.
    part: u8,
    left: usize,
}

impl BitRuns {
    pub(in crate::orc) fn new(input: Input) -> BitRuns {
        BitRuns { bytes: ByteRuns::new(input), part: 0, left: 0 }
    }

    /// The next `n` bits.
    pub(in crate::orc) fn read(&mut self, n: usize) -> Result<BooleanBuffer, Damage> {
        let more = n.saturating_sub(self.left).div_ceil(8);
        let mut bytes = Vec::new();
        let offset = if self.left > 0 {
            bytes.push(self.part);
            8 - self.left
        } else {
            0
        };
        let fresh = bytes.len();
        self.bytes.read(more, &mut bytes)?;
        for byte in &mut bytes[fresh..] {
            *byte = byte.reverse_bits();
        }
        self.left = self.left + more * 8 - n;
        self.part = bytes.last().copied().unwrap_or(0);
        Ok(BooleanBuffer::new(Buffer::from_vec(bytes), offset, n))
    }

    /// Goes to a row index position within the stream: `bytes` of the run, then `bits` of a byte.
    pub(in crate::orc) fn seek(&mut self, bytes: usize, bits: usize) -> Result<(), Damage> {
        self.bytes.skip(bytes)?;
        self.read(bits).map(drop)
    }
}
