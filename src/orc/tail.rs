//! The tail of a file: postscript, footer and stripe statistics, read in one request and checked against the file's size.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use datafusion::arrow::datatypes::SchemaRef;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};
use orc_rust::proto::{self, CompressionKind};
use parking_lot::Mutex;
use prost::Message;

use super::codec::{Codec, DEFAULT_BLOCK, MAX_BLOCK};
use super::damage::{Damage, damaged, store_error};
use super::schema::{FileColumn, WRITER_VERSION, arrow_schema, file_columns};
use super::stripe::Layout;
use super::writer::MAGIC;
use crate::error::{Error, Kind, Result};

/// Bytes read at first: holds the whole tail of all but huge files.
const FIRST_READ: u64 = 256 << 10;
/// Inflated size above which a footer is not believed.
const MAX_FOOTER: usize = 32 << 20;
/// Rows above which a stripe is not believed.
const MAX_STRIPE_ROWS: u64 = 1 << 31;
/// Files whose tails are kept in memory.
const CACHED_FILES: usize = 4096;
/// Bytes of tails kept in memory, by their size in the file.
const CACHED_BYTES: usize = 64 << 20;

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
    pub(super) ours: bool,
    /// Bounds of text are in UTF-8 order (HIVE-8732): not so in the very first files of Hive.
    pub(super) text_stats: bool,
    pub(super) user: HashMap<String, Vec<u8>>,
    /// Stripe footers, as they are read.
    pub(super) layouts: Vec<OnceLock<Arc<Layout>>>,
    /// Bytes of the tail in the file.
    weight: usize,
}

/// Reads the tail of `path`. With a `size` known from the metadata a file of another size is damage.
pub(super) async fn read(store: &dyn ObjectStore, path: &Path, size: Option<u64>) -> Result<Arc<Tail>> {
    let key = size.and_then(|size| cache_key(store, path, size));
    if let Some(tail) = key.as_ref().and_then(|key| cache().lock().get(key)) {
        return Ok(tail);
    }
    if size == Some(0) {
        return Err(damaged("it is empty").of(path));
    }
    let range = match size {
        Some(size) => GetRange::Bounded(size.saturating_sub(FIRST_READ)..size),
        None => GetRange::Suffix(FIRST_READ),
    };
    let got = store.get_opts(path, GetOptions { range: Some(range), ..Default::default() }).await.map_err(|e| store_error(e, path))?;
    let real = got.meta.size;
    if let Some(size) = size
        && size != real
    {
        let message = format!("ORC file '{path}' has {real} bytes; the metadata says {size}");
        return Err(Error::new(Kind::Storage, message).with_hint("the object was cut off or replaced; restore it from a backup"));
    }
    let mut bytes = got.bytes().await.map_err(|e| store_error(e, path))?;
    let (postscript, postscript_length) = postscript(&bytes, real).map_err(|d| d.of(path))?;
    let sections = postscript.footer_length().saturating_add(postscript.metadata_length());
    let whole = sections.saturating_add(postscript_length as u64 + 1);
    if whole > real {
        return Err(damaged("its footer is longer than the file").of(path));
    }
    if whole > bytes.len() as u64 {
        if sections > 2 * MAX_FOOTER as u64 {
            return Err(damaged("its footer is larger than any real file's").of(path));
        }
        bytes = store.get_range(path, real - whole..real).await.map_err(|e| store_error(e, path))?;
        if bytes.len() as u64 != whole {
            return Err(damaged("the store gave fewer bytes than asked for").of(path));
        }
    }
    let tail = bytes.slice(bytes.len() - whole as usize..);
    let tail = Arc::new(parse(tail, &postscript, real).map_err(|d| d.of(path))?);
    if let Some(key) = key {
        cache().lock().put(key, tail.clone());
    }
    Ok(tail)
}

fn postscript(bytes: &Bytes, size: u64) -> Result<(proto::PostScript, usize), Damage> {
    let length = *bytes.last().ok_or_else(|| damaged("it is empty"))? as usize;
    if length == 0 || length + 1 > bytes.len() || size < (MAGIC.len() + length + 1) as u64 {
        return Err(damaged("it does not end like an ORC file"));
    }
    let end = bytes.len() - 1;
    let postscript = proto::PostScript::decode(&bytes[end - length..end]).map_err(|_| damaged("it does not end like an ORC file"))?;
    if postscript.magic() != MAGIC {
        return Err(damaged("it does not end like an ORC file"));
    }
    Ok((postscript, length))
}

/// Parses metadata, footer and postscript, which `bytes` holds exactly.
fn parse(bytes: Bytes, postscript: &proto::PostScript, size: u64) -> Result<Tail, Damage> {
    let kind = postscript.compression.unwrap_or(0);
    let kind = CompressionKind::try_from(kind).map_err(|_| damaged(format!("it has an unknown compression ({kind})")))?;
    if kind == CompressionKind::Lzo {
        return Err(damaged("LZO compression is not supported"));
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
    let footer = proto::Footer::decode(&footer[..]).map_err(|e| damaged(format!("its footer is broken: {e}")))?;
    if footer.encryption.is_some() {
        return Err(damaged("encrypted files are not supported"));
    }
    let metadata = codec.inflate_all(bytes.slice(..metadata_length), MAX_FOOTER)?;
    let metadata = proto::Metadata::decode(&metadata[..]).map_err(|e| damaged(format!("its stripe statistics are broken: {e}")))?;

    let columns = file_columns(&footer.types)?;
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
        ours: user.contains_key(WRITER_VERSION),
        text_stats,
        user,
        weight,
    })
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

/// Only files whose size the caller knows are cached: those of cold tables, which never change under their name. An
/// in-memory store has no name that tells it from another.
fn cache_key(store: &dyn ObjectStore, path: &Path, size: u64) -> Option<Key> {
    let store = store.to_string();
    (!store.contains("InMemory")).then(|| (store, path.to_string(), size))
}

/// Tails of the files used last, bounded by number and bytes.
#[derive(Default)]
struct Cache {
    tails: HashMap<Key, (Arc<Tail>, u64)>,
    bytes: usize,
    clock: u64,
}

fn cache() -> &'static Mutex<Cache> {
    static CACHE: OnceLock<Mutex<Cache>> = OnceLock::new();
    CACHE.get_or_init(Default::default)
}

impl Cache {
    fn get(&mut self, key: &Key) -> Option<Arc<Tail>> {
        self.clock += 1;
        let (tail, used) = self.tails.get_mut(key)?;
        *used = self.clock;
        Some(tail.clone())
    }

    fn put(&mut self, key: Key, tail: Arc<Tail>) {
        self.clock += 1;
        if self.tails.len() >= CACHED_FILES || self.bytes + tail.weight > CACHED_BYTES {
            self.evict_older_half();
        }
        self.bytes += tail.weight;
        if let Some((old, _)) = self.tails.insert(key, (tail, self.clock)) {
            self.bytes -= old.weight;
        }
    }

    fn evict_older_half(&mut self) {
        let mut ages: Vec<u64> = self.tails.values().map(|(_, used)| *used).collect();
        ages.sort_unstable();
        let middle = ages.get(ages.len() / 2).copied().unwrap_or(0);
        self.tails.retain(|_, (_, used)| *used > middle);
        self.bytes = self.tails.values().map(|(tail, _)| tail.weight).sum();
    }
}
