//! How fast are blocks packed and unpacked?
//!
//! Compressing, sealing, verifying and opening are measured apart, for text that
//! compresses and for noise that does not.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use stocktake::format::{Block, Item, ItemKind, PackReader, PackWriter, VaultId, VaultKey};
use stocktake::{Entropy, JobId, PackId, SeededEntropy};
use zeroize::Zeroizing;

const BLOCK: usize = 256 << 10;
const BLOCKS: usize = 64;

fn noise() -> Vec<u8> {
    let mut bytes = vec![0; BLOCK];
    SeededEntropy::new(1).fill(&mut bytes);
    bytes
}

/// Words drawn at random: compresses to about a third, as logs and documents do.
fn text() -> Vec<u8> {
    let lots = noise();
    let words: Vec<&[u8]> = lots.chunks(7).take(4096).collect();
    lots.chunks_exact(2)
        .map(|lot| u16::from_le_bytes([lot[0], lot[1]]))
        .flat_map(|lot| words[usize::from(lot) % 4096].iter().copied())
        .take(BLOCK)
        .collect()
}

fn key() -> VaultKey {
    VaultKey::encrypted(VaultId([1; 16]), Zeroizing::new([1; 32]))
}

fn id() -> PackId {
    PackId { job: JobId::from_bytes([1; 16]), own: 0, worker: 0, seq: 0 }
}

fn block(key: &VaultKey, raw: &[u8]) -> Block {
    let mut hasher = key.content_hasher();
    hasher.update(raw);
    let length = u32::try_from(raw.len()).expect("a block is small");
    Block::compress(raw, vec![Item { offset: 0, length, hash: hasher.finish_full(), kind: ItemKind::Chunk }], 3)
}

fn pack(key: &VaultKey, block: &Block) -> PackWriter {
    let mut writer = PackWriter::new(key, id());
    for _ in 0..BLOCKS {
        writer.append(block.clone());
    }
    writer
}

fn packs(criterion: &mut Criterion) {
    let key = key();
    for (name, raw) in [("text", text()), ("noise", noise())] {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(BLOCK as u64));
        group.bench_function("hash and compress", |bench| bench.iter(|| block(&key, &raw)));
        let block = block(&key, &raw);
        group.throughput(Throughput::Bytes((BLOCK * BLOCKS) as u64));
        group.bench_function("seal and place", |bench| {
            bench.iter_batched(|| block.clone(), |block| pack(&key, &block), BatchSize::SmallInput);
        });
        let bytes = pack(&key, &block).finish();
        let reader = PackReader::new(&key, id());
        group.bench_function("open and verify", |bench| bench.iter(|| reader.verify(&key, &bytes)));
        group.finish();
    }
}

criterion_group!(benches, packs);
criterion_main!(benches);
