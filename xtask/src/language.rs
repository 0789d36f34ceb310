//! Checks the language of the project: words that hide the subject of a sentence, the width of
//! Markdown lines, and the length of the names of tests.

use crate::git;
use crate::passes::root;
use std::fs;

/// Words to replace by a named thing: a process, a producer, a holder.
const WORDS: [&str; 7] = [
    "who", "whoever", "whom", "whose", "nobody", "somebody", "anybody",
];

/// How many of [`WORDS`] are accepted, apart from [`ALLOWED`].
const LIMIT: usize = 0;

/// Where the words are searched for.
const SEARCHED: [&str; 10] = [
    "src",
    "docs",
    "tests",
    "benches",
    "examples",
    "fuzz",
    "xtask",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
];

/// Files with uses that must stay, and how many: literals such as the name of a Unix command.
const ALLOWED: [(&str, usize); 1] = [
    // The list above.
    ("xtask/src/language.rs", WORDS.len()),
];

/// The greatest width of a line of prose in a Markdown file.
const WIDTH: usize = 100;

/// The greatest length of the name of a function.
const NAME_LEN: usize = 60;

/// Prints what is found in the working tree, and fails if that is more than accepted.
pub(crate) fn run() -> Result<(), String> {
    let (mut words, mut lines, mut names) = (0, 0, 0);
    for file in git::files(&SEARCHED)? {
        // Some files are not text, and a file that git lists may have been removed.
        let Ok(text) = fs::read_to_string(root().join(&file)) else {
            continue;
        };
        let count = count_words(&file, &text);
        if count > 0 {
            println!("{file}: {count} words to replace");
            words += count;
        }
        if file.ends_with(".md") {
            for line in wide_lines(&text) {
                println!("{file}:{line}: more than {WIDTH} columns");
                lines += 1;
            }
        }
        if file.ends_with(".rs") {
            for (line, name) in long_names(&text) {
                println!("{file}:{line}: {name}: more than {NAME_LEN} characters");
                names += 1;
            }
        }
    }
    println!("{words} words to replace ({})", WORDS.join(", "));
    println!("{lines} lines of prose over {WIDTH} columns");
    println!("{names} function names over {NAME_LEN} characters");
    if words > LIMIT || lines > 0 || names > 0 {
        return Err(format!(
            "language: found {words} words, {lines} lines and {names} names to change, expected at \
             most {LIMIT} words and nothing else"
        ));
    }
    Ok(())
}

/// How many of [`WORDS`] are in a file, apart from those that are allowed in it.
fn count_words(file: &str, text: &str) -> usize {
    let is_here = |allowed: &&(&str, usize)| allowed.0 == file;
    let allowed = ALLOWED.iter().find(is_here);
    count_all(text).saturating_sub(allowed.map_or(0, |allowed| allowed.1))
}

/// How many of [`WORDS`] are in a text, in any case. An underscore separates words, so names count
/// too.
fn count_all(text: &str) -> usize {
    let words = text.split(|c: char| !c.is_alphanumeric());
    let is_listed = |found: &&str| WORDS.iter().any(|word| found.eq_ignore_ascii_case(word));
    words.filter(is_listed).count()
}

/// The numbers of lines that are too wide, apart from tables, code blocks and lines of links.
fn wide_lines(text: &str) -> Vec<usize> {
    let mut fence: Option<&str> = None;
    let (mut is_list, mut is_code, mut is_after_blank) = (false, false, true);
    let mut wide = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let content = line.trim();
        if let Some(open) = fence {
            if content.starts_with(open) {
                fence = None;
            }
            continue;
        }
        fence = ["```", "~~~"]
            .into_iter()
            .find(|mark| content.starts_with(mark));
        let is_indented = line.starts_with("    ") || line.starts_with('\t');
        // Indented text after a blank line continues a list item, or is a code block elsewhere.
        is_code = is_indented && !is_list && (is_code || is_after_blank);
        is_after_blank = content.is_empty();
        if is_after_blank {
            continue;
        }
        if !line.starts_with(' ') && !line.starts_with('\t') {
            is_list = without_marker(content) != content;
        }
        let is_excepted = is_code || content.starts_with('|') || is_only_links(content);
        if fence.is_none() && !is_excepted && line.chars().count() > WIDTH {
            wide.push(at + 1);
        }
    }
    wide
}

/// A line without the marker of a list item or a quotation.
fn without_marker(content: &str) -> &str {
    let (marker, rest) = content.split_once(' ').unwrap_or((content, ""));
    let is_number = marker.len() > 1
        && marker.ends_with(['.', ')'])
        && marker[..marker.len() - 1]
            .chars()
            .all(|c| c.is_ascii_digit());
    match marker {
        "-" | "*" | "+" | ">" => rest,
        _ if is_number => rest,
        _ => content,
    }
}

/// Whether a line is a link definition, or has no letters outside of links and addresses.
fn is_only_links(content: &str) -> bool {
    let content = without_marker(content);
    if content.starts_with('[') && content.contains("]: ") {
        return true;
    }
    let mut rest = content.to_owned();
    // Innermost first, since an image may be the text of a link.
    while let Some(middle) = rest.find("](") {
        let start = rest[..middle].rfind('[');
        let end = rest[middle..].find(')');
        let (Some(start), Some(end)) = (start, end) else {
            break;
        };
        rest.replace_range(start..middle + end + 1, "");
    }
    let is_prose = |word: &str| word.contains(char::is_alphanumeric) && !is_address(word);
    !rest.split_whitespace().any(is_prose)
}

fn is_address(word: &str) -> bool {
    let word = word.trim_start_matches('<');
    word.starts_with("https://") || word.starts_with("http://")
}

/// The lines and names of functions with names that are too long. All functions count, since macros
/// make tests of some that have no attribute.
fn long_names(source: &str) -> Vec<(usize, &str)> {
    let mut long = Vec::new();
    for (at, line) in source.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        for (before, _) in code.match_indices("fn ") {
            let name = &code[before + "fn ".len()..];
            let end = name.find(|c: char| !c.is_alphanumeric() && c != '_');
            let name = &name[..end.unwrap_or(name.len())];
            if name.chars().count() > NAME_LEN {
                long.push((at + 1, name));
            }
        }
    }
    long
}

#[cfg(test)]
mod tests {
    use super::{ALLOWED, NAME_LEN, WIDTH, WORDS, count_all, count_words, long_names, wide_lines};
    use crate::passes::root;
    use crate::tree::read;

    #[test]
    fn words_are_counted_whole_and_in_any_case() {
        for word in WORDS {
            let capital = word.to_uppercase();
            assert_eq!(count_all(&format!("a {word}, {capital}'s.")), 2, "{word}");
            assert_eq!(count_all(&format!("fn {word}_is_there()")), 1, "{word}");
            assert_eq!(count_all(&format!("x{word} {word}x")), 0, "{word}");
        }
        assert_eq!(count_all("whole wholesale body"), 0);
    }

    #[test]
    fn words_are_allowed_in_their_file_only() {
        let (file, allowed) = ALLOWED[0];
        let text = format!("{} ", WORDS[0]).repeat(allowed + 1);
        assert_eq!(count_words(file, &text), 1);
        assert_eq!(count_words("f", &text), allowed + 1);
    }

    #[test]
    fn words_that_are_allowed_exist() {
        for (file, allowed) in ALLOWED {
            assert_eq!(
                count_all(&read(&root().join(file)).unwrap()),
                allowed,
                "{file}"
            );
        }
    }

    #[test]
    fn wide_prose_is_found() {
        let fits = "é".repeat(WIDTH);
        let wide = format!("{fits}é");
        assert_eq!(wide_lines(&fits), []);
        assert_eq!(wide_lines(&wide), [1]);
        assert_eq!(wide_lines(&format!("a\n{wide}\n# {fits}\n")), [2, 3]);
        assert_eq!(wide_lines(&format!("- a\n\n      {fits}")), [3]);
        assert_eq!(wide_lines(&format!("a\n    {wide}")), [2]);
        assert_eq!(wide_lines(&format!("see [{fits}](x)")), [1]);
        assert_eq!(wide_lines(&format!("```\na\n```\n{wide}")), [4]);
    }

    #[test]
    fn wide_tables_code_and_links_are_excepted() {
        let wide = "x".repeat(WIDTH + 1);
        for text in [
            format!("| {wide} |"),
            format!("```sh\n{wide}\n```"),
            format!("~~~\n{wide}\n```\n{wide}\n~~~"),
            format!("a\n\n    {wide}\n    {wide}\n\n    {wide}"),
            format!("[{wide}](y)"),
            format!("- [{wide}](y),"),
            format!("[![a]({wide})](b) [![c](d)](e)"),
            format!("[a]: {wide}"),
            format!("<https://{wide}>"),
        ] {
            assert_eq!(wide_lines(&text), [], "{text}");
        }
    }

    #[test]
    fn long_names_are_found() {
        let fits = "x".repeat(NAME_LEN);
        let long = format!("{fits}x");
        let source = format!("#[test]\nfn {fits}() {{}}\n// fn {long}() {{}}\n");
        assert_eq!(long_names(&source), []);
        let source = format!("#[test]\n    #[ignore]\n    fn {long}() {{}}\n");
        assert_eq!(long_names(&source), [(3, &*long)]);
        let source = format!("#[test] fn {long}() {{}}\npub fn {long}<P>() {{}}\n");
        assert_eq!(long_names(&source), [(1, &*long), (2, &*long)]);
    }
}
