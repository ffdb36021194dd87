//! Every byte of a stocktake vault: packs, blocks, segments, roots, slots and keys
