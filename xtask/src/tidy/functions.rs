//! The functions of a source file, and where its tests are.

use std::ops::RangeInclusive;

use super::source::Token;

/// A function, as its signature and braces show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    /// The line of its `fn`.
    pub(super) line: usize,
    /// Lines from its `fn` to its closing brace.
    pub(super) lines: usize,
    pub(super) is_public: bool,
    /// Without `self`.
    pub(super) parameters: usize,
    pub(super) type_parameters: usize,
}

/// Every function in `tokens`, nested ones and those in macros included.
pub(super) fn functions(tokens: &[Token]) -> Vec<Function> {
    (0..tokens.len())
        .filter(|at| tokens[*at].text == "fn")
        .filter_map(|at| function(tokens, at))
        .collect()
}

/// The lines of `#[cfg(test)] mod … { … }`.
pub(super) fn test_lines(tokens: &[Token]) -> Vec<RangeInclusive<usize>> {
    const OPENING: [&str; 8] = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
    tokens
        .windows(OPENING.len() + 2)
        .enumerate()
        .filter(|(_, window)| {
            let opens = window.iter().zip(OPENING).all(|(token, text)| token.text == text);
            opens && window[OPENING.len() + 1].text == "{"
        })
        .filter_map(|(at, window)| {
            let end = matching(tokens, at + OPENING.len() + 1)?;
            Some(window[0].line..=tokens[end].line)
        })
        .collect()
}

fn function(tokens: &[Token], at: usize) -> Option<Function> {
    // A macro writes `fn $name`.
    let name_at = at + 1 + usize::from(tokens.get(at + 1)?.text == "$");
    let name = &tokens.get(name_at)?.text;
    // `fn(u64)` is a type.
    if name == "(" {
        return None;
    }
    let mut next = name_at + 1;
    let mut type_parameters = 0;
    if tokens.get(next)?.text == "<" {
        let end = matching(tokens, next)?;
        type_parameters = pieces(&tokens[next + 1..end])
            .iter()
            .filter(|piece| !piece[0].text.starts_with('\'') && piece[0].text != "const")
            .count();
        next = end + 1;
    }
    if tokens.get(next)?.text != "(" {
        return None;
    }
    let end = matching(tokens, next)?;
    let parameters =
        pieces(&tokens[next + 1..end]).iter().filter(|piece| !is_receiver(piece)).count();
    let last = body_end(tokens, end + 1)?;
    Some(Function {
        name: name.clone(),
        line: tokens[at].line,
        lines: tokens[last].line - tokens[at].line + 1,
        is_public: is_public(&tokens[..at]),
        parameters,
        type_parameters,
    })
}

/// Whether what stands before `fn` makes it public to everyone.
fn is_public(before: &[Token]) -> bool {
    before
        .iter()
        .rev()
        .find(|token| !["const", "async", "unsafe", "extern"].contains(&&*token.text))
        .is_some_and(|token| token.text == "pub")
}

fn is_receiver(piece: &[Token]) -> bool {
    piece
        .iter()
        .find(|token| token.text != "&" && token.text != "mut" && !token.text.starts_with('\''))
        .is_some_and(|token| token.text == "self")
}

/// The token that ends a function whose parameters end before `from`: its closing brace, or the
/// semicolon of one without a body.
fn body_end(tokens: &[Token], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        match &*tokens.get(at)?.text {
            ";" => return Some(at),
            "{" => return matching(tokens, at),
            "(" | "[" => at = matching(tokens, at)? + 1,
            _ => at += 1,
        }
    }
}

/// The token that closes what the one at `open` opens. Only its own kind of bracket is counted,
/// so that a `<` that compares confuses nothing but itself.
fn matching(tokens: &[Token], open: usize) -> Option<usize> {
    let opening = &*tokens.get(open)?.text;
    let closing = match opening {
        "(" => ")",
        "[" => "]",
        "{" => "}",
        "<" => ">",
        _ => return None,
    };
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        if token.text == opening {
            depth += 1;
        } else if token.text == closing {
            depth -= 1;
            if depth == 0 {
                return Some(at);
            }
        }
    }
    None
}

/// What stands between commas, nothing left out but what is empty.
fn pieces(tokens: &[Token]) -> Vec<&[Token]> {
    let mut depth = 0_usize;
    tokens
        .split(|token| {
            match &*token.text {
                "(" | "[" | "{" | "<" => depth += 1,
                ")" | "]" | "}" | ">" => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && token.text == ","
        })
        .filter(|piece| !piece.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::source::Source;
    use super::*;

    fn only(text: &str) -> Function {
        let mut functions = functions(&Source::read(text).tokens);
        assert_eq!(functions.len(), 1, "{text}");
        functions.remove(0)
    }

    #[test]
    fn parameters_are_counted_without_self() {
        let counts = |text| {
            let function = only(text);
            (function.parameters, function.type_parameters)
        };
        assert_eq!(counts("fn a() {}"), (0, 0));
        assert_eq!(counts("fn a(&'a mut self, b: (u8, u8), c: [u8; 2],) {}"), (2, 0));
        assert_eq!(counts("fn a<'a, P: Fn(u8) -> u8, const N: usize>(f: Map<u8, P>);"), (1, 1));
        assert_eq!(counts("fn a<P, Q: Into<Vec<P>>>(self: Box<Self>, q: Q) where P: X {}"), (1, 2));
    }

    #[test]
    fn only_what_everyone_may_call_is_public() {
        assert!(only("pub const unsafe extern \"C\" fn a() {}").is_public);
        assert!(!only("pub(super) fn a() {}").is_public);
        assert!(!only("fn a() {}").is_public);
        assert!(only("macro { pub fn $name() {} }").is_public);
    }

    #[test]
    fn lines_go_to_the_closing_brace() {
        assert_eq!(only("\nfn a(\n) -> [u8; 2] {\n if b { \"}\" }\n}\n").lines, 4);
        assert_eq!(only("fn a(f: fn(u8) -> u8) -> u8;").lines, 1);
    }

    #[test]
    fn tests_are_found_by_their_attribute() {
        let tokens = Source::read("fn a() {}\n#[cfg(test)]\nmod tests {\n\n}\n").tokens;
        assert_eq!(test_lines(&tokens), [2..=5]);
        assert!(test_lines(&Source::read("#[cfg(test)]\nmod tests;").tokens).is_empty());
    }
}
