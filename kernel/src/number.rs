//! Numbers as people type them.

/// The number that `text` is: decimal digits, or hexadecimal ones after `0x`, of either case;
/// `None` for anything else and for what 64 bits don't hold.
pub(crate) fn number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    // The standard library would take a sign.
    let is_bare = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_bare.then(|| u64::from_str_radix(digits, radix).ok())?
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn digits_are_numbers_and_nothing_else_is() {
        assert_eq!(number("0"), Some(0));
        assert_eq!(number("18446744073709551615"), Some(u64::MAX));
        assert_eq!(number("0xFFff000155555000"), Some(0xffff_0001_5555_5000));
        for text in ["", "0x", "-1", "+1", "0x+1", "1a", "0X1", "18446744073709551616", " 1"] {
            assert_eq!(number(text), None, "{text:?}");
        }
    }
}
