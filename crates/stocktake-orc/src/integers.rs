//! Integers in runs, in both versions of the encoding.
//! (ORC specification v1, "Integer Run Length Encoding, version 1" and "version 2".)

use std::io;

use crate::bits::{Control, control};
use crate::error::damaged;
use crate::stream::Stream;

/// The longest run of version 2, in values; of version 1 it is 130.
const MAX_RUN: usize = 512;

/// Which of the encodings a column is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    One,
    Two,
}

/// Reads integers one by one. It holds a run of them.
pub(crate) struct Integers {
    stream: Stream,
    version: Version,
    signed: bool,
    run: Vec<i64>,
    taken: usize,
    packed: Vec<u8>,
}

impl Integers {
    /// Integers of which those that can be negative are stored zigzag.
    pub(crate) fn signed(stream: Stream, version: Version) -> Self {
        Self { stream, version, signed: true, run: Vec::with_capacity(MAX_RUN), taken: 0, packed: Vec::new() }
    }

    /// Integers that are never negative.
    pub(crate) fn unsigned(stream: Stream, version: Version) -> Self {
        Self { signed: false, ..Self::signed(stream, version) }
    }

    #[inline]
    pub(crate) fn next(&mut self) -> io::Result<i64> {
        if self.taken == self.run.len() {
            self.run.clear();
            self.taken = 0;
            match self.version {
                Version::One => self.read_run()?,
                Version::Two => self.read_run_2()?,
            }
        }
        // A run has at least one value.
        let value = self.run[self.taken];
        self.taken += 1;
        Ok(value)
    }

    fn read_run(&mut self) -> io::Result<()> {
        match control(self.stream.byte()?) {
            Control::Equal(length) => {
                let delta = i64::from(self.stream.byte()? as i8);
                let mut value = self.varint(self.signed)?;
                for _ in 0..length {
                    self.run.push(value);
                    value = value.wrapping_add(delta);
                }
            }
            Control::Literal(length) => {
                for _ in 0..length {
                    let value = self.varint(self.signed)?;
                    self.run.push(value);
                }
            }
        }
        Ok(())
    }

    fn read_run_2(&mut self) -> io::Result<()> {
        let first = self.stream.byte()?;
        match first >> 6 {
            0 => self.short_repeat(first),
            1 => self.direct(first),
            2 => self.patched_base(first),
            _ => self.delta(first),
        }
    }

    fn short_repeat(&mut self, first: u8) -> io::Result<()> {
        let value = self.big_endian(usize::from(first >> 3 & 7) + 1)?;
        let value = self.value(value);
        self.run.resize(usize::from(first & 7) + 3, value);
        Ok(())
    }

    fn direct(&mut self, first: u8) -> io::Result<()> {
        let (width, length) = (width(first >> 1 & 0x1f), self.length(first)?);
        self.unpack(width, length)?;
        if self.signed {
            self.run.iter_mut().for_each(|value| *value = unzigzag(*value as u64));
        }
        Ok(())
    }

    fn delta(&mut self, first: u8) -> io::Result<()> {
        // Without a width all differences are equal.
        let code = first >> 1 & 0x1f;
        let length = self.length(first)?;
        let base = self.varint(self.signed)?;
        let difference = self.varint(true)?;
        let mut value = base;
        if code == 0 || length < 3 {
            for _ in 0..length {
                self.run.push(value);
                value = value.wrapping_add(difference);
            }
            return Ok(());
        }
        self.unpack(width(code), length - 2)?;
        value = value.wrapping_add(difference);
        for step in &mut self.run {
            value = if difference < 0 { value.wrapping_sub(*step) } else { value.wrapping_add(*step) };
            *step = value;
        }
        self.run.splice(0..0, [base, base.wrapping_add(difference)]);
        Ok(())
    }

    /// Values of few bits, of which some have more: those are in a list of their own, each with the distance to
    /// the one before.
    fn patched_base(&mut self, first: u8) -> io::Result<()> {
        let (bits, length) = (width(first >> 1 & 0x1f), self.length(first)?);
        let (third, fourth) = (self.stream.byte()?, self.stream.byte()?);
        let (patch_bits, gap_bits) = (width(third & 0x1f), u32::from(fourth >> 5) + 1);
        let patches = usize::from(fourth & 0x1f);
        if patch_bits + gap_bits > 64 {
            return Err(damaged("a patch of integers has more than 64 bits"));
        }
        let base_bytes = usize::from(third >> 5) + 1;
        let base = self.big_endian(base_bytes)?;
        let sign = 1 << (base_bytes * 8 - 1);
        let base = if base & sign == 0 { base as i64 } else { ((base & (sign - 1)) as i64).wrapping_neg() };
        self.unpack(bits, length)?;
        let values = std::mem::take(&mut self.run);
        self.unpack(closest_width(patch_bits + gap_bits), patches)?;
        let patches = std::mem::replace(&mut self.run, values);
        let mut at = 0;
        for patch in patches {
            let patch = patch as u64;
            at += (patch >> patch_bits) as usize;
            let value = self.run.get_mut(at).ok_or_else(|| damaged("a patch of integers lies beyond their run"))?;
            // A gap that its bits can't hold is told in steps, whose patches are empty.
            *value |= (patch & mask(patch_bits)).checked_shl(bits).unwrap_or(0) as i64;
        }
        self.run.iter_mut().for_each(|value| *value = base.wrapping_add(*value));
        Ok(())
    }

    /// The length of a run, of which the first byte holds the highest bit.
    fn length(&mut self, first: u8) -> io::Result<usize> {
        Ok((usize::from(first & 1) << 8 | usize::from(self.stream.byte()?)) + 1)
    }

    /// Reads integers of `width` bits, the high bit first, to the end of a byte.
    fn unpack(&mut self, width: u32, count: usize) -> io::Result<()> {
        self.packed.resize((count * width as usize).div_ceil(8), 0);
        self.stream.fill(&mut self.packed)?;
        let mut bytes = self.packed.iter();
        let (mut window, mut bits) = (0_u128, 0);
        for _ in 0..count {
            while bits < width {
                window = window << 8 | u128::from(*bytes.next().unwrap_or(&0));
                bits += 8;
            }
            bits -= width;
            self.run.push(((window >> bits) as u64 & mask(width)) as i64);
        }
        Ok(())
    }

    fn big_endian(&mut self, bytes: usize) -> io::Result<u64> {
        (0..bytes).try_fold(0, |value, _| Ok(value << 8 | u64::from(self.stream.byte()?)))
    }

    fn varint(&mut self, signed: bool) -> io::Result<i64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.stream.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(if signed { unzigzag(value) } else { value as i64 });
            }
        }
        Err(damaged("an integer has more than 64 bits"))
    }

    fn value(&self, stored: u64) -> i64 {
        if self.signed { unzigzag(stored) } else { stored as i64 }
    }
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

fn mask(width: u32) -> u64 {
    u64::MAX.checked_shr(64 - width).unwrap_or(0)
}

/// The bits that a code of five bits stands for.
fn width(code: u8) -> u32 {
    match code {
        0..=23 => u32::from(code) + 1,
        24..=27 => (u32::from(code) - 24) * 2 + 26,
        _ => (u32::from(code) - 28) * 8 + 40,
    }
}

/// The next number of bits, from `bits` on, that a code stands for.
fn closest_width(bits: u32) -> u32 {
    (0..32).map(width).find(|width| *width >= bits).unwrap_or(64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::tests::stream;
    use Version::{One, Two};
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn read(version: Version, signed: bool, stored: &[u8], count: usize) -> io::Result<Vec<i64>> {
        let stream = stream(0, stored);
        let mut integers = if signed { Integers::signed(stream, version) } else { Integers::unsigned(stream, version) };
        let all = (0..count).map(|_| integers.next()).collect();
        assert!(integers.next().is_err(), "there are more than {count}");
        all
    }

    // The examples of the specification.
    #[test]
    fn runs_of_version_1() {
        assert_eq!(read(One, false, &[0x61, 0x00, 0x07], 100).unwrap(), [7; 100]);
        assert_eq!(read(One, false, &[0x61, 0xff, 0x64], 100).unwrap(), (1..=100).rev().collect::<Vec<_>>());
        assert_eq!(read(One, false, &[0xfb, 2, 3, 6, 7, 0x0b], 5).unwrap(), [2, 3, 6, 7, 11]);
        assert_eq!(read(One, true, &[0xfd, 1, 2, 3], 3).unwrap(), [-1, 1, -2]);
    }

    #[test]
    fn short_repeats() {
        assert_eq!(read(Two, false, &[0x0a, 0x27, 0x10], 5).unwrap(), [10_000; 5]);
        assert_eq!(read(Two, true, &[0x00, 0x01], 3).unwrap(), [-1; 3]);
    }

    #[test]
    fn direct_runs() {
        let stored = [0x5e, 0x03, 0x5c, 0xa1, 0xab, 0x1e, 0xde, 0xad, 0xbe, 0xef];
        assert_eq!(read(Two, false, &stored, 4).unwrap(), [23_713, 43_806, 57_005, 48_879]);
    }

    #[test]
    fn deltas() {
        let primes = [0xc6, 0x09, 0x02, 0x02, 0x22, 0x42, 0x42, 0x46];
        assert_eq!(read(Two, false, &primes, 10).unwrap(), [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]);
        // 100 down to 96: all differences are -1.
        assert_eq!(read(Two, false, &[0xc0, 0x04, 100, 0x01], 5).unwrap(), [100, 99, 98, 97, 96]);
        assert_eq!(read(Two, true, &[0xc0, 0x00, 0x05, 0x00], 1).unwrap(), [-3]);
    }

    #[test]
    fn patched_bases() {
        let stored = [
            0x8e, 0x13, 0x2b, 0x21, 0x07, 0xd0, 0x1e, 0x00, 0x14, 0x70, 0x28, 0x32, 0x3c, 0x46, 0x50, 0x5a, 0x64, 0x6e,
            0x78, 0x82, 0x8c, 0x96, 0xa0, 0xaa, 0xb4, 0xbe, 0xfc, 0xe8,
        ];
        let mut expected = vec![2030, 2000, 2020, 1_000_000];
        expected.extend((2040..=2190).step_by(10));
        assert_eq!(read(Two, false, &stored, 20).unwrap(), expected);
    }

    /// Numbers of `width` bits, the high bit first.
    fn pack(numbers: &[u64], width: u32) -> Vec<u8> {
        let mut bytes = vec![0; (numbers.len() * width as usize).div_ceil(8)];
        for (n, number) in numbers.iter().enumerate() {
            for bit in (0..width).filter(|bit| number >> (width - 1 - bit) & 1 == 1) {
                let at = n * width as usize + bit as usize;
                bytes[at / 8] |= 0x80 >> (at % 8);
            }
        }
        bytes
    }

    /// A run with patches of higher bits, by their places.
    fn patched(base: i32, bits: u32, values: &[u64], patches: &[(usize, u64)]) -> Vec<u8> {
        const PATCH_BITS: u32 = 20;
        let (mut list, mut before) = (Vec::new(), 0);
        for (at, patch) in patches {
            let gap = at - before;
            list.extend((0..gap / 255).map(|_| 255 << PATCH_BITS));
            list.push(((gap % 255) as u64) << PATCH_BITS | patch);
            before = *at;
        }
        let length = values.len() - 1;
        let header = [
            0x80 | ((bits - 1) << 1) as u8 | (length >> 8) as u8,
            length as u8,
            3 << 5 | (PATCH_BITS - 1) as u8,
            7 << 5 | list.len() as u8,
        ];
        let base = base.unsigned_abs() | if base < 0 { 1 << 31 } else { 0 };
        [&header[..], &base.to_be_bytes(), &pack(values, bits), &pack(&list, 28)].concat()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn patches_are_put_in_their_places(
            base in -0x7fff_ffff..0x7fff_ffff_i32,
            bits in 1..=24_u32,
            values in vec(any::<u64>(), 3..=512),
            patches in vec((any::<prop::sample::Index>(), 1..1_u64 << 20), 1..28),
        ) {
            let values: Vec<u64> = values.into_iter().map(|value| value & mask(bits)).collect();
            let mut patches: Vec<_> = patches.into_iter().map(|(at, patch)| (at.index(values.len()), patch)).collect();
            patches.sort_unstable();
            patches.dedup_by_key(|(at, _)| *at);
            let mut expected: Vec<i64> = values.iter().map(|value| i64::from(base) + *value as i64).collect();
            patches.iter().for_each(|(at, patch)| expected[*at] += (patch << bits) as i64);
            let stored = patched(base, bits, &values, &patches);
            prop_assert_eq!(read(Two, true, &stored, values.len()).unwrap(), expected);
        }
    }

    #[test]
    fn a_patch_beyond_its_run_is_an_error() {
        // As the one above, but its run ends before the fourth value, which is patched.
        let stored = [0x8e, 0x02, 0x2b, 0x21, 0x07, 0xd0, 0x1e, 0x00, 0x14, 0xfc, 0xe8];
        assert!(Integers::unsigned(stream(0, &stored), Two).next().is_err());
    }

    #[test]
    fn what_is_cut_short_is_an_error() {
        for stored in [&[][..], &[0x0a, 0x27], &[0x5e], &[0x5e, 0x03, 1], &[0xc6, 0x09, 0x80], &[0x8e, 0x13]] {
            assert!(Integers::unsigned(stream(0, stored), Two).next().is_err(), "{stored:?}");
        }
        assert!(Integers::signed(stream(0, &[0xff; 20]), One).next().is_err());
    }

    #[test]
    fn widths_are_those_of_the_specification() {
        let widths: Vec<u32> = (0..32).map(width).collect();
        assert_eq!(widths[..24], (1..=24).collect::<Vec<_>>());
        assert_eq!(widths[24..], [26, 28, 30, 32, 40, 48, 56, 64]);
        assert_eq!(
            (closest_width(25), closest_width(33), closest_width(64), mask(64), mask(1)),
            (26, 40, 64, u64::MAX, 1)
        );
    }
}
