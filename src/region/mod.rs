//! Where the bytes live: a POSIX shared memory object, a file, a memfd or a System V segment, and
//! the locks that go with it.
//!
//! What has a descriptor is made whole before it has a name, and its locks are locks of bytes
//! (`descriptor`). A System V segment has a name from the start, so a ring's first word is stored last, and its
//! locks are semaphores (`semaphores`).

mod allocate;
mod descriptor;
mod growth;
mod mapping;
mod memfd;
mod object;
mod path;
mod place;
mod segment;
mod semaphores;

pub use self::place::Backing;

pub(crate) use self::mapping::{Mapping, Residency};
pub(crate) use self::object::{Held, Lock, Object, Properties};
pub(crate) use self::place::Place;

use self::descriptor::Descriptor;
use self::mapping::PAGE;
use self::object::Kind;
use self::segment::Segment;
use crate::error::{CreateError, MapError, OpenError, SystemError, UnlinkError};
use crate::sys::fork;
use crate::sys::ipc::SegmentStat;
use crate::terms::HugePages;
use core::ptr::NonNull;
use core::time::Duration;
use nix::errno::Errno;
use nix::sys::stat::FileStat;
use nix::sys::uio::pread;

/// Removes a ring, whatever it is that has the name. Processes that have the ring open keep it, and
/// its memory goes with the last of them.
///
/// It takes what [`Backing`] describes: `/name`, `file:/path` and `sysv:0x1234`. A memfd has no name
/// to be removed. The key of a System V segment is free again when nobody holds a seat of the removed
/// ring any more.
///
/// ```
/// use slipring::{error::UnlinkError, spsc};
///
/// # let name = format!("/slipring-doc-unlink-{}", std::process::id());
/// # let name = name.as_str();
/// let ring = spsc::Ring::<u64>::create(name, 2)?;
/// slipring::unlink(name)?;
/// assert!(matches!(slipring::unlink(name), Err(UnlinkError::NotFound { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// If there is no such name, or no permission to remove it.
pub fn unlink(name: &str) -> Result<(), UnlinkError> {
    let place = Place::new(name)?;
    match place.path() {
        Some(path) => path::remove(&place, &path),
        None => match place {
            Place::Memfd | Place::Descriptor(_) => Err(place
                .refuse("a memfd has no name that could be removed")
                .into()),
            place => segment::remove(&place),
        },
    }
}

/// How a process wants the pages of a ring.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Residence {
    pub(crate) prefault: bool,
    pub(crate) lock: bool,
    pub(crate) huge: Option<HugePages>,
}

impl Residence {
    fn advises_huge_pages(&self) -> bool {
        self.huge == Some(HugePages::Advised)
    }

    pub(crate) fn reserves_huge_pages(&self) -> bool {
        self.huge == Some(HugePages::Reserved)
    }
}

/// What a new object is to be like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Making {
    pub(crate) mode: u32,
    pub(crate) owner: Option<u32>,
    pub(crate) residence: Residence,
    /// How many locks there are.
    pub(crate) locks: u32,
    /// How long to wait for somebody else who makes an object of the same name.
    pub(crate) patience: Duration,
}

/// What an object is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// To push and pop: to read and to write.
    TakePart,
    /// Only to be read.
    Look,
}

/// An object that exists, not yet believed to be a ring.
#[derive(Debug)]
pub(crate) struct Found {
    /// Of what can't be read without. Unmapped first, as in a [`Region`].
    mapping: Option<Mapping>,
    object: Object,
    pub(crate) properties: Properties,
}

impl Found {
    /// Finds what has a name. If it is being made this waits for as long as the caller has patience.
    pub(crate) fn open(
        place: &Place,
        residence: &Residence,
        access: Access,
        patience: Duration,
    ) -> Result<Self, OpenError> {
        fork::watch();
        match (place, place.path()) {
            (_, Some(path)) => path::find(place, path, access).map(Self::by_descriptor),
            (&Place::Descriptor(number), _) => memfd::find(number, access).map(Self::by_descriptor),
            (Place::Memfd, _) => Err(OpenError::NotFound {
                name: place.to_string(),
            }),
            _ => Segment::find(place, residence, access, patience).map(Self::by_segment),
        }
    }

    /// Opens what another ring of this process, or of its parent, has open; whatever its name names by
    /// now.
    pub(crate) fn again(object: &Object, residence: &Residence) -> Result<Self, OpenError> {
        fork::watch();
        match &object.0 {
            Kind::Descriptor(descriptor) => {
                let place = Place::Descriptor(descriptor.number());
                let path = descriptor.path().cloned();
                path::identify(descriptor.reopen()?, &place, path).map(Self::by_descriptor)
            }
            Kind::Segment(segment) => Ok(Self::by_segment(segment.again(residence)?)),
        }
    }

    fn by_descriptor((descriptor, stat): (Descriptor, FileStat)) -> Self {
        Self {
            object: Object(Kind::Descriptor(descriptor)),
            mapping: None,
            properties: stat.into(),
        }
    }

    fn by_segment((segment, mapping, stat): (Segment, Mapping, SegmentStat)) -> Self {
        Self {
            object: Object(Kind::Segment(segment)),
            mapping: Some(mapping),
            properties: stat.into(),
        }
    }

    /// The first bytes, with zeroes for what is not there.
    pub(crate) fn head<const LEN: usize>(&self) -> Result<[u8; LEN], SystemError> {
        let mut head = [0; LEN];
        self.read(0, &mut head)?;
        Ok(head)
    }

    /// Copies bytes from a word on, as far as there are any; says how many. They are read, not mapped, where that can
    /// be: an object that is being cut short is then no SIGBUS.
    pub(crate) fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<usize, SystemError> {
        let mut filled = 0;
        match (&self.object.0, &self.mapping) {
            (Kind::Descriptor(descriptor), _) => {
                while filled < bytes.len() {
                    let at = i64::try_from(offset + filled as u64).unwrap_or(i64::MAX);
                    match pread(descriptor, &mut bytes[filled..], at) {
                        Ok(0) => break,
                        Ok(read) => filled += read,
                        Err(Errno::EINTR) => {}
                        Err(refused) => return Err(system("pread", refused)),
                    }
                }
            }
            (_, Some(mapping)) => filled = mapping.read(offset, bytes),
            _ => {}
        }
        Ok(filled)
    }

    pub(crate) fn object(&self) -> &Object {
        &self.object
    }

    /// Whether the object is made of larger pages than others.
    pub(crate) fn is_huge(&self) -> bool {
        self.page() > PAGE as u64
    }

    /// The size of the pages that the object is made of.
    pub(crate) fn page(&self) -> u64 {
        match (&self.object.0, &self.mapping) {
            (Kind::Descriptor(descriptor), _) => descriptor.page() as u64,
            (_, mapping) => mapping.as_ref().map_or(PAGE, Mapping::page) as u64,
        }
    }

    /// Maps the first `size` bytes of the object.
    pub(crate) fn map(self, size: u64, residence: &Residence) -> Result<Region, MapError> {
        let Self {
            object, mapping, ..
        } = self;
        let mapping = match (&object.0, mapping) {
            (Kind::Descriptor(descriptor), _) => {
                Mapping::of_file(descriptor, 0, size, descriptor.page(), residence)?
            }
            (_, Some(mapping)) => {
                if residence.prefault {
                    let done = mapping.populate();
                    done.map_err(|refused| system("madvise", refused))?;
                }
                mapping.settle(residence)?;
                mapping
            }
            _ => return Err(system("mmap", Errno::EINVAL).into()),
        };
        Ok(Region { mapping, object })
    }
}

/// A ring's object, its first ring mapped readable and writable.
#[derive(Debug)]
pub(crate) struct Region {
    // Unmapped first: what becomes of an object may depend on who still has it.
    mapping: Mapping,
    object: Object,
}

impl Region {
    /// Makes an object of which nobody else believes yet that it is a ring, every page of it allocated
    /// and zero.
    pub(crate) fn create(place: &Place, size: u64, making: &Making) -> Result<Self, CreateError> {
        fork::watch();
        let descriptor = match (place, place.path()) {
            (_, Some(path)) => path::create(place, path, size, making)?,
            (Place::Memfd, _) => memfd::create(size, making)?,
            (&Place::Key(key), _) => {
                let (segment, mapping) = Segment::create(key, size, making)?;
                return Ok(Self {
                    mapping,
                    object: Object(Kind::Segment(segment)),
                });
            }
            (Place::Descriptor(_) | Place::Id(_), _) | (_, None) => {
                return Err(place.refuse("it is of something that exists").into());
            }
        };
        let mapping = Mapping::of_file(&descriptor, 0, size, descriptor.page(), &making.residence)?;
        Ok(Self {
            mapping,
            object: Object(Kind::Descriptor(descriptor)),
        })
    }

    /// Has others find the object, whole.
    pub(crate) fn publish(&mut self, place: &Place, size: u64) -> Result<(), CreateError> {
        match &mut self.object.0 {
            Kind::Descriptor(descriptor) => path::link(descriptor, place, size),
            Kind::Segment(segment) => Ok(segment.finish()?),
        }
    }

    pub(crate) fn object(&self) -> &Object {
        &self.object
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.mapping.base()
    }

    pub(crate) fn residency(&self) -> Residency {
        self.mapping.residency()
    }

    /// Has all that was stored, and the name, written to where they are kept.
    pub(crate) fn sync(&self) -> Result<(), SystemError> {
        self.mapping.sync()?;
        match &self.object.0 {
            Kind::Descriptor(descriptor) => match descriptor.path() {
                Some(path) => path::sync_name(path),
                None => Ok(()),
            },
            Kind::Segment(_) => Ok(()),
        }
    }
}

pub(crate) fn system(call: &'static str, refused: Errno) -> SystemError {
    SystemError {
        call,
        source: refused.into(),
    }
}
