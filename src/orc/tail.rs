//! The tail of a file: postscript, footer and stripe statistics, read in one request and checked against the file's size.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, OnceLock};

use bytes::Bytes;
use datafusion::arrow::datatypes::SchemaRef;
use object_store::GetRange;
use orc_rust::proto::{self, CalendarKind, CompressionKind};
use prost::Message;
use prost::encoding::{DecodeContext, decode_key, skip_field};
use quick_cache::sync::Cache;
use quick_cache::{OptionsBuilder, Weighter};

use super::codec::{Codec, DEFAULT_BLOCK, MAX_BLOCK};
use super::damage::{Damage, Sort, damaged};
use super::object::Object;
use super::schema::{FileColumn, WRITER_VERSION, arrow_schema, file_columns};
use super::stripe::Layout;
use super::units::MAGIC;
use crate::error::Result;

/// Bytes read at first: holds the whole tail of all but huge files.
const FIRST_READ: u64 = 256 << 10;
/// Inflated size above which a footer is not believed.
const MAX_FOOTER: usize = 32 << 20;
/// Rows above which a stripe is not believed.
const MAX_STRIPE_ROWS: u64 = 1 << 31;
/// The newest version of the format, which Java calls UNSTABLE_PRE_2_0 and where decimals of 18 digits are integers.
const DECIMAL64_VERSION: [u32; 2] = [1, 9999];
/// The field of a footer that holds the statistics of the columns.
const FOOTER_STATISTICS: u32 = 7;
/// Brotli, which the list of codecs here ends before.
const BROTLI: i32 = 6;
/// Files whose tails are kept in memory.
const CACHED_FILES: usize = 4096;
/// Bytes of tails kept in memory, by their size in the file.
const CACHED_BYTES: u64 = 64 << 20;

/// Where a stripe lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct StripeInfo {
    pub(super) offset: u64,
    pub(super) index_length: u64,
    pub(super) data_length: u64,
    pub(super) footer_length: u64,
    pub(super) rows: usize,
}

impl StripeInfo {
    pub(super) fn length(&self) -> u64 {
        self.index_length + self.data_length + self.footer_length
    }
}

/// All that is known of a file without reading a stripe.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) codec: Codec,
    pub(super) columns: Vec<FileColumn>,
    /// Number of types: no stream or statistic names a column beyond it.
    pub(super) types: usize,
    pub(super) schema: SchemaRef,
    pub(super) rows: u64,
    /// Rows per row group; None: no row index.
    pub(super) stride: Option<usize>,
    pub(super) stripes: Vec<StripeInfo>,
    /// Per stripe, by type index; empty when the file has none.
    pub(super) stripe_stats: Vec<Vec<proto::ColumnStatistics>>,
    pub(super) file_stats: Vec<proto::ColumnStatistics>,
    /// Written by Flashgate.
    pub(super) written_here: bool,
    /// Bounds of text are in UTF-8 order (HIVE-8732): not so in the very first files of Hive.
    pub(super) text_stats: bool,
    /// Written by the Java library (Hive, Spark), whose zones are Java's.
    pub(super) java: bool,
    /// Days before 1582-10-15 are counted in the Julian calendar.
    pub(super) hybrid: bool,
    pub(super) user: HashMap<String, Vec<u8>>,
    /// Stripe footers, as they are read.
    pub(super) layouts: Vec<OnceLock<Arc<Layout>>>,
    /// Bytes of the tail in the file.
    weight: usize,
}

/// Reads the tail of `object`. With a `size` known from the metadata a file of another size is damage.
pub(super) async fn read(object: &Object, size: Option<u64>) -> Result<Arc<Tail>> {
    let key = size.and_then(|size| cache_key(object, size));
    if let Some(tail) = key.as_ref().and_then(|key| cache().get(key)) {
        return Ok(tail);
    }
    let size = size.or(object.foreign_size());
    if size == Some(0) {
        return Err(object.error(Damage::new(Sort::Empty, "it is empty")));
    }
    let range = match size {
        Some(size) => GetRange::Bounded(size.saturating_sub(FIRST_READ)..size),
        None => GetRange::Suffix(FIRST_READ),
    };
    let (meta, mut bytes) = object.get(range).await?;
    let real = meta.size;
    if let Some(size) = size
        && size != real
    {
        return Err(object.other_size(real, size));
    }
    let (postscript, postscript_length) = match postscript(&bytes, real) {
        Ok(read) => read,
        Err(damage) => return Err(object.error(foreign_format(&bytes).unwrap_or(damage))),
    };
    let marked = postscript.magic() == MAGIC;
    if !marked {
        // Presto and Trino of old put the mark at the beginning only; the Java and the C++ reader look there, too.
        let head = if bytes.len() as u64 == real { bytes.clone() } else { object.get(GetRange::Bounded(0..MAGIC.len() as u64)).await?.1 };
        if !head.starts_with(MAGIC.as_bytes()) {
            return Err(object.error(foreign_format(&bytes).unwrap_or_else(not_orc)));
        }
    }
    let sections = postscript.footer_length().saturating_add(postscript.metadata_length());
    let whole = sections.saturating_add(postscript_length as u64 + 1);
    if whole > real {
        return Err(object.error(damaged("its footer is longer than the file")));
    }
    if whole > bytes.len() as u64 {
        if sections > 2 * MAX_FOOTER as u64 {
            return Err(object.error(damaged("its footer is larger than any real file's")));
        }
        bytes = object.get(GetRange::Bounded(real - whole..real)).await?.1;
        if bytes.len() as u64 != whole {
            return Err(object.short());
        }
    }
    let tail = bytes.slice(bytes.len() - whole as usize..);
    let tail = Arc::new(parse(tail, &postscript, real).map_err(|d| object.error(d))?);
    if let Some(key) = key {
        cache().insert(key, tail.clone());
    }
    Ok(tail)
}

fn not_orc() -> Damage {
    Damage::new(Sort::NotOrc, "it does not end like an ORC file")
}

/// The format that the last bytes of a file that is not ORC show.
fn foreign_format(end: &Bytes) -> Option<Damage> {
    end.ends_with(b"PAR1").then(|| Damage::new(Sort::NotOrc, "it is a Parquet file"))
}

fn postscript(bytes: &Bytes, size: u64) -> Result<(proto::PostScript, usize), Damage> {
    let length = *bytes.last().ok_or_else(|| Damage::new(Sort::Empty, "it is empty"))? as usize;
    if length == 0 || length + 1 > bytes.len() || size < (MAGIC.len() + length + 1) as u64 {
        return Err(not_orc());
    }
    let end = bytes.len() - 1;
    let postscript = proto::PostScript::decode(&bytes[end - length..end]).map_err(|_| not_orc())?;
    Ok((postscript, length))
}

/// Parses metadata, footer and postscript, which `bytes` holds exactly.
fn parse(bytes: Bytes, postscript: &proto::PostScript, size: u64) -> Result<Tail, Damage> {
    const CODECS: &str = "write it again with ZLIB, SNAPPY, LZ4 or ZSTD, or without compression";
    let version = postscript.version.as_slice();
    if version.first().is_some_and(|&major| major > 1) {
        let text = format!("it has version {} of the format", version.iter().map(u32::to_string).collect::<Vec<_>>().join("."));
        return Err(Damage::new(Sort::Unsupported("write it again with version 0.12, which all writers have"), text));
    }
    let kind = match postscript.compression.unwrap_or(0) {
        BROTLI => return Err(Damage::new(Sort::Unsupported(CODECS), "Brotli compression is not supported")),
        number => CompressionKind::try_from(number).map_err(|_| damaged(format!("it has an unknown compression ({number})")))?,
    };
    if kind == CompressionKind::Lzo {
        return Err(Damage::new(Sort::Unsupported(CODECS), "LZO compression is not supported"));
    }
    let block = postscript.compression_block_size.map_or(DEFAULT_BLOCK, |b| usize::try_from(b).unwrap_or(usize::MAX));
    if block > MAX_BLOCK || block == 0 && kind != CompressionKind::None {
        return Err(damaged("its compression block size is out of range"));
    }
    let codec = Codec { kind, block };
    // Checked by the caller to lie within `bytes`.
    let metadata_length = postscript.metadata_length() as usize;
    let footer_length = postscript.footer_length() as usize;
    let weight = bytes.len();
    let footer = bytes.slice(metadata_length..metadata_length + footer_length);
    let footer = codec.inflate_all(footer, MAX_FOOTER)?;
    let decoded = proto::Footer::decode(&footer[..]).or_else(|error| {
        // Bounds of text that is not UTF-8 are not either: the file is read without its statistics.
        without_field(&footer, FOOTER_STATISTICS).and_then(|rest| proto::Footer::decode(&rest[..]).ok()).ok_or(error)
    });
    let footer = decoded.map_err(|e| damaged(format!("its footer is broken: {e}")))?;
    if footer.encryption.is_some() {
        return Err(Damage::new(
            Sort::Unsupported("write it again without column encryption"),
            "its columns are encrypted, which is not supported",
        ));
    }
    // They only spare reads, so a file whose stripe statistics are broken is read without.
    let metadata = codec.inflate_all(bytes.slice(..metadata_length), MAX_FOOTER).ok();
    let metadata = metadata.and_then(|bytes| proto::Metadata::decode(&bytes[..]).ok()).unwrap_or_default();

    let columns = file_columns(&footer.types, version == DECIMAL64_VERSION)?;
    let stripes = footer.stripes.iter().map(|s| stripe_info(s, size)).collect::<Result<Vec<_>, _>>()?;
    let rows: u64 = stripes.iter().map(|s| s.rows as u64).sum();
    if rows != footer.number_of_rows() {
        return Err(damaged(format!("its stripes have {rows} rows, its footer says {}", footer.number_of_rows())));
    }
    let mut stripe_stats: Vec<_> = metadata.stripe_stats.into_iter().map(|s| s.col_stats).collect();
    if stripe_stats.len() != stripes.len() {
        stripe_stats.clear();
    }
    let user: HashMap<_, _> = footer.metadata.into_iter().map(|item| (item.name().to_owned(), item.value().to_vec())).collect();
    // Writer 0 or absent: Java, whose version 0 knew no UTF-8 order.
    let text_stats = footer.writer.unwrap_or(0) != 0 || postscript.writer_version() >= 1;
    let written_here = user.contains_key(WRITER_VERSION);
    // The Java library always marks the postscript; Presto, which did not, left the writer's number out, too.
    let java = footer.writer.unwrap_or(0) == 0 && postscript.magic() == MAGIC && !written_here;
    Ok(Tail {
        codec,
        schema: Arc::new(arrow_schema(&columns)),
        columns,
        types: footer.types.len(),
        rows,
        stride: Some(footer.row_index_stride.unwrap_or(0) as usize).filter(|&s| s > 0),
        layouts: stripes.iter().map(|_| OnceLock::new()).collect(),
        stripes,
        stripe_stats,
        file_stats: footer.statistics,
        written_here,
        text_stats,
        java,
        hybrid: java && footer.calendar != Some(CalendarKind::ProlepticGregorian as i32),
        user,
        weight,
    })
}

/// A message without the fields of this number; None when it is no message.
fn without_field(message: &[u8], number: u32) -> Option<Vec<u8>> {
    let (mut rest, mut kept) = (message, Vec::with_capacity(message.len()));
    while !rest.is_empty() {
        let start = rest;
        let (tag, wire) = decode_key(&mut rest).ok()?;
        skip_field(wire, tag, &mut rest, DecodeContext::default()).ok()?;
        if tag != number {
            kept.extend_from_slice(&start[..start.len() - rest.len()]);
        }
    }
    Some(kept)
}

fn stripe_info(stripe: &proto::StripeInformation, size: u64) -> Result<StripeInfo, Damage> {
    let end = [stripe.offset(), stripe.index_length(), stripe.data_length(), stripe.footer_length()]
        .into_iter()
        .try_fold(0u64, |sum, part| sum.checked_add(part));
    if end.is_none_or(|end| end > size) {
        return Err(damaged("a stripe lies beyond its end"));
    }
    if stripe.number_of_rows() > MAX_STRIPE_ROWS {
        return Err(damaged(format!("a stripe of {} rows", stripe.number_of_rows())));
    }
    Ok(StripeInfo {
        offset: stripe.offset(),
        index_length: stripe.index_length(),
        data_length: stripe.data_length(),
        footer_length: stripe.footer_length(),
        rows: stripe.number_of_rows() as usize,
    })
}

type Key = (String, String, u64);

/// Only files of cold tables are cached, which never change under their name: those whose size the caller knows from the
/// metadata. An in-memory store has no name that tells it from another.
fn cache_key(object: &Object, size: u64) -> Option<Key> {
    let store = object.store.to_string();
    (!object.is_foreign() && !store.contains("InMemory")).then(|| (store, object.path.to_string(), size))
}

/// Tails of the files used last, bounded by number and bytes.
fn cache() -> &'static Cache<Key, Arc<Tail>, Weight> {
    static CACHE: LazyLock<Cache<Key, Arc<Tail>, Weight>> = LazyLock::new(|| {
        // A tail must fit into one part of the cache: without a number there are several parts for each core.
        let mut options = OptionsBuilder::new();
        options.estimated_items_capacity(CACHED_FILES).weight_capacity(CACHED_BYTES).shards(4);
        let options = options.build().expect("both capacities are given");
        Cache::with_options(options, Weight, Default::default(), Default::default())
    });
    &CACHE
}

/// What a tail counts for: its bytes, and no less than one file's share of all, so that there are never more than [`CACHED_FILES`].
#[derive(Clone)]
struct Weight;

impl Weighter<Key, Arc<Tail>> for Weight {
    fn weight(&self, _: &Key, tail: &Arc<Tail>) -> u64 {
        (tail.weight as u64).max(CACHED_BYTES / CACHED_FILES as u64)
    }
}
