//! Strings and bytes: a sorted dictionary where values repeat, else lengths and bytes (specification, "String, Char, and
//! VarChar Columns").

use datafusion::arrow::array::{Array, GenericByteArray};
use datafusion::arrow::datatypes::{ArrowNativeType, ByteArrayType};
use datafusion::common::HashMap;
use orc_rust::proto::column_encoding::Kind as Encoding;
use orc_rust::proto::stream::Kind as StreamKind;

use super::super::codec::{Compressor, Output};
use super::int;

/// A dictionary with more entries or bytes than this is given up.
const MAX_ENTRIES: usize = 1 << 16;
const MAX_BYTES: usize = 8 << 20;
/// Rows before the share of distinct values says anything.
const ENOUGH: usize = 1000;

/// Streams, encoding and the positions of each row group.
pub(super) struct Finished {
    pub(super) streams: Vec<(StreamKind, Vec<u8>)>,
    pub(super) encoding: Encoding,
    pub(super) dictionary_size: Option<u32>,
    pub(super) positions: Vec<Vec<u64>>,
}

/// A column of strings within one stripe.
#[derive(Debug)]
pub(super) enum Strings {
    Dictionary(Dictionary),
    Direct(Direct),
}

/// Distinct values and, for each row that is not NULL, which one it holds.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    ids: HashMap<Box<[u8]>, u32>,
    bytes: usize,
    rows: Vec<u32>,
    /// Where each row group begins within `rows`.
    groups: Vec<usize>,
}

/// Values one after the other, and their lengths.
#[derive(Debug, Default)]
pub(super) struct Direct {
    data: Output,
    lengths: Output,
    positions: Vec<Vec<u64>>,
}

impl Direct {
    fn begin_group(&mut self, compressor: &Compressor) {
        let mut position = Vec::with_capacity(5);
        self.data.position(compressor, &mut position);
        self.lengths.position(compressor, &mut position);
        position.push(0);
        self.positions.push(position);
    }

    fn write<'a>(&mut self, values: impl Iterator<Item = &'a [u8]>, compressor: &mut Compressor) {
        self.begin_group(compressor);
        let (mut lengths, mut bytes) = (Vec::new(), Vec::new());
        for value in values {
            lengths.push(value.len() as i64);
            bytes.extend_from_slice(value);
        }
        self.data.write(&bytes, compressor);
        self.write_lengths(&lengths, compressor);
    }

    fn write_lengths(&mut self, lengths: &[i64], compressor: &mut Compressor) {
        let mut runs = Vec::new();
        int::encode(lengths, false, &mut runs);
        self.lengths.write(&runs, compressor);
    }

    fn finish(self, compressor: &mut Compressor) -> Finished {
        Finished {
            streams: vec![(StreamKind::Data, self.data.finish(compressor)), (StreamKind::Length, self.lengths.finish(compressor))],
            encoding: Encoding::DirectV2,
            dictionary_size: None,
            positions: self.positions,
        }
    }
}

impl Dictionary {
    fn pays(&self) -> bool {
        let few = self.rows.len() < ENOUGH || self.ids.len() * 2 <= self.rows.len();
        few && self.ids.len() <= MAX_ENTRIES && self.bytes <= MAX_BYTES
    }

    fn add(&mut self, value: &[u8]) {
        let id = match self.ids.get(value) {
            Some(&id) => id,
            None => {
                let id = self.ids.len() as u32;
                self.bytes += value.len();
                self.ids.insert(value.into(), id);
                id
            }
        };
        self.rows.push(id);
    }

    /// The values by id.
    fn values(&self) -> Vec<&[u8]> {
        let mut values: Vec<&[u8]> = vec![&[]; self.ids.len()];
        for (value, &id) in &self.ids {
            values[id as usize] = value;
        }
        values
    }

    fn group(&self, at: usize) -> &[u32] {
        let end = self.groups.get(at + 1).copied().unwrap_or(self.rows.len());
        &self.rows[self.groups[at]..end]
    }

    fn into_direct(self, compressor: &mut Compressor) -> Direct {
        let values = self.values();
        let mut direct = Direct::default();
        for at in 0..self.groups.len() {
            direct.write(self.group(at).iter().map(|&id| values[id as usize]), compressor);
        }
        direct
    }

    fn finish(self, compressor: &mut Compressor) -> Finished {
        let values = self.values();
        let mut order: Vec<u32> = (0..values.len() as u32).collect();
        order.sort_unstable_by_key(|&id| values[id as usize]);
        let mut rank = vec![0i64; values.len()];
        let (mut dictionary, mut lengths) = (Output::default(), Vec::with_capacity(values.len()));
        for (place, &id) in order.iter().enumerate() {
            rank[id as usize] = place as i64;
            dictionary.write(values[id as usize], compressor);
            lengths.push(values[id as usize].len() as i64);
        }
        let mut runs = Vec::new();
        int::encode(&lengths, false, &mut runs);
        let mut length_stream = Output::default();
        length_stream.write(&runs, compressor);

        let mut data = Output::default();
        let mut positions = Vec::with_capacity(self.groups.len());
        for at in 0..self.groups.len() {
            let mut position = Vec::with_capacity(3);
            data.position(compressor, &mut position);
            position.push(0);
            positions.push(position);
            let ids: Vec<i64> = self.group(at).iter().map(|&id| rank[id as usize]).collect();
            runs.clear();
            int::encode(&ids, false, &mut runs);
            data.write(&runs, compressor);
        }
        Finished {
            streams: vec![
                (StreamKind::Data, data.finish(compressor)),
                (StreamKind::Length, length_stream.finish(compressor)),
                (StreamKind::DictionaryData, dictionary.finish(compressor)),
            ],
            encoding: Encoding::DictionaryV2,
            dictionary_size: Some(values.len() as u32),
            positions,
        }
    }
}

impl Strings {
    /// Starts a stripe. Text begins with a dictionary and gives it up when values are mostly distinct.
    pub(super) fn new(text: bool) -> Strings {
        if text { Strings::Dictionary(Dictionary::default()) } else { Strings::Direct(Direct::default()) }
    }

    /// The same choice for the next stripe.
    pub(super) fn next(&self) -> Strings {
        Strings::new(matches!(self, Strings::Dictionary(_)))
    }

    /// Encodes one row group.
    pub(super) fn write<T: ByteArrayType>(&mut self, array: &GenericByteArray<T>, compressor: &mut Compressor) {
        match self {
            Strings::Direct(direct) if array.null_count() == 0 => {
                direct.begin_group(compressor);
                let offsets = array.value_offsets();
                let (first, last) = (offsets[0].as_usize(), offsets[array.len()].as_usize());
                direct.data.write(&array.value_data()[first..last], compressor);
                let lengths: Vec<i64> = offsets.windows(2).map(|w| (w[1].as_usize() - w[0].as_usize()) as i64).collect();
                direct.write_lengths(&lengths, compressor);
            }
            Strings::Direct(direct) => direct.write(array.iter().flatten().map(AsRef::as_ref), compressor),
            Strings::Dictionary(dictionary) => {
                dictionary.groups.push(dictionary.rows.len());
                for value in array.iter().flatten() {
                    dictionary.add(value.as_ref());
                }
                if !dictionary.pays() {
                    *self = Strings::Direct(std::mem::take(dictionary).into_direct(compressor));
                }
            }
        }
    }

    /// Bytes held.
    pub(super) fn len(&self) -> usize {
        match self {
            Strings::Dictionary(d) => d.rows.len() * 4 + d.bytes + d.ids.len() * 32,
            Strings::Direct(d) => d.data.len() + d.lengths.len(),
        }
    }

    pub(super) fn finish(self, compressor: &mut Compressor) -> Finished {
        match self {
            // A dictionary without entries (all NULL) confuses some readers.
            Strings::Dictionary(d) if d.ids.is_empty() || d.ids.len() * 2 > d.rows.len() => d.into_direct(compressor).finish(compressor),
            Strings::Dictionary(d) => d.finish(compressor),
            Strings::Direct(d) => d.finish(compressor),
        }
    }
}
