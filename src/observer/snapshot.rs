//! What an observer tells.

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

/// A ring as an [`Observer`](crate::Observer) found it.
///
/// What the ring is was checked when it was opened. The rest is what its participants, who may be broken,
/// have stored: numbers to look at.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// Which protocol the ring follows.
    pub kind: Kind,
    /// How messages lie in their slots.
    pub encoding: Encoding,
    /// What keeps wake-ups from being lost.
    pub fences: Fences,
    /// What becomes of the messages of dead consumers; of an SPSC ring the default.
    pub delivery: Delivery,
    /// How many messages the ring holds; of one that [has grown](crate::Ring::grow), the newest.
    pub capacity: u64,
    /// The rings that are in use, oldest first: one, but for a ring that has grown and of which somebody still needs an
    /// older one.
    pub segments: Vec<Segment>,
    /// The size of a value, or of the longest byte string, in bytes.
    pub message_size: u32,
    /// The alignment of a value in bytes.
    pub message_align: u32,
    /// The number of the user's for the meaning of the messages.
    pub schema: u64,
    /// How often waiters ask whether others live.
    pub liveness_interval: Duration,
    /// Whether the name goes with the last participant.
    pub unlink_when_left: bool,
    /// When the ring was made, by its maker's clock.
    pub created_at: SystemTime,
    /// The position of the first message; 0 outside of tests.
    pub first_position: u64,
    /// The next position to be pushed to, stored_count from the first message since the ring was made. In an SPSC ring it may
    /// lag behind by a moment.
    pub tail: u64,
    /// The next position to be popped from; as [`tail`](Self::tail).
    pub head: u64,
    /// Whether somebody closed the ring.
    pub is_closed: bool,
    /// Whether messages of dead consumers wait for a live one.
    pub has_orphans: bool,
    /// What was recovered in the life of the ring; zeroes in an SPSC ring.
    pub counters: Counters,
    /// What producers sleep on while the ring is full.
    pub producers: Waiting,
    /// What consumers sleep on while the ring is empty.
    pub consumers: Waiting,
    /// All seats, producers first.
    pub seats: Vec<Seat>,
    /// The size of the ring's object in bytes.
    pub size: u64,
    /// How many of these bytes have memory, or room on a disk, of their own.
    pub allocated: u64,
    /// About how many bytes are those of older rings that nobody needs, and whose memory holders because somebody has not
    /// looked up from them yet: a participant that [is behind](Self::is_behind).
    pub retired: u64,
    /// Who may open it: the permission bits.
    pub mode: u32,
    /// The user whose it is.
    pub owner: u32,
    /// The group whose it is.
    pub group: u32,
}

/// One of the rings that follow each other in a ring that [has grown](crate::Ring::grow).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Segment {
    /// How many messages it holds.
    pub capacity: u64,
    /// The next position to be pushed to in it, stored_count as in the snapshot.
    pub tail: u64,
    /// The next position to be popped from; as [`tail`](Self::tail).
    pub head: u64,
    /// Whether nothing is pushed to it any more: who pushes goes to the next one. An SPSC ring ends when its
    /// producer, who is asked to end it, pushes next and there is room.
    pub is_ended: bool,
    /// Where it lies in the ring's object, in bytes from the start.
    pub offset: u64,
    /// How many bytes it takes.
    pub size: u64,
}

impl Segment {
    fn new(ring: &SegmentCopy) -> Self {
        let SegmentCopy { link, .. } = ring;
        Self {
            capacity: link.geometry.capacity,
            tail: link.among_all(ring.tail),
            head: link.among_all(ring.head),
            is_ended: ring.is_ended(),
            offset: link.offset,
            size: link.geometry.total_len(),
        }
    }

    /// About how many messages are in it that nobody has taken.
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
    /// Whether any of them may be asleep. One that was killed in its sleep still counts until somebody tries to
    /// wake it.
    pub may_sleep: bool,
    /// How often they were to be woken, modulo 2^31.
    pub wakes: u32,
}

/// A seat of a ring, and who has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seat {
    /// Which of all seats of the ring.
    pub number: u32,
    /// Of which end.
    pub role: Role,
    /// Whether somebody has it, as the kernel says.
    pub occupancy: Occupancy,
    /// How many holders it has had, modulo 2^30.
    pub holders: u32,
    /// What the holder, or the last one, recorded as its pid, in its own pid namespace. Unverified.
    pub pid: u32,
    /// When that process started, in clock ticks since boot; 0 if it did not know. Unverified.
    pub start_time: u64,
    /// The inode of its pid namespace; 0 if it did not know. Unverified.
    pub pid_namespace: u64,
    /// The positions that it may have claimed, in an MPMC ring: of one that is dead, what it left to be
    /// recovered.
    pub intent: Option<Range<u64>>,
    /// Where the ring lies that the holder works on, as [`Segment::offset`], or one before that. That ring and those after
    /// it keep their memory. Unverified.
    pub oldest_segment: u64,
}

/// Whether somebody has a seat. That one lives or died is the kernel's word, not a guess; that one left
/// is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occupancy {
    /// Nobody has had it yet.
    NeverTaken,
    /// A live process has it; perhaps stopped, but not dead.
    Alive,
    /// Its last holder dropped its handle.
    Left,
    /// Its last holder died.
    Dead,
}

impl Snapshot {
    pub(super) fn new(
        geometry: &Geometry,
        properties: &ObjectStat,
        copy: &HeaderCopy,
        known: &SegmentCache,
        rings: &[SegmentCopy],
        seats: Vec<Seat>,
    ) -> Self {
        let waiting = |role| {
            let mut waiting = Waiting {
                may_sleep: false,
                wakes: known.wakes(role),
            };
            for (may_sleep, wakes) in rings.iter().map(|ring| ring.copy.event(role)) {
                waiting.may_sleep |= may_sleep;
                waiting.wakes = waiting.wakes.wrapping_add(wakes) & (u32::MAX >> 1);
            }
            waiting
        };
        let segments: Vec<_> = rings.iter().map(Segment::new).collect();
        let (head, tail) = chain::ends(rings);
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
            size: properties.size,
            allocated: properties.allocated,
            retired: oldest.saturating_sub(oldest_allocated).min(properties.size),
            mode: properties.mode,
            owner: properties.owner,
            group: properties.group,
        }
    }

    /// About how many messages are in the ring that nobody has taken.
    pub fn len(&self) -> u64 {
        let in_each = self.segments.iter().map(Segment::len);
        in_each.sum()
    }

    /// Whether no message is in the ring.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many positions were pushed to since the ring was made.
    pub fn pushed(&self) -> u64 {
        self.tail.wrapping_sub(self.first_position)
    }

    /// How many positions were popped from since the ring was made.
    pub fn popped(&self) -> u64 {
        self.head.wrapping_sub(self.first_position)
    }

    /// Whether another ring follows one that somebody still needs.
    pub fn is_growing(&self) -> bool {
        self.segments.len() > 1
    }

    /// Whether a seat's holder has not come to the newest ring yet, as far as it says: those before keep their memory
    /// until it does, when it next pushes or pops.
    pub fn is_behind(&self, seat: &Seat) -> bool {
        let newest = self.segments.last();
        let is_before = newest.is_some_and(|newest| seat.oldest_segment < newest.offset);
        is_before && seat.occupancy == Occupancy::Alive
    }

    /// The seats of one end.
    pub fn seats_of(&self, role: Role) -> impl Iterator<Item = &Seat> {
        self.seats.iter().filter(move |seat| seat.role == role)
    }

    /// How many live processes' handles there are.
    pub fn alive(&self) -> usize {
        let is_alive = |seat: &&Seat| seat.occupancy == Occupancy::Alive;
        self.seats.iter().filter(is_alive).count()
    }
}

/// Who has the seats: what their entries said before and after their locks were asked about.
pub(super) fn seats(
    geometry: &Geometry,
    before: &HeaderCopy,
    held: &[bool],
    after: &HeaderCopy,
    rings: &[SegmentCopy],
) -> Vec<Seat> {
    let of_role = |role| geometry.seats(role).map(move |number| (number, role));
    let numbers = of_role(Role::Producer).chain(of_role(Role::Consumer));
    let look = |((number, role), &is_held)| {
        let seen = after.entry(number, geometry);
        let is_same = before.entry(number, geometry).seat_state == seen.seat_state;
        // One of them at most stands, wherever that is.
        let intent = rings.iter().find_map(|SegmentCopy { link, copy, .. }| {
            let run = copy.entry(number, &link.geometry).intent?;
            let start = link.among_all(run.start);
            Some(start..start.saturating_add(run.len))
        });
        Seat {
            number,
            role,
            occupancy: match seen.seat_state.phase() {
                // Though its lock may be held for a while, by a child that is just being spawned.
                Phase::Left => Occupancy::Left,
                _ if is_held => Occupancy::Alive,
                Phase::NeverTaken => Occupancy::NeverTaken,
                Phase::Active if is_same => Occupancy::Dead,
                // Its holder has just come.
                Phase::Active => Occupancy::Alive,
            },
            holders: seen.seat_state.count(),
            pid: seen.identity.pid,
            start_time: seen.identity.start_time,
            pid_namespace: seen.identity.pid_namespace,
            intent: intent.filter(|_| geometry.kind == Kind::Mpmc),
            oldest_segment: seen.oldest_segment,
        }
    };
    numbers.zip(held).map(look).collect()
}
