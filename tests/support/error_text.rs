//! Checks of an error: its variant, its fields and its text.

use core::fmt::Display;

pub(crate) fn reads(error: impl Display, text: &str) {
    assert_eq!(error.to_string(), text);
}

/// Asserts the variant, the fields and the text of an error.
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
