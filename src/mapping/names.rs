//! Names of columns in one spelling, for presets: `FULL_NAME`, `fullName` and `full_name` are one column.

use std::borrow::Cow;

/// The name in lower case with underscores. Borrowed where it is spelled so already.
///
/// Letters outside ASCII stay: what is no legal key is to be told, not to be bent into one.
pub fn fold(name: &str) -> Cow<'_, str> {
    if name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
        return Cow::Borrowed(name);
    }
    // A name without small letters has no humps to find.
    let humps = name.chars().any(char::is_lowercase);
    let mut out = String::with_capacity(name.len() + 4);
    let mut before = None;
    let mut chars = name.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            upper if upper.is_ascii_uppercase() => {
                let starts = match before {
                    Some(before) if char::is_ascii_uppercase(&before) => chars.peek().is_some_and(char::is_ascii_lowercase),
                    Some(before) => before.is_alphanumeric(),
                    None => false,
                };
                if humps && starts {
                    out.push('_');
                }
                out.push(upper.to_ascii_lowercase());
            }
            mark if mark.is_ascii() && !mark.is_ascii_alphanumeric() => out.push('_'),
            other => out.push(other),
        }
        before = Some(char);
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_in_several_spellings_is_one_name() {
        for (folded, spellings) in [
            ("full_name", &["full_name", "FULL_NAME", "fullName", "FullName", "Full Name", "full-name", "full.name"][..]),
            ("group_id", &["groupId", "groupID", "GROUP_ID", "GroupId"]),
            ("api_key2", &["APIKey2", "apiKey2"]),
            ("_airbyte_raw_id", &["_AIRBYTE_RAW_ID", "_airbyte_raw_id"]),
            ("uuid_ts", &["uuid_ts", "UUID_TS", "uuidTs"]),
            ("größe", &["größe"]),
            ("", &[""]),
        ] {
            for spelling in spellings {
                assert_eq!(fold(spelling), folded, "{spelling}");
            }
        }
    }
}
