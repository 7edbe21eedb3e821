//! Writing ORC files: record batches in, bytes out, no I/O.
//!
//! Standard ORC v1 (format version 0.12) for any reader: RLE version 2, dictionaries where they pay, a row index with
//! statistics and positions for every 10,000 rows, statistics of stripes and file, bloom filters on request. Runs end
//! with their row group, so that a reader can start at any of them without decoding what lies before.

use bytes::Bytes;
use datafusion::arrow::array::{Array, ArrayRef, RecordBatch};
use datafusion::arrow::compute::{CastOptions, cast_with_options, concat};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use orc_rust::proto::stream::Kind as StreamKind;
use orc_rust::proto::{self, CompressionKind};
use prost::Message;

use super::codec::{BLOCK, Compressor, Output};
use super::encode::ColumnEncoder;
use super::schema::{WRITER_VERSION, canonical, orc_type};
use super::units::MAGIC;
use crate::error::{Error, Result};
use crate::types::{FileStats, meta};

/// ORC-135: timestamp statistics are in UTC. These files keep all promises of that version.
const FORMAT_WRITER_VERSION: u32 = 6;

/// How to write.
#[derive(Debug, Clone)]
pub struct WriteOptions {
    /// Compression of the streams.
    pub compression: Compression,
    /// Rows per row group: what a reader can skip. Rounded up to a multiple of 8.
    pub row_index_stride: usize,
    /// A stripe ends when its data before compression is about this large..
    pub stripe_bytes: usize,
    /// ..or has this many rows.
    pub stripe_rows: usize,
    /// Columns (names of the schema) that get a bloom filter per row group: integers, dates and text.
    pub bloom_columns: Vec<String>,
    /// User metadata: name and value.
    pub metadata: Vec<(String, String)>,
}

impl Default for WriteOptions {
    fn default() -> Self {
        WriteOptions {
            compression: Compression::Zstd { level: 1 },
            row_index_stride: 10_000,
            stripe_bytes: 64 << 20,
            stripe_rows: 1_000_000,
            bloom_columns: vec![],
            metadata: vec![],
        }
    }
}

/// Codec of the streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Zlib,
    Snappy,
    Lz4,
    /// Levels 1 (fast) to 22 (small).
    Zstd {
        level: i32,
    },
}

impl Compression {
    fn kind(self) -> CompressionKind {
        match self {
            Compression::None => CompressionKind::None,
            Compression::Zlib => CompressionKind::Zlib,
            Compression::Snappy => CompressionKind::Snappy,
            Compression::Lz4 => CompressionKind::Lz4,
            Compression::Zstd { .. } => CompressionKind::Zstd,
        }
    }
}

/// Writes one file. Feed it batches, take bytes whenever some are ready, finish. Holds at most one stripe.
pub struct Writer {
    options: WriteOptions,
    schema: SchemaRef,
    /// Per column, the type it is encoded in.
    canonical: Vec<DataType>,
    types: Vec<proto::Type>,
    columns: Vec<ColumnEncoder>,
    compressor: Compressor,
    /// Rows that do not fill a row group yet.
    pending: Vec<RecordBatch>,
    pending_rows: usize,
    pending_bytes: usize,
    /// Rows in the row groups of the open stripe, one number per row group.
    stripe_groups: Vec<usize>,
    stripe_bytes: usize,
    out: Vec<u8>,
    /// Bytes handed out or ready: the offset of what comes next.
    offset: u64,
    stripes: Vec<proto::StripeInformation>,
    stripe_stats: Vec<proto::StripeStatistics>,
    rows: u64,
}

impl Writer {
    /// A writer of batches with this schema. Field metadata ([`meta`]) gives the declared types and the column ids.
    pub fn new(schema: SchemaRef, mut options: WriteOptions) -> Result<Writer> {
        options.row_index_stride = options.row_index_stride.clamp(8, 1 << 24).next_multiple_of(8);
        let level = if let Compression::Zstd { level } = options.compression { level } else { 0 };
        let compressor = Compressor::new(options.compression.kind(), level)?;
        let canonical = schema.fields().iter().map(|f| canonical(f.name(), f.data_type())).collect::<Result<Vec<_>>>()?;
        let mut root = proto::Type {
            subtypes: (1..=canonical.len() as u32).collect(),
            field_names: schema.fields().iter().map(|f| f.name().clone()).collect(),
            ..Default::default()
        };
        root.set_kind(proto::r#type::Kind::Struct);
        let mut types = vec![root];
        types.extend(schema.fields().iter().zip(&canonical).map(|(field, ty)| orc_type(field, ty)));
        let columns = schema
            .fields()
            .iter()
            .zip(&canonical)
            .map(|(field, ty)| ColumnEncoder::new(ty.clone(), options.bloom_columns.contains(field.name())))
            .collect();
        Ok(Writer {
            options,
            schema,
            canonical,
            types,
            columns,
            compressor,
            pending: vec![],
            pending_rows: 0,
            pending_bytes: 0,
            stripe_groups: vec![],
            stripe_bytes: 0,
            out: MAGIC.as_bytes().to_vec(),
            offset: MAGIC.len() as u64,
            stripes: vec![],
            stripe_stats: vec![],
            rows: 0,
        })
    }

    /// Takes rows. The batch's column types must be the schema's.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_columns() != self.schema.fields().len() {
            return Err(Error::internal(format!(
                "a batch of {} columns for an ORC file of {}",
                batch.num_columns(),
                self.schema.fields().len()
            )));
        }
        for (field, column) in self.schema.fields().iter().zip(batch.columns()) {
            if field.data_type() != column.data_type() {
                return Err(Error::internal(format!(
                    "column '{}' of an ORC file is {}, the batch brings {}",
                    field.name(),
                    field.data_type(),
                    column.data_type()
                )));
            }
        }
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.rows += batch.num_rows() as u64;
        self.pending_rows += batch.num_rows();
        self.pending.push(batch.clone());
        self.pending_bytes += batch.columns().iter().map(raw_bytes).sum::<usize>();
        while self.pending_rows >= self.options.row_index_stride {
            self.write_group(self.options.row_index_stride)?;
        }
        // Only a stripe's last row group may be short: wide rows end the stripe.
        if self.pending_bytes >= self.options.stripe_bytes && self.pending_rows > 0 {
            self.write_group(self.pending_rows)?;
            if !self.stripe_groups.is_empty() {
                self.finish_stripe();
            }
        }
        Ok(())
    }

    /// Finished bytes, to be appended to the file. May be empty.
    pub fn take_bytes(&mut self) -> Bytes {
        Bytes::from(std::mem::take(&mut self.out))
    }

    /// Bytes of memory held: rows that wait, the open stripe and bytes not taken.
    pub fn buffered(&self) -> usize {
        self.pending_bytes + self.columns.iter().map(ColumnEncoder::len).sum::<usize>() + self.out.len()
    }

    /// Rows taken so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of the file so far, taken or ready, without the open stripe.
    pub fn written(&self) -> u64 {
        self.offset
    }

    /// Ends the file: the last bytes and the statistics of its columns, by the ids in the schema's metadata
    /// (a column without an id has none).
    pub fn finish(mut self) -> Result<(Bytes, FileStats)> {
        if self.pending_rows > 0 {
            self.write_group(self.pending_rows)?;
        }
        if !self.stripe_groups.is_empty() {
            self.finish_stripe();
        }
        self.write_tail();
        let columns = self
            .schema
            .fields()
            .iter()
            .zip(&self.columns)
            .filter_map(|(field, column)| {
                let id = field.metadata().get(meta::ID)?.parse().ok()?;
                Some(column.file_stats().to_column(id, column.unsigned()))
            })
            .collect();
        Ok((Bytes::from(self.out), FileStats { columns }))
    }

    /// Encodes the first `rows` pending rows as a row group.
    fn write_group(&mut self, rows: usize) -> Result<()> {
        let pieces = self.take_pending(rows);
        for at in 0..self.columns.len() {
            let arrays: Vec<&dyn Array> = pieces.iter().map(|p| p.column(at).as_ref()).collect();
            let array: ArrayRef = match &arrays[..] {
                [_] => pieces[0].column(at).clone(),
                _ => concat(&arrays).map_err(|e| Error::internal(format!("row group: {e}")))?,
            };
            let array = self.to_canonical(at, array)?;
            let bytes = raw_bytes(&array);
            self.stripe_bytes += bytes;
            self.pending_bytes = self.pending_bytes.saturating_sub(bytes);
            self.columns[at].write_group(&array, &mut self.compressor);
        }
        self.stripe_groups.push(rows);
        let stripe_rows: usize = self.stripe_groups.iter().sum();
        if self.stripe_bytes >= self.options.stripe_bytes || stripe_rows >= self.options.stripe_rows {
            self.finish_stripe();
        }
        Ok(())
    }

    fn take_pending(&mut self, rows: usize) -> Vec<RecordBatch> {
        let (mut pieces, mut missing) = (Vec::new(), rows);
        let mut rest = Vec::new();
        for batch in std::mem::take(&mut self.pending) {
            let step = batch.num_rows().min(missing);
            if step > 0 {
                pieces.push(batch.slice(0, step));
            }
            if step < batch.num_rows() {
                rest.push(batch.slice(step, batch.num_rows() - step));
            }
            missing -= step;
        }
        self.pending = rest;
        self.pending_rows -= rows;
        if self.pending_rows == 0 {
            self.pending_bytes = 0;
        }
        pieces
    }

    fn to_canonical(&self, at: usize, array: ArrayRef) -> Result<ArrayRef> {
        let want = &self.canonical[at];
        if array.data_type() == want {
            return Ok(array);
        }
        cast_with_options(&array, want, &CastOptions { safe: false, ..Default::default() }).map_err(|e| {
            Error::new(crate::Kind::OutOfRange, format!("a value of column '{}' cannot be stored: {e}", self.schema.field(at).name()))
        })
    }

    fn finish_stripe(&mut self) {
        let groups = std::mem::take(&mut self.stripe_groups);
        self.stripe_bytes = 0;
        let rows: u64 = groups.iter().map(|&n| n as u64).sum();
        let columns: Vec<_> = self.columns.iter_mut().map(|c| c.finish_stripe(&mut self.compressor)).collect();

        // The root struct has statistics and empty positions of its own.
        let root_stats = |rows: u64| proto::ColumnStatistics { number_of_values: Some(rows), has_null: Some(false), ..Default::default() };
        let root_index = proto::RowIndex {
            entry: groups.iter().map(|&n| proto::RowIndexEntry { positions: vec![], statistics: Some(root_stats(n as u64)) }).collect(),
        };
        let start = self.offset;
        let mut streams = Vec::new();
        let mut body: Vec<u8> = Vec::new();
        let mut add = |kind: StreamKind, column: usize, bytes: &[u8], body: &mut Vec<u8>| {
            let mut stream = proto::Stream { column: Some(column as u32), length: Some(bytes.len() as u64), ..Default::default() };
            stream.set_kind(kind);
            streams.push(stream);
            body.extend_from_slice(bytes);
        };
        add(StreamKind::RowIndex, 0, &self.section(&root_index), &mut body);
        for (at, column) in columns.iter().enumerate() {
            let index = section(&column.index, &mut self.compressor);
            add(StreamKind::RowIndex, at + 1, &index, &mut body);
            if let Some(bloom) = &column.bloom {
                let bloom = section(bloom, &mut self.compressor);
                add(StreamKind::BloomFilterUtf8, at + 1, &bloom, &mut body);
            }
        }
        let index_length = body.len() as u64;
        for (at, column) in columns.iter().enumerate() {
            for (kind, bytes) in &column.streams {
                add(*kind, at + 1, bytes, &mut body);
            }
        }
        let data_length = body.len() as u64 - index_length;
        let mut encodings = vec![proto::ColumnEncoding { kind: Some(0), ..Default::default() }];
        encodings.extend(columns.iter().map(|c| c.encoding.clone()));
        let footer = proto::StripeFooter { streams, columns: encodings, writer_timezone: Some("UTC".into()), encryption: vec![] };
        let footer = section(&footer, &mut self.compressor);
        body.extend_from_slice(&footer);

        let mut col_stats = vec![root_stats(rows)];
        col_stats.extend(columns.iter().zip(&self.columns).map(|(done, column)| done.stats.to_proto(column.scale())));
        self.stripe_stats.push(proto::StripeStatistics { col_stats });
        self.stripes.push(proto::StripeInformation {
            offset: Some(start),
            index_length: Some(index_length),
            data_length: Some(data_length),
            footer_length: Some(footer.len() as u64),
            number_of_rows: Some(rows),
            ..Default::default()
        });
        self.offset += body.len() as u64;
        if self.out.is_empty() { self.out = body } else { self.out.extend_from_slice(&body) }
    }

    fn section(&mut self, message: &impl Message) -> Vec<u8> {
        section(message, &mut self.compressor)
    }

    fn write_tail(&mut self) {
        let content_length = self.offset - MAGIC.len() as u64;
        let metadata = proto::Metadata { stripe_stats: std::mem::take(&mut self.stripe_stats) };
        let metadata = self.section(&metadata);
        let mut statistics =
            vec![proto::ColumnStatistics { number_of_values: Some(self.rows), has_null: Some(false), ..Default::default() }];
        statistics.extend(self.columns.iter().map(|c| c.file_stats().to_proto(c.scale())));
        let mut user = vec![(WRITER_VERSION.to_owned(), env!("CARGO_PKG_VERSION").to_owned())];
        user.append(&mut self.options.metadata);
        let footer = proto::Footer {
            header_length: Some(MAGIC.len() as u64),
            content_length: Some(content_length),
            stripes: std::mem::take(&mut self.stripes),
            types: std::mem::take(&mut self.types),
            metadata: user
                .into_iter()
                .map(|(name, value)| proto::UserMetadataItem { name: Some(name), value: Some(value.into_bytes()) })
                .collect(),
            number_of_rows: Some(self.rows),
            statistics,
            row_index_stride: Some(self.options.row_index_stride as u32),
            // Without it other readers take days before 1582-10-15 for those of the Julian calendar.
            calendar: Some(proto::CalendarKind::ProlepticGregorian as i32),
            software_version: Some(concat!("flashgate ", env!("CARGO_PKG_VERSION")).into()),
            ..Default::default()
        };
        let footer = self.section(&footer);
        let mut postscript = proto::PostScript {
            footer_length: Some(footer.len() as u64),
            compression_block_size: Some(BLOCK as u64),
            version: vec![0, 12],
            metadata_length: Some(metadata.len() as u64),
            writer_version: Some(FORMAT_WRITER_VERSION),
            magic: Some(MAGIC.into()),
            ..Default::default()
        };
        postscript.set_compression(self.options.compression.kind());
        let postscript = postscript.encode_to_vec();
        self.out.extend_from_slice(&metadata);
        self.out.extend_from_slice(&footer);
        self.out.extend_from_slice(&postscript);
        // At most about 50 bytes (specification: fewer than 256).
        self.out.push(postscript.len() as u8);
        self.offset += (metadata.len() + footer.len() + postscript.len() + 1) as u64;
    }
}

fn section(message: &impl Message, compressor: &mut Compressor) -> Vec<u8> {
    let mut output = Output::default();
    output.write(&message.encode_to_vec(), compressor);
    output.finish(compressor)
}

/// Bytes of a row group's values before compression.
fn raw_bytes(array: &ArrayRef) -> usize {
    array.to_data().get_slice_memory_size().unwrap_or(0)
}
