//! Compression of ORC streams: blocks with a 3-byte header (specification, section "Compression").
//!
//! Owns the framing and the codecs. Never trusts a length: a block may not inflate beyond the file's block size.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::Read;

use bytes::Bytes;
use orc_rust::proto::CompressionKind;

use super::damage::{Damage, damaged};

/// Largest block size accepted from a file; every known writer, this one included, uses 256 KiB or less.
pub(super) const MAX_BLOCK: usize = 16 << 20;
/// Block size that we write.
pub(super) const BLOCK: usize = 256 << 10;
/// Block size assumed when the postscript has none (specification, "Postscript").
pub(super) const DEFAULT_BLOCK: usize = 256 << 10;
const HEADER: usize = 3;
/// Step in which an uncompressed stream is handed out.
const PLAIN_STEP: usize = 256 << 10;

thread_local! {
    /// Setting up a decompressor costs as much as a small block.
    static ZSTD: RefCell<Option<zstd::bulk::Decompressor<'static>>> = RefCell::new(zstd::bulk::Decompressor::new().ok());
}

/// How a file's streams are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Codec {
    pub(super) kind: CompressionKind,
    /// No block inflates to more than this.
    pub(super) block: usize,
}

impl Codec {
    pub(super) fn is_plain(self) -> bool {
        self.kind == CompressionKind::None
    }

    /// Inflates one block and appends it to `out`.
    fn inflate(self, block: &[u8], out: &mut Vec<u8>) -> Result<(), Damage> {
        let start = out.len();
        match self.kind {
            CompressionKind::Zstd => {
                let room = zstd::bulk::Decompressor::upper_bound(block).map_or(self.block, |n| n.min(self.block));
                out.resize(start + room, 0);
                let length = ZSTD.with_borrow_mut(|zstd| match zstd {
                    Some(zstd) => zstd.decompress_to_buffer(block, &mut out[start..]).map_err(|e| damaged(format!("zstd: {e}"))),
                    None => Err(damaged("zstd does not start")),
                })?;
                out.truncate(start + length);
            }
            CompressionKind::Zlib => read_limited(&mut flate2::read::DeflateDecoder::new(block), self.block, out)?,
            CompressionKind::Snappy => {
                let length = snap::raw::decompress_len(block).map_err(|e| damaged(format!("snappy: {e}")))?;
                self.check(length)?;
                out.resize(start + length, 0);
                snap::raw::Decoder::new().decompress(block, &mut out[start..]).map_err(|e| damaged(format!("snappy: {e}")))?;
            }
            CompressionKind::Lz4 => {
                out.resize(start + self.block, 0);
                let length = lz4_flex::block::decompress_into(block, &mut out[start..]).map_err(|e| damaged(format!("lz4: {e}")))?;
                out.truncate(start + length);
            }
            CompressionKind::None | CompressionKind::Lzo => return Err(damaged("a compressed block under an unknown codec")),
        }
        Ok(())
    }

    fn check(self, length: usize) -> Result<(), Damage> {
        if length > self.block { Err(damaged("a block inflates beyond the block size")) } else { Ok(()) }
    }

    /// Inflates a whole section of the tail, at most `limit` bytes of it.
    pub(super) fn inflate_all(self, section: Bytes, limit: usize) -> Result<Vec<u8>, Damage> {
        let mut input = Input::new(self, section);
        while input.more()? {
            if input.available().len() > limit {
                return Err(damaged("metadata larger than any real file's"));
            }
        }
        Ok(input.into_rest())
    }
}

fn read_limited(from: &mut impl Read, limit: usize, out: &mut Vec<u8>) -> Result<(), Damage> {
    let start = out.len();
    from.take(limit as u64 + 1).read_to_end(out).map_err(|e| damaged(format!("a block cannot be inflated: {e}")))?;
    if out.len() - start > limit { Err(damaged("a block inflates beyond the block size")) } else { Ok(()) }
}

/// A stream that is inflated block by block while it is read, so that it costs its compressed size plus one block.
#[derive(Debug)]
pub(super) struct Input {
    codec: Codec,
    /// Compressed bytes still to come.
    rest: VecDeque<Bytes>,
    buffer: Vec<u8>,
    at: usize,
}

impl Input {
    pub(super) fn new(codec: Codec, stream: Bytes) -> Input {
        Input { codec, rest: VecDeque::from([stream]), buffer: Vec::new(), at: 0 }
    }

    /// A stream without bytes (a column of only NULLs has no data stream).
    pub(super) fn empty(codec: Codec) -> Input {
        Input { codec, rest: VecDeque::new(), buffer: Vec::new(), at: 0 }
    }

    /// The inflated bytes at hand.
    pub(super) fn available(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    /// Inflates until `n` bytes are at hand or the stream ends; returns what is at hand.
    pub(super) fn fill(&mut self, n: usize) -> Result<&[u8], Damage> {
        if self.buffer.len() - self.at < n {
            if self.at > 0 {
                self.buffer.drain(..self.at);
                self.at = 0;
            }
            while self.buffer.len() < n && self.more()? {}
        }
        Ok(&self.buffer[self.at..])
    }

    /// Marks `n` of the bytes at hand as read.
    pub(super) fn consume(&mut self, n: usize) {
        self.at = (self.at + n).min(self.buffer.len());
    }

    /// Exactly `n` bytes, or damage. `n` may come from the file: memory grows only with what is really there.
    pub(super) fn take(&mut self, n: usize) -> Result<&[u8], Damage> {
        if self.fill(n)?.len() < n {
            return Err(damaged("a stream ends early"));
        }
        let start = self.at;
        self.at += n;
        Ok(&self.buffer[start..start + n])
    }

    pub(super) fn skip(&mut self, mut n: usize) -> Result<(), Damage> {
        while n > 0 {
            let have = self.fill(1)?.len();
            if have == 0 {
                return Err(damaged("a stream ends early"));
            }
            let step = have.min(n);
            self.consume(step);
            n -= step;
        }
        Ok(())
    }

    fn into_rest(mut self) -> Vec<u8> {
        self.buffer.drain(..self.at);
        self.buffer
    }

    /// Appends the next block to the buffer; false at the end.
    fn more(&mut self) -> Result<bool, Damage> {
        let Some(front) = self.rest.front_mut() else { return Ok(false) };
        if front.is_empty() {
            self.rest.pop_front();
            return self.more();
        }
        if self.codec.is_plain() {
            let step = front.split_to(front.len().min(PLAIN_STEP));
            self.buffer.extend_from_slice(&step);
            return Ok(true);
        }
        if front.len() < HEADER {
            return Err(damaged("a block header is cut off"));
        }
        let header = u32::from_le_bytes([front[0], front[1], front[2], 0]);
        let length = (header >> 1) as usize;
        if front.len() - HEADER < length {
            return Err(damaged("a block is cut off"));
        }
        let mut block = front.split_to(HEADER + length);
        let body = block.split_off(HEADER);
        if header & 1 == 1 {
            self.buffer.extend_from_slice(&body);
        } else {
            self.codec.inflate(&body, &mut self.buffer)?;
        }
        Ok(true)
    }
}

/// Compresses blocks when writing.
pub(super) struct Compressor {
    kind: CompressionKind,
    zstd: Option<zstd::bulk::Compressor<'static>>,
    scratch: Vec<u8>,
}

impl Compressor {
    pub(super) fn new(kind: CompressionKind, level: i32) -> crate::Result<Compressor> {
        let zstd = match kind {
            CompressionKind::Zstd => {
                Some(zstd::bulk::Compressor::new(level).map_err(|e| crate::Error::internal(format!("zstd does not start: {e}")))?)
            }
            CompressionKind::Lzo => return Err(crate::Error::unsupported("writing ORC with LZO")),
            _ => None,
        };
        Ok(Compressor { kind, zstd, scratch: Vec::new() })
    }

    /// Appends `block` to `out`, with its header, compressed if that makes it smaller.
    fn compress(&mut self, block: &[u8], out: &mut Vec<u8>) {
        self.scratch.clear();
        let shrunk = match self.kind {
            CompressionKind::Zstd => {
                self.scratch.reserve(zstd::zstd_safe::compress_bound(block.len()));
                self.zstd.as_mut().is_some_and(|z| z.compress_to_buffer(block, &mut self.scratch).is_ok())
            }
            CompressionKind::Zlib => {
                let mut encoder = flate2::read::DeflateEncoder::new(block, flate2::Compression::default());
                encoder.read_to_end(&mut self.scratch).is_ok()
            }
            CompressionKind::Snappy => {
                self.scratch.resize(snap::raw::max_compress_len(block.len()), 0);
                let done = snap::raw::Encoder::new().compress(block, &mut self.scratch);
                self.scratch.truncate(*done.as_ref().unwrap_or(&0));
                done.is_ok()
            }
            CompressionKind::Lz4 => {
                self.scratch.resize(lz4_flex::block::get_maximum_output_size(block.len()), 0);
                let done = lz4_flex::block::compress_into(block, &mut self.scratch);
                self.scratch.truncate(*done.as_ref().unwrap_or(&0));
                done.is_ok()
            }
            CompressionKind::None | CompressionKind::Lzo => false,
        } && self.scratch.len() < block.len();
        let body = if shrunk { &self.scratch[..] } else { block };
        let header = (body.len() as u32) << 1 | u32::from(!shrunk);
        out.extend_from_slice(&header.to_le_bytes()[..HEADER]);
        out.extend_from_slice(body);
    }

    fn is_plain(&self) -> bool {
        self.kind == CompressionKind::None
    }
}

/// A stream being written: finished blocks and the block that is being filled.
#[derive(Debug, Default)]
pub(super) struct Output {
    done: Vec<u8>,
    open: Vec<u8>,
}

impl Output {
    /// Appends bytes; full blocks are compressed.
    pub(super) fn write(&mut self, mut bytes: &[u8], compressor: &mut Compressor) {
        if compressor.is_plain() {
            self.done.extend_from_slice(bytes);
            return;
        }
        while self.open.len() + bytes.len() >= BLOCK {
            let (head, tail) = bytes.split_at(BLOCK - self.open.len());
            if self.open.is_empty() {
                compressor.compress(head, &mut self.done);
            } else {
                self.open.extend_from_slice(head);
                compressor.compress(&self.open, &mut self.done);
                self.open.clear();
            }
            bytes = tail;
        }
        self.open.extend_from_slice(bytes);
    }

    /// Where the next byte goes, as a row index entry says it: the block's start and the offset in the inflated block, or
    /// just the offset when the file is not compressed.
    pub(super) fn position(&self, compressor: &Compressor, into: &mut Vec<u64>) {
        into.push(self.done.len() as u64);
        if !compressor.is_plain() {
            into.push(self.open.len() as u64);
        }
    }

    /// Bytes held.
    pub(super) fn len(&self) -> usize {
        self.done.len() + self.open.len()
    }

    /// Closes the last block and hands out the stream.
    pub(super) fn finish(mut self, compressor: &mut Compressor) -> Vec<u8> {
        if !self.open.is_empty() {
            compressor.compress(&self.open, &mut self.done);
        }
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_codec_gives_back_what_was_written_and_positions_lead_into_it() {
        let data: Vec<u8> = (0..1_000_000u32).flat_map(|i| (i % 977).to_le_bytes()).collect();
        for kind in [CompressionKind::None, CompressionKind::Zlib, CompressionKind::Snappy, CompressionKind::Lz4, CompressionKind::Zstd] {
            let mut compressor = Compressor::new(kind, 1).unwrap();
            let mut output = Output::default();
            let (head, tail) = data.split_at(1_234_567);
            output.write(head, &mut compressor);
            let mut position = vec![];
            output.position(&compressor, &mut position);
            for piece in tail.chunks(99_999) {
                output.write(piece, &mut compressor);
            }
            let stream = Bytes::from(output.finish(&mut compressor));
            let codec = Codec { kind, block: BLOCK };
            let mut input = Input::new(codec, stream.clone());
            assert!(input.take(data.len()).unwrap() == data, "{kind:?}");
            assert!(input.take(1).is_err());

            let mut input = Input::new(codec, stream.slice(position[0] as usize..));
            input.skip(position.get(1).copied().unwrap_or(0) as usize).unwrap();
            assert!(input.take(tail.len()).unwrap() == tail, "{kind:?}");
        }
    }

    #[test]
    fn a_block_that_inflates_beyond_the_block_size_is_damage() {
        let bomb = vec![0u8; BLOCK];
        for kind in [CompressionKind::Zlib, CompressionKind::Snappy, CompressionKind::Lz4, CompressionKind::Zstd] {
            let mut compressor = Compressor::new(kind, 1).unwrap();
            let mut output = Output::default();
            output.write(&bomb, &mut compressor);
            let stream = Bytes::from(output.finish(&mut compressor));
            let mut input = Input::new(Codec { kind, block: BLOCK / 2 }, stream);
            assert!(input.take(1).is_err(), "{kind:?}");
        }
    }
}
