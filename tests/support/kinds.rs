//! Tests that run for both kinds of ring.

use slipring::{Mpmc, Options, Protocol};
use std::any::TypeId;

/// Makes two tests of each generic function in a list, one for each kind of ring.
///
/// Functions under `memory_and_files` run with rings in files as well, those under `all_backings`
/// with rings in files and in System V segments as well.
#[allow(unused_macros, reason = "each test program uses some of this file")]
macro_rules! for_each_kind {
    ($($test:ident)+) => {
        mod spsc {
            $(#[test] fn $test() { super::$test::<slipring::Spsc>() })+
        }
        mod mpmc {
            $(#[test] fn $test() { super::$test::<slipring::Mpmc>() })+
        }
    };
    (
        $(memory: $($memory:ident)+;)?
        $(memory_and_files: $($file:ident)+;)?
        $(all_backings: $($all:ident)+;)?
    ) => {
        for_each_kind! { $($($memory)+)? $($($file)+)? $($($all)+)? }
        for_each_kind! { file, File: $($($file)+)? $($($all)+)? }
        for_each_kind! { sysv, SystemV: $($($all)+)? }
    };
    ($module:ident, $backing:ident:) => {};
    ($module:ident, $backing:ident: $($test:ident)+) => {
        mod $module {
            use crate::support::backings::{BackingKind::$backing, with_backing};
            mod spsc {
                $(#[test] fn $test() {
                    super::with_backing(super::$backing, super::super::$test::<slipring::Spsc>)
                })+
            }
            mod mpmc {
                $(#[test] fn $test() {
                    super::with_backing(super::$backing, super::super::$test::<slipring::Mpmc>)
                })+
            }
        }
    };
}

#[allow(dead_code, reason = "each test program uses some of these functions")]
pub(crate) fn is_mpmc<P: Protocol>() -> bool {
    TypeId::of::<P>() == TypeId::of::<Mpmc>()
}

/// Options that give a ring of either kind one seat for each role.
#[allow(dead_code, reason = "each test program uses some of these functions")]
pub(crate) fn one_of_each<P: Protocol>() -> Options {
    match is_mpmc::<P>() {
        true => Options::new().producers(1).consumers(1),
        false => Options::new(),
    }
}

/// The name of a kind, as an argument of a role.
#[allow(dead_code, reason = "each test program uses some of this file")]
pub(crate) fn kind<P: Protocol>() -> &'static str {
    match is_mpmc::<P>() {
        true => "mpmc",
        false => "spsc",
    }
}

/// Calls a function that is generic over the kind, for the kind with a name.
#[allow(unused_macros, reason = "each test program uses some of this file")]
macro_rules! call_for_kind {
    ($kind:expr, $function:ident($($argument:expr),*)) => {
        match $kind {
            "mpmc" => $function::<slipring::Mpmc>($($argument),*),
            _ => $function::<slipring::Spsc>($($argument),*),
        }
    };
}
