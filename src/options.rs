//! How a ring is to be made, and what it must be like to be opened.

use crate::backing::HugePages;
use crate::backing::MemoryPolicy;
use crate::properties::{Delivery, Fences};
use core::time::Duration;

/// How a blocked push or pop waits.
///
/// A push that finds an MPMC ring full spends up to 400 of its looks on letting the consumers free half of it, and a
/// producer of an SPSC ring up to 64 on a run of 64 slots: slot by slot the two sides would be in each other's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitStrategy {
    /// Look without end. The lowest latency, and a core each.
    Spin,
    /// Look `spins` times, then `yields` times with a `sched_yield(2)` in between, then sleep
    /// on a futex.
    Sleep {
        /// Looks before the first yield; each takes some 10 to 50 nanoseconds.
        spins: u32,
        /// Looks before the first sleep.
        yields: u32,
    },
}

impl Default for WaitStrategy {
    /// A few microseconds of looking, about what falling asleep and being woken cost.
    fn default() -> Self {
        Self::Sleep {
            spins: 400,
            yields: 2,
        }
    }
}

/// What a new ring is to be like, and what an existing one must be like to be opened.
///
/// [`capacity`](Self::capacity), [`message_size`](Self::message_size), [`mode`](Self::mode),
/// [`schema`](Self::schema), [`liveness_interval`](Self::liveness_interval),
/// [`fences`](Self::fences), [`owner`](Self::owner), [`unlink_when_left`](Self::unlink_when_left) and,
/// of MPMC rings, [`producers`](Self::producers),
/// [`consumers`](Self::consumers) and [`delivery`](Self::delivery) are properties of the ring: a
/// new ring gets them, and an existing one is refused if it differs in one that was set. [`wait`](Self::wait),
/// [`prefault`](Self::prefault) and [`lock_memory`](Self::lock_memory) concern only the process that
/// sets them; [`huge_pages`](Self::huge_pages) says what it does.
///
/// ```
/// use slipring::{Options, WaitStrategy, spsc};
///
/// let options = Options::new()
///     .capacity(1024)
///     .mode(0o660)
///     .schema(0x51f7_0001)
///     .wait(WaitStrategy::Spin);
/// # let name = format!("/slipring-doc-options-{}", std::process::id());
/// # let name = name.as_str();
/// let ring = spsc::Ring::<u64>::open_or_create_with(name, &options)?;
/// assert_eq!(ring.capacity(), 1024);
/// # slipring::unlink(name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Options {
    pub(crate) capacity: Option<usize>,
    pub(crate) message_size: Option<usize>,
    pub(crate) mode: Option<u32>,
    pub(crate) schema: Option<u64>,
    pub(crate) liveness_interval: Option<Duration>,
    pub(crate) fences: Option<Fences>,
    pub(crate) producers: Option<u32>,
    pub(crate) consumers: Option<u32>,
    pub(crate) delivery: Option<Delivery>,
    pub(crate) wait: WaitStrategy,
    pub(crate) owner: Option<u32>,
    pub(crate) unlink_when_left: Option<bool>,
    pub(crate) policy: MemoryPolicy,
    pub(crate) first_position: u64,
}

impl Options {
    /// Nothing set.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of messages that the ring holds, from 2 to 2^30. It is rounded up to a power
    /// of two. A new ring needs one. One that [has grown](crate::Ring::grow) is opened by what it was made with, and by what it
    /// has now.
    ///
    /// A ring takes, all of it from the beginning, so many bytes, where `up` rounds up to a multiple of
    /// 4096 and `seats` are those of both roles, 2 in an SPSC ring and 128 if not set in an MPMC ring:
    ///
    /// ```text
    /// up(1024 + 128 * seats) + up(capacity * slot)
    /// ```
    ///
    /// A slot is the message and a word of 8 bytes, or as many as the message is aligned to if these
    /// are more, rounded up to a multiple of that word. A ring in reserved huge pages has whole ones.
    pub fn capacity(mut self, messages: usize) -> Self {
        self.capacity = Some(messages);
        self
    }

    /// The longest message of a ring of byte strings, in bytes; a new one needs it. A ring of
    /// values knows its size from the type, and is refused with another.
    pub fn message_size(mut self, bytes: usize) -> Self {
        self.message_size = Some(bytes);
        self
    }

    /// Who may open the ring: the permission bits, exactly, whatever the umask. 0600 if not
    /// set. Taking part needs both reading and writing.
    pub fn mode(mut self, bits: u32) -> Self {
        self.mode = Some(bits);
        self
    }

    /// A number of the user's for the meaning of the messages, 0 if not set: two programs that
    /// set different ones do not get each other's rings.
    pub fn schema(mut self, tag: u64) -> Self {
        self.schema = Some(tag);
        self
    }

    /// How often a waiter asks the kernel whether its peer still lives, and the most that the
    /// peer's death can go unnoticed. 100 ms if not set.
    pub fn liveness_interval(mut self, interval: Duration) -> Self {
        self.liveness_interval = Some(interval);
        self
    }

    /// What keeps wake-ups from being lost. If not set, [`Fences::Membarrier`] where the
    /// kernel has it, else [`Fences::Symmetric`].
    pub fn fences(mut self, fences: Fences) -> Self {
        self.fences = Some(fences);
        self
    }

    /// How many producers an MPMC ring can have at a time, from 1 to 4096. 64 if not set. Each takes
    /// 128 bytes of the ring.
    pub fn producers(mut self, seats: u32) -> Self {
        self.producers = Some(seats);
        self
    }

    /// How many consumers an MPMC ring can have at a time; as [`producers`](Self::producers).
    pub fn consumers(mut self, seats: u32) -> Self {
        self.consumers = Some(seats);
        self
    }

    /// What becomes of the messages that a consumer of an MPMC ring had taken and not given back
    /// when it died. [`Delivery::AtLeastOnce`] if not set.
    pub fn delivery(mut self, delivery: Delivery) -> Self {
        self.delivery = Some(delivery);
        self
    }

    /// How blocked calls of this process wait.
    pub fn wait(mut self, strategy: WaitStrategy) -> Self {
        self.wait = strategy;
        self
    }

    /// Whether to enter every page into this process's page tables at once, so that no first
    /// access is slower than the others.
    pub fn prefault(mut self, prefault: bool) -> Self {
        self.policy.prefault = prefault;
        self
    }

    /// Whether to keep every page in memory for as long as this process has the ring open (`mlock(2)`).
    /// If the process may not lock as much, the ring is not created or opened.
    pub fn lock_memory(mut self, lock: bool) -> Self {
        self.policy.lock = lock;
        self
    }

    /// To have the ring in pages that are larger than others, which costs fewer misses of the
    /// address translation and more memory. With [`HugePages::Reserved`] a new ring is made of them, a POSIX
    /// shared memory object excepted, or not at all; one that exists must be. Files have them in a directory of
    /// hugetlbfs.
    pub fn huge_pages(mut self, pages: HugePages) -> Self {
        self.policy.huge = Some(pages);
        self
    }

    /// Whose the ring is: a user id. One that is another user's is refused, before anything is
    /// bounded that stands in it: wherever others may create names, they may have created this
    /// one. To give a new ring to somebody else takes privileges.
    pub fn owner(mut self, user: u32) -> Self {
        self.owner = Some(user);
        self
    }

    /// Whether the name goes when the last participant leaves, by dropping its handle. `false` if not set.
    /// What is in the ring then is gone with it, and the ring is [closed](crate::Ring::close) for those who
    /// still have it open without taking part. If the last one is killed the name holders until
    /// somebody comes and leaves.
    pub fn unlink_when_left(mut self, unlink: bool) -> Self {
        self.unlink_when_left = Some(unlink);
        self
    }

    /// The position of the first message. For tests of what happens when positions wrap.
    #[doc(hidden)]
    pub fn first_position(mut self, position: u64) -> Self {
        self.first_position = position;
        self
    }
}
