//! Finds code by its tokens. White space, comments and the optional comma before a closing bracket
//! do not matter, so a pattern still matches after `cargo fmt` or when a comment is reworded.

use std::ops::Range;

/// A word, a literal, or one character of punctuation.
#[derive(Clone, Copy, Debug)]
struct Token<'s> {
    text: &'s str,
    start: usize,
    /// A comma before a closing bracket.
    is_optional: bool,
}

impl Token<'_> {
    fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// Returns the bytes of `source` that `pattern` matches, which must be exactly one place.
///
/// Each element of `within` is the start of an item, such as `fn push` or `impl Drop for Ring`. It
/// limits the search to the braces after it, and is itself searched for within those before it.
pub(crate) fn find(source: &str, within: &[String], pattern: &str) -> Result<Range<usize>, String> {
    let source = tokens(source);
    let mut scope = &source[..];
    for header in within {
        let found =
            find_one(scope, &tokens(header)).map_err(|error| format!("{error}: {header}"))?;
        scope = braces(&scope[found.end..]).ok_or_else(|| format!("no braces after: {header}"))?;
    }
    let found = find_one(scope, &tokens(pattern)).map_err(|error| format!("{error}: {pattern}"))?;
    Ok(scope[found.start].start..scope[found.end - 1].end())
}

/// The tokens that match, which must be exactly one place.
fn find_one(source: &[Token<'_>], pattern: &[Token<'_>]) -> Result<Range<usize>, String> {
    if pattern.is_empty() {
        return Err("a pattern must not be empty".to_owned());
    }
    let ends =
        (0..source.len()).map(|start| Some(start..start + matched(&source[start..], pattern)?));
    let found: Vec<_> = ends.flatten().collect();
    match &found[..] {
        [one] => Ok(one.clone()),
        _ => Err(format!("found {} matches, expected 1", found.len())),
    }
}

/// How many tokens of `source` the pattern matches from its start on.
fn matched(source: &[Token<'_>], pattern: &[Token<'_>]) -> Option<usize> {
    let (mut at, mut next) = (0, 0);
    while next < pattern.len() {
        let found = source.get(at);
        if found.is_some_and(|found| found.text == pattern[next].text) {
            at += 1;
            next += 1;
        } else if pattern[next].is_optional {
            next += 1;
        } else if next > 0 && found.is_some_and(|found| found.is_optional) {
            at += 1;
        } else {
            return None;
        }
    }
    Some(at)
}

/// The first braces of `source`, with what is between them.
fn braces<'t, 's>(source: &'t [Token<'s>]) -> Option<&'t [Token<'s>]> {
    let start = source.iter().position(|token| token.text == "{")?;
    let mut depth = 0_usize;
    for (at, token) in source.iter().enumerate().skip(start) {
        match token.text {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(&source[start..=at]);
        }
    }
    None
}

fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens: Vec<Token<'_>> = Vec::new();
    let mut start = 0;
    while start < source.len() {
        let rest = &source[start..];
        let len = token_len(rest);
        let text = &rest[..len];
        if !is_space(text) {
            let is_closing = matches!(text, ")" | "]" | "}");
            if let Some(before) = tokens.last_mut().filter(|_| is_closing) {
                before.is_optional = before.text == ",";
            }
            tokens.push(Token {
                text,
                start,
                is_optional: false,
            });
        }
        start += len;
    }
    tokens
}

fn is_space(text: &str) -> bool {
    text.starts_with(char::is_whitespace) || text.starts_with("//") || text.starts_with("/*")
}

/// The length of the token, the comment or the white space at the start of `rest`.
fn token_len(rest: &str) -> usize {
    let up_to = |from: usize, end: &str| {
        let found = rest[from..].find(end);
        found.map_or(rest.len(), |at| from + at + end.len())
    };
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    if let Some(fence) = raw_string(rest) {
        let quote = rest.find('"').unwrap_or_default() + 1;
        return up_to(quote, &format!("\"{fence}"));
    }
    match rest.chars().next() {
        Some('/') if rest.starts_with("//") => up_to(0, "\n"),
        Some('/') if rest.starts_with("/*") => up_to(2, "*/"),
        Some('"') => quoted_len(rest, '"'),
        Some('\'') if is_character(rest) => quoted_len(rest, '\''),
        Some(c) if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
        Some(c) if c.is_whitespace() => {
            let end = rest.find(|c: char| !c.is_whitespace());
            end.unwrap_or(rest.len())
        }
        Some(c) => c.len_utf8(),
        None => 0,
    }
}

/// The `#` characters of a raw string at the start of `rest`, if it starts with one.
fn raw_string(rest: &str) -> Option<&str> {
    let after = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let fence = after.len() - after.trim_start_matches('#').len();
    after[fence..].starts_with('"').then_some(&after[..fence])
}

/// Whether a quote starts a character literal, not a lifetime.
fn is_character(rest: &str) -> bool {
    let mut after = rest.chars().skip(1);
    after.next() == Some('\\') || after.next() == Some('\'')
}

fn quoted_len(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::find;

    fn found<'s>(source: &'s str, within: &[&str], pattern: &str) -> Result<&'s str, String> {
        let within: Vec<_> = within.iter().map(ToString::to_string).collect();
        find(source, &within, pattern).map(|range| &source[range])
    }

    #[test]
    fn find_ignores_white_space_and_comments() {
        let source = "let x = a // why\n    .load( /* how */ Acquire);\n";
        let expected = "a // why\n    .load( /* how */ Acquire)";
        assert_eq!(found(source, &[], "a.load(Acquire)"), Ok(expected));
    }

    #[test]
    fn find_ignores_the_comma_before_a_bracket() {
        let source = "f(\n    a,\n    b,\n);";
        assert_eq!(found(source, &[], "f(a, b)"), Ok("f(\n    a,\n    b,\n)"));
        assert_eq!(
            found("f(a, b);", &[], "f(\n    a,\n    b,\n)"),
            Ok("f(a, b)")
        );
        assert_eq!(found("[a, b]", &[], "b]"), Ok("b]"));
    }

    #[test]
    fn find_matches_whole_words_only() {
        assert!(found("seal_all()", &[], "seal").is_err());
        assert!(found("ab", &[], "a b").is_err());
    }

    #[test]
    fn find_with_other_than_one_match_fails() {
        let error = found("f(); f();", &[], "f()").unwrap_err();
        assert_eq!(error, "found 2 matches, expected 1: f()");
        let error = found("f();", &[], "g()").unwrap_err();
        assert_eq!(error, "found 0 matches, expected 1: g()");
        assert!(found("f();", &[], "// no code").is_err());
    }

    #[test]
    fn find_within_an_item_matches_there_only() {
        let source = "impl A { fn f() { x; } fn g() { x; } } impl B { fn f() { x; y } }";
        assert_eq!(found(source, &["impl A", "fn g"], "x;"), Ok("x;"));
        assert_eq!(found(source, &["impl B", "fn f"], "x; y"), Ok("x; y"));
        assert!(found(source, &["impl A"], "x;").is_err());
        assert!(found(source, &["fn f"], "x;").is_err());
        assert!(found(source, &["impl A", "fn g"], "y").is_err());
    }

    #[test]
    fn find_takes_literals_whole() {
        assert_eq!(found(r#"f("{ // }", '"', 'a, x)"#, &[], "x"), Ok("x"));
        assert!(found(r#"f("x")"#, &[], "x").is_err());
        assert_eq!(found(r##"f(r#"\"#, '\'', x)"##, &[], "x"), Ok("x"));
    }
}
