//! Options for creating and opening a ring.

use crate::backing::{HugePages, MemoryPolicy};
use crate::properties::{Delivery, Fences};
use core::time::Duration;

/// How a blocked push or pop waits.
///
/// An *attempt* is one check whether the operation can continue. A push that finds an MPMC ring
/// full spends up to 400 of its attempts until consumers have freed half of the ring. The producer
/// of an SPSC ring spends up to 64 until 64 slots are free. Otherwise the two sides would contend
/// for every slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitStrategy {
    /// Spins and never sleeps. The lowest latency; each waiting thread occupies a core.
    Spin,
    /// Spins for `spins` attempts, makes `yields` attempts with a `sched_yield(2)` before each, and
    /// then sleeps on a futex.
    Sleep {
        /// Attempts before the first yield; each takes some 10 to 50 nanoseconds.
        spins: u32,
        /// Attempts with a yield before the first sleep.
        yields: u32,
    },
}

impl Default for WaitStrategy {
    /// Spins for a few microseconds, about the cost of a sleep and a wake-up.
    fn default() -> Self {
        Self::Sleep {
            spins: 400,
            yields: 2,
        }
    }
}

/// The properties of a new ring, and the requirements on an existing one.
///
/// Three groups of options differ in what they apply to:
///
/// * Properties of the ring: [`capacity`](Self::capacity), [`message_size`](Self::message_size),
///   [`mode`](Self::mode), [`schema`](Self::schema),
///   [`liveness_interval`](Self::liveness_interval), [`fences`](Self::fences),
///   [`owner`](Self::owner), [`unlink_when_left`](Self::unlink_when_left) and, in MPMC rings,
///   [`producers`](Self::producers), [`consumers`](Self::consumers) and
///   [`delivery`](Self::delivery). A new ring gets them. An existing ring is refused if it differs
///   in one that is set.
/// * Settings of this process alone: [`wait`](Self::wait), [`prefault`](Self::prefault) and
///   [`lock_memory`](Self::lock_memory).
/// * [`huge_pages`](Self::huge_pages), which can be either.
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
#[must_use = "options do nothing until a ring is created or opened with them"]
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
    /// Options of which none is set.
    pub fn new() -> Self {
        Self::default()
    }

    /// The capacity in messages, from 2 to 2^30, rounded up to a power of two. A new ring needs it.
    ///
    /// A ring that [has grown](crate::Ring::grow) can be opened with the capacity that it was
    /// created with and with the one that it has.
    ///
    /// All memory of a ring is allocated when it is created. The size in bytes is
    ///
    /// ```text
    /// up(1024 + 128 * seats) + up(capacity * slot)
    /// ```
    ///
    /// where `up` rounds up to a multiple of 4096. `seats` are those of both roles: 2 in an SPSC
    /// ring, 128 by default in an MPMC ring. `slot` is the size of a slot: the message and a word,
    /// together rounded up to a multiple of that word. The word has 8 bytes, or the alignment of
    /// the message if that is more. A ring in reserved huge pages occupies whole huge pages.
    pub fn capacity(mut self, messages: usize) -> Self {
        self.capacity = Some(messages);
        self
    }

    /// The size of the longest byte string in bytes. A new ring of byte strings needs it.
    ///
    /// In a ring of values the type gives the size, and another value is refused.
    pub fn message_size(mut self, bytes: usize) -> Self {
        self.message_size = Some(bytes);
        self
    }

    /// The permission bits of the object, exactly: the umask does not change them. 0600 by default.
    ///
    /// A participant needs permission to read and to write.
    pub fn mode(mut self, bits: u32) -> Self {
        self.mode = Some(bits);
        self
    }

    /// A number that the user assigns to the meaning of the messages, 0 by default.
    ///
    /// Two programs that set different numbers can't open each other's rings.
    pub fn schema(mut self, tag: u64) -> Self {
        self.schema = Some(tag);
        self
    }

    /// How often a waiting participant queries the kernel whether its peers are alive, and so the
    /// longest time for which a death stays unnoticed. 100 ms by default.
    pub fn liveness_interval(mut self, interval: Duration) -> Self {
        self.liveness_interval = Some(interval);
        self
    }

    /// The fences that keep wake-ups from being lost. [`Fences::Membarrier`] by default where the
    /// kernel supports it, otherwise [`Fences::Symmetric`].
    pub fn fences(mut self, fences: Fences) -> Self {
        self.fences = Some(fences);
        self
    }

    /// The number of producers that an MPMC ring can have at a time, from 1 to 4096. 64 by default.
    ///
    /// Each seat occupies 128 bytes of the ring.
    pub fn producers(mut self, seats: u32) -> Self {
        self.producers = Some(seats);
        self
    }

    /// The number of consumers that an MPMC ring can have at a time, as
    /// [`producers`](Self::producers).
    pub fn consumers(mut self, seats: u32) -> Self {
        self.consumers = Some(seats);
        self
    }

    /// What happens to the messages that a consumer of an MPMC ring had claimed and not released
    /// when it died. [`Delivery::AtLeastOnce`] by default.
    pub fn delivery(mut self, delivery: Delivery) -> Self {
        self.delivery = Some(delivery);
        self
    }

    /// How blocked calls of this process wait.
    pub fn wait(mut self, strategy: WaitStrategy) -> Self {
        self.wait = strategy;
        self
    }

    /// Whether to map every page into this process's page tables at once, so that a first access is
    /// no slower than later ones.
    #[doc(alias = "MAP_POPULATE")]
    pub fn prefault(mut self, prefault: bool) -> Self {
        self.policy.prefault = prefault;
        self
    }

    /// Whether to keep every page in memory while this process has the ring open (`mlock(2)`).
    ///
    /// If the process may not lock that much memory, the ring is neither created nor opened.
    #[doc(alias = "mlock")]
    pub fn lock_memory(mut self, lock: bool) -> Self {
        self.policy.lock = lock;
        self
    }

    /// Whether to use huge pages, which cause fewer TLB misses and occupy more memory.
    ///
    /// With [`HugePages::Reserved`] a new ring consists of reserved huge pages, or is not created.
    /// A POSIX shared memory object can't have them. A file has them in a directory of hugetlbfs.
    /// An existing ring is refused if it does not have them.
    pub fn huge_pages(mut self, pages: HugePages) -> Self {
        self.policy.huge = Some(pages);
        self
    }

    /// The user ID of the ring's owner.
    ///
    /// A ring of another user is refused before anything in it is used. Set it where other users
    /// can create names: they may have created this one. To create a ring for another user takes
    /// privileges.
    pub fn owner(mut self, user: u32) -> Self {
        self.owner = Some(user);
        self
    }

    /// Whether the last participant that drops its handle removes the name. `false` by default.
    ///
    /// The messages in the ring are lost with it. For processes that have the ring open without a
    /// seat it is [closed](crate::Ring::close). If the last participant is killed, the name stays
    /// until another one has attached and left.
    pub fn unlink_when_left(mut self, unlink: bool) -> Self {
        self.unlink_when_left = Some(unlink);
        self
    }

    /// The position of the first message, for tests of what happens when positions wrap.
    #[doc(hidden)]
    pub fn first_position(mut self, position: u64) -> Self {
        self.first_position = position;
        self
    }
}
