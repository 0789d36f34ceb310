//! Names of backings, and their text form.

use crate::error::InvalidName;
use core::fmt;
use core::str::FromStr;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::{self, Path, PathBuf};

/// The directory in which glibc and musl keep POSIX shared memory objects.
const SHARED_MEMORY: &str = "/dev/shm";

/// A parsed name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BackingName {
    /// A POSIX shared memory object: a slash and then at most 255 bytes without another slash.
    Posix(String),
    File(PathBuf),
    /// A memfd that does not exist yet.
    Memfd,
    /// A memfd that is open in this process.
    Descriptor(RawFd),
    /// The System V segment with a key.
    Key(i32),
    /// The existing System V segment with an id.
    Id(i32),
}

impl BackingName {
    pub(crate) fn new(text: &str) -> Result<Self, InvalidName> {
        let parsed = if let Some(path) = text.strip_prefix("file:") {
            parse_path(path)
        } else if let Some(number) = text.strip_prefix("memfd:") {
            parse_descriptor(number)
        } else if let Some(id) = text.strip_prefix("sysv:id:") {
            parse_id(id)
        } else if let Some(key) = text.strip_prefix("sysv:") {
            parse_key(key)
        } else {
            parse_name(text)
        };
        parsed.map_err(|reason| InvalidName {
            name: text.into(),
            reason,
        })
    }

    /// The error of an operation that does not apply to this backing.
    pub(crate) fn invalid(&self, reason: &'static str) -> InvalidName {
        InvalidName {
            name: self.to_string(),
            reason,
        }
    }

    /// The path of the object, if it has one. It is absolute, so it stays valid when the working
    /// directory changes.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        match self {
            Self::Posix(name) => Some(Path::new(SHARED_MEMORY).join(&name[1..])),
            Self::File(path) => Some(path::absolute(path).unwrap_or_else(|_| path.clone())),
            _ => None,
        }
    }
}

fn parse_name(text: &str) -> Result<BackingName, &'static str> {
    const LONGEST: usize = 255;
    match text.strip_prefix('/') {
        None => Err("it must start with a slash"),
        Some("") => Err("it has nothing after the slash"),
        Some("." | "..") => Err("it is a directory"),
        Some(rest) if rest.contains('/') => Err("it has a second slash"),
        Some(rest) if rest.contains('\0') => Err("it has a zero byte"),
        Some(rest) if rest.len() > LONGEST => Err("it is longer than 255 bytes"),
        Some(_) => Ok(BackingName::Posix(text.into())),
    }
}

fn parse_path(text: &str) -> Result<BackingName, &'static str> {
    let path = Path::new(text);
    if text.contains('\0') {
        Err("it has a zero byte")
    } else if text.ends_with('/') || path.file_name().is_none() {
        Err("it is a directory")
    } else {
        Ok(BackingName::File(path.into()))
    }
}

fn parse_descriptor(text: &str) -> Result<BackingName, &'static str> {
    match text {
        "" => Ok(BackingName::Memfd),
        _ => decimal(text)
            .map(BackingName::Descriptor)
            .ok_or("it has no descriptor number"),
    }
}

fn parse_id(text: &str) -> Result<BackingName, &'static str> {
    decimal(text).map(BackingName::Id).ok_or("it has no id")
}

fn parse_key(text: &str) -> Result<BackingName, &'static str> {
    let key = match text.strip_prefix("0x") {
        Some(digits) if digits.starts_with('+') => None,
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => decimal(text),
    };
    match key {
        None => Err("it has no key"),
        Some(0) => Err("key 0 is that of every private segment"),
        Some(key) => Ok(BackingName::Key(key as i32)),
    }
}

/// Parses a decimal number without a sign.
fn decimal<N: FromStr>(text: &str) -> Option<N> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

impl fmt::Display for BackingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Posix(name) => f.write_str(name),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Memfd => f.write_str("memfd:"),
            Self::Descriptor(number) => write!(f, "memfd:{number}"),
            Self::Key(key) => write!(f, "sysv:{key:#x}"),
            Self::Id(id) => write!(f, "sysv:id:{id}"),
        }
    }
}

/// The name of a ring, which selects its backing store. It is well formed.
///
/// | text | backing | lifetime |
/// |------|-------------|----------------|
/// | `/name` | a POSIX shared memory object, in `/dev/shm` | until it is [removed](crate::unlink) or the machine stops |
/// | `file:/path` | a mapped file; on a disk, its messages persist across reboots | until it is removed |
/// | `memfd:` | a new memfd, without a name, sealed against truncation | until the last process closes it |
/// | `memfd:5` | the memfd that is open in this process as descriptor 5 | the same |
/// | `sysv:0x1234` | the System V segment with this key, and a set of semaphores | until it is removed, also by `ipcrm`, or the machine stops |
/// | `sysv:id:7` | the existing System V segment with this id | the same |
///
/// Functions that take the name of a ring accept any such text (`impl AsRef<str>`). A `Backing`
/// builds the text from its parts; [`as_str`](Self::as_str) returns it.
///
/// ```
/// use slipring::{Backing, spsc};
///
/// let backing: Backing = "sysv:4660".parse()?;
/// assert_eq!(backing.as_str(), "sysv:0x1234");
/// assert_eq!(backing, Backing::sysv(0x1234)?);
///
/// let ring = spsc::Ring::<u64>::create(&Backing::memfd(), 64)?;
/// ring.producer()?.push(&7)?;
/// assert_eq!(ring.consumer()?.pop()?, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Backing(String);

impl Backing {
    /// The POSIX shared memory object with a name: a slash, then at most 255 bytes without another
    /// slash.
    ///
    /// # Errors
    ///
    /// If the name is not of that form.
    pub fn posix(name: &str) -> Result<Self, InvalidName> {
        let parsed = parse_name(name).map_err(|reason| InvalidName {
            name: name.into(),
            reason,
        })?;
        Ok(parsed.into())
    }

    /// The file with a path. A relative path starts at the working directory of the process when it
    /// creates, opens or removes the ring.
    ///
    /// # Errors
    ///
    /// If the path is a directory's, or not UTF-8.
    pub fn file(path: impl AsRef<Path>) -> Result<Self, InvalidName> {
        let path = path.as_ref();
        let invalid = |reason| InvalidName {
            name: format!("file:{}", path.display()),
            reason,
        };
        let text = path.to_str().ok_or(invalid("it is not UTF-8"))?;
        Ok(parse_path(text).map_err(invalid)?.into())
    }

    /// A new memfd.
    pub fn memfd() -> Self {
        BackingName::Memfd.into()
    }

    /// The memfd behind a descriptor of this process. The descriptor must stay open until the ring
    /// has been opened.
    pub fn descriptor(descriptor: impl AsFd) -> Self {
        BackingName::Descriptor(descriptor.as_fd().as_raw_fd()).into()
    }

    /// The System V segment with a key.
    ///
    /// # Errors
    ///
    /// If the key is 0, which is that of every private segment.
    pub fn sysv(key: u32) -> Result<Self, InvalidName> {
        BackingName::new(&format!("sysv:{key:#x}")).map(Into::into)
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<BackingName> for Backing {
    fn from(backing: BackingName) -> Self {
        Self(backing.to_string())
    }
}

impl FromStr for Backing {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        BackingName::new(text).map(Into::into)
    }
}

impl fmt::Display for Backing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Backing {
    fn as_ref(&self) -> &str {
        &self.0
    }
}
