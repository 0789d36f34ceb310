use super::*;
use crate::message::{MAX_PAYLOAD, Shape};
use crate::properties::{Delivery, Encoding, Fences, Kind};
use crate::ring::MAX_CAPACITY;

fn header(geometry: &Geometry) -> [u8; HEADER_SIZE] {
    let constants = geometry.constants([1; 16], 2);
    let mut head = [0; HEADER_SIZE];
    head[..LINE].copy_from_slice(bytemuck::bytes_of(&constants.identity));
    head[SETTINGS_AT..].copy_from_slice(bytemuck::bytes_of(&constants.settings));
    head
}

const LONGEST: Geometry = Geometry {
    kind: Kind::Spsc,
    fences: Fences::Symmetric,
    shape: Shape {
        encoding: Encoding::Bytes,
        size: MAX_PAYLOAD,
        align: 1,
    },
    capacity: MAX_CAPACITY,
    producers: 1,
    consumers: 1,
    schema: u64::MAX,
    liveness_interval: Duration::MAX,
    delivery: Delivery::AtLeastOnce,
    first_position: u64::MAX,
    unlink_when_left: true,
};

const SMALL: Geometry = Geometry {
    kind: Kind::Mpmc,
    shape: Shape {
        encoding: Encoding::Values,
        size: 24,
        align: 8,
    },
    capacity: 4,
    producers: 3,
    consumers: 2,
    unlink_when_left: false,
    ..LONGEST
};

#[test]
fn header_of_longest_message_is_valid() {
    for (size, align) in [(MAX_PAYLOAD, 1), (MAX_PAYLOAD, 4096), (0, 1), (1, 4096)] {
        let shape = Shape {
            encoding: Encoding::Bytes,
            size,
            align,
        };
        let geometry = Geometry { shape, ..LONGEST };
        let size = geometry.total_len();
        let found = Geometry::validate(&header(&geometry), size, "/name").unwrap();
        assert_eq!(found.stride(), geometry.stride());
        assert_eq!(found.total_len(), geometry.total_len());
    }
}

/// Pseudo-random numbers, the same in each run.
fn random() -> impl FnMut(u64) -> u64 {
    let mut state = 7_u64;
    move |bound| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % bound
    }
}

#[test]
fn altered_header_never_leads_outside_object() {
    const HEADERS: u32 = if cfg!(miri) { 500 } else { 100_000 };
    let mut below = random();
    let mut accepted = 0;
    for _ in 0..HEADERS {
        let mut geometry = [SMALL, LONGEST][below(2) as usize];
        // The derived fields must agree with these, or validation fails.
        geometry.capacity = 1 << below(31);
        geometry.shape.size = below(1 << 12) as u32;
        geometry.shape.align = 1 << below(13);
        if geometry.kind == Kind::Mpmc {
            geometry.producers = 1 + below(MAX_SEATS.into()) as u32;
        }
        let size = geometry.total_len();
        let mut head = header(&geometry);
        for _ in 0..below(3) {
            let words = [LINE as u64 / 4, HEADER_SIZE as u64 / 4][below(2) as usize];
            let at = 4 * below(words) as usize;
            let value = [0, 1, 4096, u32::MAX, 1 << below(32), below(1 << 32) as u32];
            head[at..at + 4].copy_from_slice(&value[below(6) as usize].to_le_bytes());
        }
        let size = [size, size, size, size - 1, size + 1, below(1 << 40)][below(6) as usize];
        let Ok(found) = Geometry::validate(&head, size, "/name") else {
            continue;
        };
        accepted += 1;
        assert!(found.capacity.is_power_of_two() && found.total_len() <= size);
        let entries_end =
            HEADER_SIZE as u64 + u64::from(found.participants()) * size_of::<Entry>() as u64;
        assert!(entries_end <= found.slots_offset());
        for position in [
            0,
            found.capacity - 1,
            found.capacity,
            below(1 << 62),
            u64::MAX,
        ] {
            let slot = found.slot_offset(position);
            assert!(slot >= found.slots_offset() && slot % 8 == 0);
            assert!((slot + found.payload_offset()) % u64::from(found.shape.align) == 0);
            let end = slot + found.payload_offset() + u64::from(found.shape.size);
            assert!(end <= found.total_len());
        }
    }
    assert!(
        accepted > HEADERS / 20,
        "valid headers: found {accepted} of {HEADERS}, expected more than one in 20"
    );
}
