//! What an error tells: its variant, its fields and its text.

use core::fmt::Display;

pub(crate) fn reads(error: impl Display, text: &str) {
    assert_eq!(error.to_string(), text);
}

/// Checks a variant, its fields and its text.
macro_rules! is {
    ($error:expr, $pattern:pat if $condition:expr, $($text:tt)+) => {{
        let error = $error;
        $crate::support::error_text::reads(&error, &format!($($text)+));
        match error {
            $pattern => assert!($condition, "{error:?}"),
            other => panic!("{other:?}"),
        }
    }};
}
