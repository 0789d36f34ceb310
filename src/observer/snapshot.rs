//! What an observer reports.

use super::chain::{self, SegmentCache, SegmentCopy};
use crate::backing::ObjectStat;
use crate::layout::{Geometry, HeaderCopy};
use crate::properties::{Delivery, Encoding, Fences, Kind};
use crate::recovery::Counters;
use crate::ring::participants::Phase;
use crate::ring::within;
use crate::role::Role;
use core::ops::Range;
use core::time::Duration;
use std::time::SystemTime;

/// The state of a ring, as an [`Observer`](crate::Observer) read it.
///
/// The properties of the ring were validated when it was opened. The other values were stored by
/// participants, which may be faulty: use them for information only.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// The protocol of the ring.
    pub kind: Kind,
    /// The layout of messages in their slots.
    pub encoding: Encoding,
    /// The fences that keep wake-ups from being lost.
    pub fences: Fences,
    /// What happens to the messages that a dead consumer held. The default in an SPSC ring.
    pub delivery: Delivery,
    /// The number of messages that the ring can hold; after [growth](crate::Ring::grow), the newest
    /// segment.
    pub capacity: u64,
    /// The segments that are in use, oldest first. There is one, unless the ring has grown and a
    /// participant still needs an older segment.
    pub segments: Vec<Segment>,
    /// The size of a value, or of the longest byte string, in bytes.
    pub message_size: u32,
    /// The alignment of a value in bytes.
    pub message_align: u32,
    /// The user's [tag](crate::Options::schema) for the meaning of the messages.
    pub schema: u64,
    /// The longest time between two liveness checks of a waiting participant.
    pub liveness_interval: Duration,
    /// Whether the last participant that leaves removes the name.
    pub unlink_when_left: bool,
    /// The time at which the ring was created, by its creator's clock.
    pub created_at: SystemTime,
    /// The position of the first message; 0 outside of tests.
    #[doc(hidden)]
    pub first_position: u64,
    /// The next position to be pushed, counted from the first message since the ring was created.
    /// In an SPSC ring it may lag behind by a moment.
    pub tail: u64,
    /// The next position to be popped, as [`tail`](Self::tail).
    pub head: u64,
    /// Whether the ring was closed.
    pub is_closed: bool,
    /// Whether messages of dead consumers wait for a live one.
    pub has_orphans: bool,
    /// The totals of all recoveries; zeroes in an SPSC ring.
    pub counters: Counters,
    /// How producers wait while the ring is full.
    pub producers: Waiting,
    /// How consumers wait while the ring is empty.
    pub consumers: Waiting,
    /// All seats, producers first.
    pub seats: Vec<Seat>,
    /// The size of the ring's object in bytes.
    pub size: u64,
    /// Bytes of the object that occupy memory or disk space.
    pub allocated: u64,
    /// Approximate bytes that will be reclaimed from retired segments, once no participant
    /// [is behind](Self::is_behind).
    pub retired: u64,
    /// The permission bits of the object.
    pub mode: u32,
    /// The user ID of the object's owner.
    pub owner: u32,
    /// The group ID of the object.
    pub group: u32,
}

/// A segment: one of the rings that form a ring that [has grown](crate::Ring::grow).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Segment {
    /// The number of messages that it can hold.
    pub capacity: u64,
    /// The next position to be pushed to it, counted as in the snapshot.
    pub tail: u64,
    /// The next position to be popped from it, as [`tail`](Self::tail).
    pub head: u64,
    /// Whether pushes go to the next segment. The producer of an SPSC ring ends the segment with
    /// its next push for which there is room.
    pub is_ended: bool,
    /// The offset in the ring's object in bytes.
    pub offset: u64,
    /// The size in bytes.
    pub size: u64,
}

impl Segment {
    fn new(segment: &SegmentCopy) -> Self {
        let SegmentCopy { info, .. } = segment;
        Self {
            capacity: info.geometry.capacity,
            tail: info.global_position(segment.tail),
            head: info.global_position(segment.head),
            is_ended: segment.is_ended(),
            offset: info.offset,
            size: info.geometry.total_len(),
        }
    }

    /// The approximate number of messages in it that no consumer has claimed.
    pub fn len(&self) -> u64 {
        within(self.tail.wrapping_sub(self.head), self.capacity) as u64
    }

    /// Whether no message is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How the participants of one role wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waiting {
    /// Whether a participant may be asleep. One that was killed while it slept counts until a peer
    /// tries to wake it.
    pub may_sleep: bool,
    /// The number of attempts to wake them so far, modulo 2^31.
    pub wakes: u32,
}

/// A seat of a ring, and its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seat {
    /// The number of the seat among all seats of the ring.
    pub number: u32,
    /// The role of its holders.
    pub role: Role,
    /// Whether it is held, as reported by the kernel.
    pub occupancy: Occupancy,
    /// The number of its holders so far, modulo 2^30.
    pub holders: u32,
    /// The pid that the holder, or the last one, recorded in its own pid namespace. Unverified.
    pub pid: u32,
    /// The start time of that process, in clock ticks since boot; 0 if unknown. Unverified.
    pub start_time: u64,
    /// The inode of its pid namespace; 0 if unknown. Unverified.
    pub pid_namespace: u64,
    /// The positions that the holder may have claimed, in an MPMC ring. If the holder is dead, they
    /// are left to be recovered.
    pub intent: Option<Range<u64>>,
    /// The [`offset`](Segment::offset) of the segment that the holder works on, or of an earlier
    /// one. The memory of that segment and of later ones is not reclaimed. Unverified.
    pub oldest_segment: u64,
}

/// Whether a seat is held.
///
/// [`Alive`](Self::Alive) and [`Dead`](Self::Dead) are facts that the kernel reports, not guesses.
/// [`Left`](Self::Left) was recorded by the holder itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Occupancy {
    /// The seat has had no holder yet.
    NeverTaken,
    /// A live process holds it, perhaps a stopped one.
    Alive,
    /// Its last holder dropped its handle.
    Left,
    /// Its last holder died.
    Dead,
}

impl Snapshot {
    pub(super) fn new(
        geometry: &Geometry,
        stat: &ObjectStat,
        copy: &HeaderCopy,
        cache: &SegmentCache,
        copies: &[SegmentCopy],
        seats: Vec<Seat>,
    ) -> Self {
        let waiting = |role| {
            let mut waiting = Waiting {
                may_sleep: false,
                wakes: cache.wakes(role),
            };
            for (may_sleep, wakes) in copies.iter().map(|segment| segment.copy.event(role)) {
                waiting.may_sleep |= may_sleep;
                waiting.wakes = waiting.wakes.wrapping_add(wakes) & (u32::MAX >> 1);
            }
            waiting
        };
        let segments: Vec<_> = copies.iter().map(Segment::new).collect();
        let (head, tail) = chain::head_and_tail(copies);
        let (oldest, oldest_allocated) = (copy.oldest_active(), copy.oldest_allocated());
        let created_at = Duration::from_nanos(copy.created_at());
        Self {
            kind: geometry.kind,
            encoding: geometry.shape.encoding,
            fences: geometry.fences,
            delivery: geometry.delivery,
            capacity: segments
                .last()
                .map_or(geometry.capacity, |newest| newest.capacity),
            segments,
            message_size: geometry.shape.size,
            message_align: geometry.shape.align,
            schema: geometry.schema,
            liveness_interval: geometry.liveness_interval,
            unlink_when_left: geometry.unlink_when_left,
            created_at: SystemTime::UNIX_EPOCH + created_at,
            first_position: geometry.first_position,
            tail,
            head,
            is_closed: copy.is_closed(),
            has_orphans: copy.has_orphans(),
            counters: Counters {
                recoveries: copy.recoveries(),
                tombstones: copy.tombstones(),
                redelivered: copy.redelivered(),
                dropped: copy.dropped(),
            },
            producers: waiting(Role::Producer),
            consumers: waiting(Role::Consumer),
            seats,
            size: stat.size,
            allocated: stat.allocated,
            retired: oldest.saturating_sub(oldest_allocated).min(stat.size),
            mode: stat.mode,
            owner: stat.owner,
            group: stat.group,
        }
    }

    /// The approximate number of messages in the ring that no consumer has claimed.
    pub fn len(&self) -> u64 {
        self.segments.iter().map(Segment::len).sum()
    }

    /// Whether no message is in the ring.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of positions that were pushed since the ring was created.
    pub fn pushed(&self) -> u64 {
        self.tail.wrapping_sub(self.first_position)
    }

    /// The number of positions that were popped since the ring was created.
    pub fn popped(&self) -> u64 {
        self.head.wrapping_sub(self.first_position)
    }

    /// Whether more than one segment is in use: the ring has grown, and a participant still needs
    /// an older segment.
    pub fn is_growing(&self) -> bool {
        self.segments.len() > 1
    }

    /// Whether a seat's live holder has not reached the newest segment, by what it recorded. Older
    /// segments keep their memory until it does, with its next push or pop.
    pub fn is_behind(&self, seat: &Seat) -> bool {
        let newest = self.segments.last();
        let is_before = newest.is_some_and(|newest| seat.oldest_segment < newest.offset);
        is_before && seat.occupancy == Occupancy::Alive
    }

    /// The seats of one role.
    pub fn seats_of(&self, role: Role) -> impl Iterator<Item = &Seat> {
        self.seats.iter().filter(move |seat| seat.role == role)
    }

    /// The number of seats that live processes hold.
    pub fn alive(&self) -> usize {
        let is_alive = |seat: &&Seat| seat.occupancy == Occupancy::Alive;
        self.seats.iter().filter(is_alive).count()
    }
}

/// The state of each seat, from its entry before and after its lock was queried.
pub(super) fn seats(
    geometry: &Geometry,
    before: &HeaderCopy,
    held: &[bool],
    after: &HeaderCopy,
    segments: &[SegmentCopy],
) -> Vec<Seat> {
    let of_role = |role| geometry.seats(role).map(move |number| (number, role));
    let numbers = of_role(Role::Producer).chain(of_role(Role::Consumer));
    let to_seat = |((number, role), &is_held)| {
        let entry = after.entry(number, geometry);
        let is_same = before.entry(number, geometry).seat_state == entry.seat_state;
        // A participant has set an intent in one segment at most.
        let intent = segments.iter().find_map(|SegmentCopy { info, copy, .. }| {
            let run = copy.entry(number, &info.geometry).intent?;
            let start = info.global_position(run.start);
            Some(start..start.saturating_add(run.len))
        });
        Seat {
            number,
            role,
            occupancy: match entry.seat_state.phase() {
                // Even if its lock is held: by a child that is being spawned.
                Phase::Left => Occupancy::Left,
                _ if is_held => Occupancy::Alive,
                Phase::NeverTaken => Occupancy::NeverTaken,
                Phase::Active if is_same => Occupancy::Dead,
                // The holder arrived after the query.
                Phase::Active => Occupancy::Alive,
            },
            holders: entry.seat_state.count(),
            pid: entry.identity.pid,
            start_time: entry.identity.start_time,
            pid_namespace: entry.identity.pid_namespace,
            intent: intent.filter(|_| geometry.kind == Kind::Mpmc),
            oldest_segment: entry.oldest_segment,
        }
    };
    numbers.zip(held).map(to_seat).collect()
}
