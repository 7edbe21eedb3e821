//! A stripe: its footer, where its streams lie, its row index, and which of its bytes some row groups need.

use std::ops::Range;

use bytes::Bytes;
use orc_rust::proto::column_encoding::Kind as Encoding;
use orc_rust::proto::stream::Kind as StreamKind;
use orc_rust::proto::r#type::Kind as TypeKind;
use orc_rust::proto::{self};
use prost::Message;

use super::codec::Codec;
use super::damage::{Damage, damaged};
use super::schema::FileColumn;
use super::tail::{StripeInfo, Tail};
use super::zone::WriterZone;

/// Inflated size above which a stripe footer or index is not believed.
const MAX_SECTION: usize = 32 << 20;

/// A parsed stripe footer.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) streams: Vec<StreamAt>,
    encodings: Vec<(Option<Encoding>, usize)>,
    /// The zone in which timestamps without zone were written; None: UTC. The error is the name of an unknown one, which
    /// matters to such timestamps only.
    pub(super) zone: Result<Option<WriterZone>, String>,
}

/// A stream: what it is, of which column, and its bytes in the file.
#[derive(Debug, Clone)]
pub(super) struct StreamAt {
    pub(super) kind: StreamKind,
    pub(super) column: u32,
    pub(super) range: Range<u64>,
}

impl Layout {
    pub(super) fn parse(bytes: Bytes, info: &StripeInfo, tail: &Tail) -> Result<Layout, Damage> {
        let footer = tail.codec.inflate_all(bytes, MAX_SECTION)?;
        let footer = proto::StripeFooter::decode(&footer[..]).map_err(|e| damaged(format!("a stripe footer is broken: {e}")))?;
        let limit = info.offset + info.index_length + info.data_length;
        let (mut at, mut streams) = (info.offset, Vec::with_capacity(footer.streams.len()));
        for stream in &footer.streams {
            let end = at.checked_add(stream.length()).filter(|&end| end <= limit);
            let end = end.ok_or_else(|| damaged("a stream lies beyond its stripe"))?;
            // Kinds that we do not know (a private index, encryption) take their place and are left alone.
            if let Some(kind) = stream.kind.and_then(|k| StreamKind::try_from(k).ok()) {
                streams.push(StreamAt { kind, column: stream.column(), range: at..end });
            }
            at = end;
        }
        if footer.columns.len() < tail.types {
            return Err(damaged("a stripe footer lacks column encodings"));
        }
        let encodings =
            footer.columns.iter().map(|c| (Encoding::try_from(c.kind.unwrap_or(0)).ok(), c.dictionary_size() as usize)).collect();
        Ok(Layout { streams, encodings, zone: WriterZone::of(footer.writer_timezone(), tail.java) })
    }

    /// Encoding of a column, None for an unknown one, and the size of its dictionary.
    pub(super) fn encoding(&self, column: u32) -> (Option<Encoding>, usize) {
        self.encodings.get(column as usize).copied().unwrap_or((Some(Encoding::Direct), 0))
    }

    /// Are the column's values numbers of a dictionary's entries?
    pub(super) fn is_dictionary(&self, column: u32) -> bool {
        matches!(self.encoding(column).0, Some(Encoding::Dictionary | Encoding::DictionaryV2))
    }

    pub(super) fn stream(&self, column: u32, kind: StreamKind) -> Option<&StreamAt> {
        self.streams.iter().find(|s| s.column == column && s.kind == kind)
    }
}

/// Parses a ROW_INDEX stream.
pub(super) fn row_index(bytes: Bytes, codec: Codec) -> Result<Vec<proto::RowIndexEntry>, Damage> {
    let bytes = codec.inflate_all(bytes, MAX_SECTION)?;
    Ok(proto::RowIndex::decode(&bytes[..]).map_err(|e| damaged(format!("a row index is broken: {e}")))?.entry)
}

/// Parses a BLOOM_FILTER_UTF8 stream.
pub(super) fn bloom_index(bytes: Bytes, codec: Codec) -> Result<Vec<proto::BloomFilter>, Damage> {
    let bytes = codec.inflate_all(bytes, MAX_SECTION)?;
    Ok(proto::BloomFilterIndex::decode(&bytes[..]).map_err(|e| damaged(format!("a bloom filter is broken: {e}")))?.bloom_filter)
}

/// A place within a stream, as a row index gives it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct StreamPosition {
    /// Offset in the stream as stored: of a block, or of the byte itself without compression.
    pub(super) start: u64,
    /// Bytes to skip after inflating.
    pub(super) inner: u64,
    /// Values of the run to skip.
    pub(super) values: u64,
    /// Bits of the byte to skip.
    pub(super) bits: u64,
}

impl StreamPosition {
    /// Does it lie at the very start of a stored block and of a run?
    fn is_clean(self) -> bool {
        self.inner == 0 && self.values == 0 && self.bits == 0
    }
}

/// What a stream's positions hold beside the byte offset.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Raw,
    Runs,
    Bits,
}

/// The data streams of a column in the order in which a row index lists their positions (specification, "Row Group
/// Index"); dictionaries have none, they are read whole.
fn shapes(column: &FileColumn, dictionary: bool) -> Vec<(StreamKind, Shape)> {
    use StreamKind::{Data, Length, Secondary};
    match column.kind {
        TypeKind::Boolean => vec![(Data, Shape::Bits)],
        TypeKind::Byte | TypeKind::Short | TypeKind::Int | TypeKind::Long | TypeKind::Date => vec![(Data, Shape::Runs)],
        TypeKind::Float | TypeKind::Double => vec![(Data, Shape::Raw)],
        TypeKind::String | TypeKind::Varchar | TypeKind::Char if dictionary => vec![(Data, Shape::Runs)],
        TypeKind::String | TypeKind::Varchar | TypeKind::Char | TypeKind::Binary => vec![(Data, Shape::Raw), (Length, Shape::Runs)],
        TypeKind::Decimal if column.decimal64 => vec![(Data, Shape::Runs)],
        TypeKind::Decimal => vec![(Data, Shape::Raw), (Secondary, Shape::Runs)],
        TypeKind::Timestamp | TypeKind::TimestampInstant => vec![(Data, Shape::Runs), (Secondary, Shape::Runs)],
        TypeKind::List | TypeKind::Map | TypeKind::Struct | TypeKind::Union => vec![],
    }
}

/// Per row group, the place of each positioned stream of a column; None when the index cannot be used to go there.
pub(super) fn places(
    entries: &[proto::RowIndexEntry],
    column: &FileColumn,
    layout: &Layout,
    codec: Codec,
) -> Option<Vec<Vec<(StreamKind, StreamPosition)>>> {
    let mut shapes = shapes(column, layout.is_dictionary(column.index));
    let present = layout.stream(column.index, StreamKind::Present).is_some();
    shapes.insert(0, (StreamKind::Present, Shape::Bits));
    let offset_numbers = if codec.is_plain() { 1 } else { 2 };
    let size = |shape: Shape| offset_numbers + [Shape::Raw, Shape::Runs, Shape::Bits].iter().position(|&s| s == shape).unwrap_or(0);
    let of_present = size(Shape::Bits);
    let rest: usize = shapes[1..].iter().map(|s| size(s.1)).sum();
    entries
        .iter()
        .map(|entry| {
            // Some writers list positions of a PRESENT stream that they then leave out.
            let listed = match entry.positions.len() {
                n if n == rest + of_present => true,
                n if n == rest && !present => false,
                _ => return None,
            };
            let mut numbers = entry.positions.iter().copied();
            let mut next = || numbers.next().unwrap_or(0);
            let mut places = Vec::with_capacity(shapes.len());
            for &(kind, shape) in &shapes[usize::from(!listed)..] {
                let start = next();
                let inner = if codec.is_plain() { 0 } else { next() };
                let values = if shape == Shape::Raw { 0 } else { next() };
                let bits = if shape == Shape::Bits { next() } else { 0 };
                places.push((kind, StreamPosition { start, inner, values, bits }));
            }
            if listed && !present {
                places.remove(0);
            }
            Some(places)
        })
        .collect()
}

/// The stored bytes of one stream that the row groups `first..end` need, from its place in `first` on. `all` are the
/// stream's places by row group. A block or run that a place cuts goes on into the next one.
pub(super) fn span(all: &[StreamPosition], first: usize, end: usize, length: u64) -> Range<u64> {
    let start = all[first].start.min(length);
    let Some(&stop) = all.get(end) else { return start..length };
    // Without a cut the bytes end at the next row group's start; a cut block ends where the next one begins; a cut run
    // may reach into the block after that.
    let blocks = if stop.is_clean() {
        return start..stop.start.clamp(start, length);
    } else if stop.values == 0 && stop.bits == 0 {
        1
    } else {
        2
    };
    let mut last = stop.start;
    let mut later = all[end..].iter().map(|p| p.start).filter(|&s| {
        let fresh = s > last;
        last = last.max(s);
        fresh
    });
    let stop = later.nth(blocks - 1).unwrap_or(length);
    start..stop.clamp(start, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_takes_in_the_block_that_the_next_row_group_shares() {
        let place = |start, inner, values| StreamPosition { start, inner, values, bits: 0 };
        let clean = [place(0, 0, 0), place(100, 0, 0), place(200, 0, 0)];
        assert_eq!(span(&clean, 0, 1, 300), 0..100);
        assert_eq!(span(&clean, 1, 3, 300), 100..300);
        let shared = [place(0, 0, 0), place(0, 50, 0), place(0, 90, 0), place(120, 10, 0)];
        assert_eq!(span(&shared, 0, 1, 300), 0..120);
        assert_eq!(span(&shared, 1, 3, 300), 0..300);
        let runs = [place(0, 0, 0), place(100, 7, 3), place(200, 0, 0), place(290, 0, 0)];
        assert_eq!(span(&runs, 0, 1, 300), 0..290);
    }
}
