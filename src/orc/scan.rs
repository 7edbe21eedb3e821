//! Streaming the wanted columns of a file, without the stripes and row groups that a filter rules out.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr_common::physical_expr::snapshot_generation;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use orc_rust::proto;
use orc_rust::proto::stream::Kind as StreamKind;

use super::bloom::Bloom;
use super::damage::Damage;
use super::decode::{ColumnReader, ColumnSource};
use super::file::OrcFile;
use super::prune::{Pruner, Stretches};
use super::schema::FileColumn;
use super::stripe::{self, Layout, StreamAt, StreamPosition};
use super::tail::StripeInfo;
use crate::error::{Error, Kind, Result};

/// Stripes that are fetched ahead of the one that is decoded, itself included.
const IN_FLIGHT: usize = 2;
/// A stripe up to this size is fetched whole, in one request.
const SMALL_STRIPE: u64 = 1 << 20;
/// Text of a batch is kept near this size by taking fewer rows.
const BATCH_BYTES: u64 = 16 << 20;

/// A column of a scan.
#[derive(Debug, Clone)]
pub struct ScanColumn {
    /// Its name in the file.
    pub name: String,
    /// The Arrow type that the batches are to have.
    pub want: DataType,
}

/// What to read of a file.
#[derive(Debug, Clone)]
pub struct ScanRequest {
    /// In the order of the batches' columns. None at all: batches that only have a number of rows.
    pub columns: Vec<ScanColumn>,
    /// Over the wanted columns, by their index. Only leaves out what cannot match: the caller filters the rows.
    pub filter: Option<Arc<dyn PhysicalExpr>>,
    /// Which stripes; None: all.
    pub stripes: Option<Range<usize>>,
    /// Rows of a batch, at most.
    pub batch_size: usize,
    /// Stop after so many rows.
    pub limit: Option<usize>,
}

/// A scan's unchanging part.
struct Plan {
    file: OrcFile,
    wanted: Vec<(FileColumn, DataType)>,
    schema: SchemaRef,
    filter: Option<Arc<dyn PhysicalExpr>>,
    /// The filter as it stood at the start; a dynamic one is looked at again for each stripe.
    pruner: Option<Arc<Pruner>>,
    batch_size: usize,
}

/// A stripe's rows, fetched: stretches of neighbouring row groups.
struct Fetched {
    runs: Vec<Run>,
    batch_rows: usize,
}

struct Run {
    /// The file's row that comes next.
    row: u64,
    /// How many are left.
    rows: usize,
    columns: Vec<ColumnReader>,
}

impl OrcFile {
    /// Streams the request's columns in the file's order of rows. Errors are of kind `Storage` and name the file.
    pub fn scan(&self, request: ScanRequest) -> BoxStream<'static, Result<RecordBatch>> {
        let limit = request.limit;
        let all = 0..self.stripes();
        let stripes = request.stripes.clone().map_or(all.clone(), |r| r.start.min(all.end)..r.end.min(all.end));
        let plan = match Plan::new(self.clone(), request) {
            Ok(plan) => Arc::new(plan),
            Err(error) => return stream::once(async { Err(error) }).boxed(),
        };
        let in_flight = if limit.is_some() { 1 } else { IN_FLIGHT };
        let fetching = plan.clone();
        let fetched = stream::iter(stripes)
            .map(move |at| {
                let plan = fetching.clone();
                async move { plan.fetch(at).await }
            })
            .buffered(in_flight);
        let batches = fetched.map_ok(move |fetched| decode(plan.clone(), fetched)).try_flatten();
        match limit {
            None => batches.boxed(),
            Some(limit) => limited(batches.boxed(), limit),
        }
    }
}

/// Cuts a stream of batches after `limit` rows.
fn limited(batches: BoxStream<'static, Result<RecordBatch>>, limit: usize) -> BoxStream<'static, Result<RecordBatch>> {
    stream::try_unfold((batches, limit), |(mut batches, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let Some(batch) = batches.try_next().await? else { return Ok(None) };
        let rows = batch.num_rows().min(left);
        Ok(Some((batch.slice(0, rows), (batches, left - rows))))
    })
    .boxed()
}

/// Decodes a fetched stripe, batch by batch.
fn decode(plan: Arc<Plan>, fetched: Fetched) -> impl futures::Stream<Item = Result<RecordBatch>> {
    let Fetched { runs, batch_rows } = fetched;
    let state = (runs.into_iter(), None::<Run>);
    stream::try_unfold((plan, state), move |(plan, (mut runs, current))| async move {
        let Some(mut run) = current.filter(|run| run.rows > 0).or_else(|| runs.next()) else { return Ok(None) };
        let rows = run.rows.min(batch_rows);
        let wanted = plan.wanted.iter().zip(&mut run.columns);
        let columns = wanted.map(|((column, _), reader)| reader.read(rows).map_err(|d| d.within(&column.name, run.row)));
        let columns = columns.collect::<Result<Vec<_>, _>>().map_err(|d| plan.file.object.error(d))?;
        run.rows -= rows;
        run.row += rows as u64;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(plan.schema.clone(), columns, &options)
            .map_err(|e| plan.file.object.error(Damage::from(e)))?;
        Ok(Some((batch, (plan, (runs, Some(run))))))
    })
}

impl Plan {
    fn new(file: OrcFile, request: ScanRequest) -> Result<Plan> {
        let mut wanted = Vec::with_capacity(request.columns.len());
        let mut fields = Vec::with_capacity(request.columns.len());
        for column in &request.columns {
            let found = file.tail.columns.iter().find(|c| c.name == column.name);
            let found = found.ok_or_else(|| {
                Error::new(Kind::Storage, format!("ORC file '{}' has no column '{}'", file.object.name(), column.name))
                    .with_hint("the file is not of this table, or was replaced")
            })?;
            wanted.push((found.clone(), column.want.clone()));
            fields.push(Field::new(&column.name, column.want.clone(), true));
        }
        let pruner = request.filter.as_ref().and_then(|filter| Pruner::new(filter, &wanted)).map(Arc::new);
        Ok(Plan {
            file,
            wanted,
            schema: Arc::new(Schema::new(fields)),
            filter: request.filter.filter(|filter| snapshot_generation(filter) != 0),
            pruner,
            batch_size: request.batch_size.max(1),
        })
    }

    /// The filter as it stands now.
    fn pruner(&self) -> Option<Arc<Pruner>> {
        match &self.filter {
            Some(dynamic) => Pruner::new(dynamic, &self.wanted).map(Arc::new),
            None => self.pruner.clone(),
        }
    }

    async fn fetch(&self, at: usize) -> Result<Fetched> {
        let pruner = self.pruner();
        let nothing = Fetched { runs: vec![], batch_rows: 1 };
        if pruner.as_ref().is_some_and(|pruner| !self.stripe_may_match(pruner, at)) {
            return Ok(nothing);
        }
        let info = self.file.tail.stripes[at];
        if info.rows == 0 {
            return Ok(nothing);
        }
        if self.wanted.is_empty() {
            return Ok(Fetched { runs: vec![Run { row: 0, rows: info.rows, columns: vec![] }], batch_rows: self.batch_size });
        }
        let source = StripeBytes::new(&self.file, &info).await?;
        let layout = self.layout(at, &info, &source).await?;
        let mut runs = match (&pruner, self.file.tail.stride) {
            (Some(pruner), Some(stride)) => self.fetch_pruned(pruner, stride, &info, &layout, &source).await?,
            _ => vec![self.fetch_all(&info, &layout, &source).await?],
        };
        let first: u64 = self.file.tail.stripes[..at].iter().map(|stripe| stripe.rows as u64).sum();
        runs.iter_mut().for_each(|run| run.row += first);
        Ok(Fetched { runs, batch_rows: self.batch_rows(at, &info) })
    }

    fn stripe_may_match(&self, pruner: &Pruner, at: usize) -> bool {
        let tail = &self.file.tail;
        let Some(stats) = tail.stripe_stats.get(at) else { return true };
        let stretches = Stretches {
            tail,
            wanted: &self.wanted,
            rows: vec![tail.stripes[at].rows],
            stats: self.wanted.iter().map(|(column, _)| vec![stats.get(column.index as usize)]).collect(),
            blooms: vec![],
        };
        pruner.keep(&stretches).first().copied().unwrap_or(true)
    }

    /// Rows per batch, fewer when the stripe's text is long.
    fn batch_rows(&self, at: usize, info: &StripeInfo) -> usize {
        let Some(stats) = self.file.tail.stripe_stats.get(at) else { return self.batch_size };
        let bytes: i64 = self
            .wanted
            .iter()
            .filter_map(|(column, _)| stats.get(column.index as usize))
            .map(|s| s.string_statistics.as_ref().map_or(0, |t| t.sum()) + s.binary_statistics.as_ref().map_or(0, |b| b.sum()))
            .fold(0, i64::saturating_add);
        let per_row = (bytes.max(0) as u64 / info.rows as u64).max(1);
        self.batch_size.min((BATCH_BYTES / per_row).max(1) as usize)
    }

    async fn layout(&self, at: usize, info: &StripeInfo, source: &StripeBytes<'_>) -> Result<Arc<Layout>> {
        let tail = &self.file.tail;
        if let Some(layout) = tail.layouts[at].get() {
            return Ok(layout.clone());
        }
        let end = info.offset + info.length();
        let bytes = source.one(end - info.footer_length..end).await?;
        let layout = Arc::new(Layout::parse(bytes, info, tail).map_err(|d| self.file.object.error(d))?);
        Ok(tail.layouts[at].get_or_init(|| layout).clone())
    }

    /// Streams of the wanted columns that hold data (not indexes).
    fn data_streams<'a>(&'a self, layout: &'a Layout) -> impl Iterator<Item = (usize, &'a StreamAt)> {
        self.wanted.iter().enumerate().flat_map(|(at, (column, _))| {
            let streams = layout.streams.iter().filter(move |s| s.column == column.index && is_data(s.kind));
            streams.map(move |s| (at, s))
        })
    }

    async fn fetch_all(&self, info: &StripeInfo, layout: &Layout, source: &StripeBytes<'_>) -> Result<Run> {
        let streams: Vec<_> = self.data_streams(layout).collect();
        let ranges: Vec<_> = streams.iter().map(|(_, s)| s.range.clone()).collect();
        let mut by_column: Vec<Vec<_>> = self.wanted.iter().map(|_| vec![]).collect();
        for ((at, stream), bytes) in streams.into_iter().zip(source.get(&ranges).await?) {
            by_column[at].push((stream.kind, bytes, StreamPosition::default()));
        }
        self.open_run(0..info.rows, by_column, layout)
    }

    /// Opens the columns of some of a stripe's rows.
    fn open_run(&self, rows: Range<usize>, streams: Vec<Vec<(StreamKind, Bytes, StreamPosition)>>, layout: &Layout) -> Result<Run> {
        let columns = self
            .wanted
            .iter()
            .zip(streams)
            .map(|((column, want), streams)| {
                let source = ColumnSource { column, layout, codec: self.file.tail.codec, hybrid: self.file.tail.hybrid, streams };
                source.open(want).map_err(|d| self.file.object.error(d.within(&column.name, 0)))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Run { row: rows.start as u64, rows: rows.len(), columns })
    }

    /// Asks the row index which row groups may match, and fetches only those.
    async fn fetch_pruned(
        &self,
        pruner: &Pruner,
        stride: usize,
        info: &StripeInfo,
        layout: &Layout,
        source: &StripeBytes<'_>,
    ) -> Result<Vec<Run>> {
        let Some(index) = self.read_index(pruner, stride, info, layout, source).await? else {
            return Ok(vec![self.fetch_all(info, layout, source).await?]);
        };
        let groups = info.rows.div_ceil(stride);
        let rows_of = |group: usize| stride.min(info.rows - group * stride);
        let stretches = Stretches {
            tail: &self.file.tail,
            wanted: &self.wanted,
            rows: (0..groups).map(rows_of).collect(),
            stats: self
                .wanted
                .iter()
                .map(|(column, _)| index.entries[&column.index].iter().map(|e| e.statistics.as_ref()).collect())
                .collect(),
            blooms: self.wanted.iter().map(|(column, _)| index.blooms.get(&column.index).cloned().unwrap_or_default()).collect(),
        };
        let keep = pruner.keep(&stretches);
        if keep.iter().all(|k| !k) {
            return Ok(vec![]);
        }
        let places = self
            .wanted
            .iter()
            .map(|(column, _)| stripe::places(&index.entries[&column.index], column, layout, self.file.tail.codec))
            .collect::<Option<Vec<_>>>();
        let (Some(places), false) = (places, keep.iter().all(|&k| k)) else {
            return Ok(vec![self.fetch_all(info, layout, source).await?]);
        };

        let kept = kept_runs(&keep);
        let mut parts = Vec::new();
        for (run, groups) in kept.iter().enumerate() {
            for (at, stream) in self.data_streams(layout) {
                let length = stream.range.end - stream.range.start;
                let of_stream: Vec<StreamPosition> =
                    places[at].iter().filter_map(|group| group.iter().find(|p| p.0 == stream.kind).map(|p| p.1)).collect();
                // A stream without positions is a dictionary's: read whole.
                let (span, place) = if of_stream.len() == places[at].len() && !is_dictionary(layout, stream) {
                    (stripe::span(&of_stream, groups.start, groups.end, length), of_stream[groups.start])
                } else {
                    (0..length, StreamPosition::default())
                };
                let range = stream.range.start + span.start..stream.range.start + span.end;
                parts.push((run, at, stream.kind, place, range));
            }
        }
        let ranges: Vec<_> = parts.iter().map(|p| p.4.clone()).collect();
        let mut by_run: Vec<Vec<Vec<_>>> = kept.iter().map(|_| self.wanted.iter().map(|_| vec![]).collect()).collect();
        for ((run, at, kind, place, _), bytes) in parts.into_iter().zip(source.get(&ranges).await?) {
            by_run[run][at].push((kind, bytes, place));
        }
        kept.into_iter()
            .zip(by_run)
            .map(|(groups, streams)| self.open_run(groups.start * stride..info.rows.min(groups.end * stride), streams, layout))
            .collect()
    }

    /// Row index of the wanted columns and bloom filters of the filter's; None when the stripe lacks one.
    async fn read_index(
        &self,
        pruner: &Pruner,
        stride: usize,
        info: &StripeInfo,
        layout: &Layout,
        source: &StripeBytes<'_>,
    ) -> Result<Option<Index>> {
        let mut streams = Vec::new();
        for (at, (column, _)) in self.wanted.iter().enumerate() {
            let Some(index) = layout.stream(column.index, StreamKind::RowIndex) else { return Ok(None) };
            streams.push(index);
            if pruner.columns.contains(&at) {
                streams.extend(layout.stream(column.index, StreamKind::BloomFilterUtf8));
            }
        }
        let ranges: Vec<_> = streams.iter().map(|s| s.range.clone()).collect();
        let codec = self.file.tail.codec;
        let groups = info.rows.div_ceil(stride);
        let mut index = Index::default();
        for (stream, bytes) in streams.iter().zip(source.get(&ranges).await?) {
            if stream.kind == StreamKind::RowIndex {
                let entries = stripe::row_index(bytes, codec).map_err(|d| self.file.object.error(d))?;
                if entries.len() != groups {
                    return Ok(None);
                }
                index.entries.insert(stream.column, entries);
            } else {
                let filters = stripe::bloom_index(bytes, codec).map_err(|d| self.file.object.error(d))?;
                if filters.len() == groups {
                    index.blooms.insert(stream.column, filters.iter().map(Bloom::from_proto).collect());
                }
            }
        }
        Ok(Some(index))
    }
}

/// The index streams of a stripe, by column.
#[derive(Default)]
struct Index {
    entries: HashMap<u32, Vec<proto::RowIndexEntry>>,
    blooms: HashMap<u32, Vec<Option<Bloom>>>,
}

fn is_data(kind: StreamKind) -> bool {
    use StreamKind::{Data, DictionaryData, Length, Present, Secondary};
    matches!(kind, Present | Data | Length | DictionaryData | Secondary)
}

/// Is it one of the two streams of a dictionary?
fn is_dictionary(layout: &Layout, stream: &StreamAt) -> bool {
    stream.kind == StreamKind::DictionaryData || stream.kind == StreamKind::Length && layout.is_dictionary(stream.column)
}

/// Stretches of neighbouring row groups that are kept.
fn kept_runs(keep: &[bool]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = vec![];
    for (group, _) in keep.iter().enumerate().filter(|(_, kept)| **kept) {
        match runs.last_mut() {
            Some(run) if run.end == group => run.end += 1,
            _ => runs.push(group..group + 1),
        }
    }
    runs
}

/// The bytes of a stripe: from the store, or all at hand when it is small.
struct StripeBytes<'a> {
    file: &'a OrcFile,
    whole: Option<(u64, Bytes)>,
}

impl<'a> StripeBytes<'a> {
    async fn new(file: &'a OrcFile, info: &StripeInfo) -> Result<StripeBytes<'a>> {
        let mut source = StripeBytes { file, whole: None };
        if info.length() <= SMALL_STRIPE {
            let bytes = source.one(info.offset..info.offset + info.length()).await?;
            source.whole = Some((info.offset, bytes));
        }
        Ok(source)
    }

    async fn one(&self, range: Range<u64>) -> Result<Bytes> {
        Ok(self.get(std::slice::from_ref(&range)).await?.swap_remove(0))
    }

    /// The bytes of each range. The store joins near ranges into one request.
    async fn get(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        if let Some((offset, bytes)) = &self.whole {
            return Ok(ranges.iter().map(|r| bytes.slice((r.start - offset) as usize..(r.end - offset) as usize)).collect());
        }
        // Stores refuse empty ranges.
        let asked: Vec<_> = ranges.iter().filter(|r| !r.is_empty()).cloned().collect();
        let got = match asked.len() {
            0 => vec![],
            _ => self.file.object.get_ranges(&asked).await?,
        };
        let mut got = got.into_iter();
        ranges
            .iter()
            .map(|range| {
                let bytes = if range.is_empty() { Bytes::new() } else { got.next().unwrap_or_default() };
                if bytes.len() as u64 == range.end - range.start { Ok(bytes) } else { Err(self.file.object.short()) }
            })
            .collect()
    }
}
