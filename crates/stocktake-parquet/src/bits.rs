//! Integers of any bit width, packed from the low bit up.

use crate::{Error, Result};

/// The integer of `width` bits (at most 64) that begins at bit `at`.
///
/// The caller has checked that it lies within `bytes`.
#[inline]
pub(crate) fn unpack(bytes: &[u8], at: usize, width: u32) -> u64 {
    let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
    let (rest, shift) = (&bytes[at / 8..], at % 8);
    match rest.first_chunk::<8>() {
        // With the bits that precede it in its first byte, it fills no more than eight bytes.
        Some(window) if width <= 57 => (u64::from_le_bytes(*window) >> shift) & mask,
        _ => (u128::from_le_bytes(padded(rest)) >> shift) as u64 & mask,
    }
}

/// The `count` integers of `width` bits (at most 64) that begin at bit `at`.
///
/// The caller has checked that they lie within `bytes`.
#[inline]
pub(crate) fn unpack_all(bytes: &[u8], at: usize, width: u32, count: usize) -> impl Iterator<Item = u64> {
    (0..count).map(move |index| unpack(bytes, at + index * width as usize, width))
}

/// Appends `count` integers of at most 32 bits that begin at bit `at`.
///
/// # Errors
/// [`Error::Damaged`] when they don't lie within `bytes`.
pub(crate) fn unpack_u32(bytes: &[u8], at: usize, width: u32, count: usize, out: &mut Vec<u32>) -> Result<()> {
    check(bytes, at, width, count)?;
    out.extend(unpack_all(bytes, at, width, count).map(|value| value as u32));
    Ok(())
}

/// Sees that `count` integers of `width` bits from bit `at` on lie within `bytes`.
pub(crate) fn check(bytes: &[u8], at: usize, width: u32, count: usize) -> Result<()> {
    let end = count.checked_mul(width as usize).and_then(|bits| bits.checked_add(at));
    if end.is_some_and(|end| end <= bytes.len().saturating_mul(8)) {
        Ok(())
    } else {
        Err(Error::damaged("a page ends within packed integers"))
    }
}

fn padded(bytes: &[u8]) -> [u8; 16] {
    let mut window = [0; 16];
    let length = bytes.len().min(16);
    window[..length].copy_from_slice(&bytes[..length]);
    window
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pack(values: &[u64], width: u32) -> Vec<u8> {
        let mut bytes = vec![0_u8; (values.len() * width as usize).div_ceil(8)];
        for (index, value) in values.iter().enumerate() {
            for bit in 0..width as usize {
                let at = index * width as usize + bit;
                bytes[at / 8] |= (((value >> bit) & 1) as u8) << (at % 8);
            }
        }
        bytes
    }

    proptest! {
        #[test]
        fn unpacking_undoes_packing(values in proptest::collection::vec(any::<u64>(), 1..50), width in 0_u32..=64) {
            let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
            let values: Vec<u64> = values.into_iter().map(|value| value & mask).collect();
            let bytes = pack(&values, width);
            prop_assert!(check(&bytes, 0, width, values.len()).is_ok());
            let back: Vec<u64> = unpack_all(&bytes, 0, width, values.len()).collect();
            prop_assert_eq!(&back, &values);
            if width <= 32 {
                let mut short = Vec::new();
                unpack_u32(&bytes, 0, width, values.len(), &mut short).unwrap();
                prop_assert_eq!(short, values.iter().map(|value| *value as u32).collect::<Vec<_>>());
                let too_many = values.len() + 8;
                prop_assert!(width == 0 || unpack_u32(&bytes, 0, width, too_many, &mut Vec::new()).is_err());
            }
        }
    }
}
