//! The way between a value and its record against the codec and the compression alone, with contexts kept.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use tiered::bench::Frames;
use tiered::{Bincode, Settings};
use tiered_benches::{Package, decode, encode};
use zstd::bulk::{Compressor, Decompressor};

const NAME: &str = "packages:4711";

fn frame(criterion: &mut Criterion) {
    let values: Vec<_> = (0..64)
        .map(|number| Arc::new(Package::numbered(number)))
        .collect();
    let frames = Frames::new(Bincode, &Settings::default());
    let records: Vec<_> = values
        .iter()
        .map(|value| frames.encode(NAME, value).expect("it fits"))
        .collect();
    let raws: Vec<Vec<u8>> = values.iter().map(|value| encode(value)).collect();
    let (least, most) = (
        raws.iter().map(Vec::len).min(),
        raws.iter().map(Vec::len).max(),
    );
    println!(
        "records of {} to {} bytes",
        least.unwrap_or_default(),
        most.unwrap_or_default()
    );
    let mut compressor = Compressor::new(3).expect("level 3 exists");
    let mut decompressor = Decompressor::new().expect("a context can be made");
    let packed: Vec<_> = raws
        .iter()
        .map(|raw| compressor.compress(raw).expect("it compresses"))
        .collect();

    let mut group = criterion.benchmark_group("frame");
    let mut turn = values.iter().cycle();
    group.bench_function("encode/bincode+zstd", |bencher| {
        bencher.iter(|| {
            let raw = encode(turn.next().expect("it never ends"));
            black_box(compressor.compress(&raw).expect("it compresses"))
        });
    });
    let mut turn = values.iter().cycle();
    group.bench_function("encode/tiered", |bencher| {
        bencher.iter(|| black_box(frames.encode(NAME, turn.next().expect("it never ends"))));
    });
    let mut turn = packed.iter().zip(&raws).cycle();
    group.bench_function("decode/bincode+zstd", |bencher| {
        bencher.iter(|| {
            let (packed, raw) = turn.next().expect("it never ends");
            let raw = decompressor
                .decompress(packed, raw.len())
                .expect("it was compressed");
            black_box(Arc::new(decode(&raw)))
        });
    });
    let mut turn = records.iter().cycle();
    group.bench_function("decode/tiered", |bencher| {
        bencher.iter(|| black_box(frames.decode(NAME, turn.next().expect("it never ends"))));
    });
    group.finish();
}

criterion_group!(benches, frame);
criterion_main!(benches);
