//! Secrets, and that none of them is seen.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// A text shorter than this is no secret of this test but a word that anything may hold.
const SHORTEST: usize = 6;

/// None of the secrets stands in any of the texts: not in clear, and not within a longer text in Base64.
#[track_caller]
pub(crate) fn none_is_seen<'t>(secrets: &[String], texts: impl Iterator<Item = &'t str>) {
    let forms: Vec<String> = secrets.iter().filter(|secret| secret.len() >= SHORTEST).flat_map(|secret| forms(secret)).collect();
    for text in texts {
        for form in &forms {
            assert!(!text.contains(form.as_str()), "{form}, a form of a secret, is seen: {text}");
        }
    }
}

/// The secret in clear, and in Base64 wherever in a group of three bytes it begins: those of the characters that are the same
/// whatever stands before and behind it.
fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned()];
    for before in 0..3 {
        let bytes = [&vec![0; before], secret.as_bytes()].concat();
        let (first, behind_last) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        for encoded in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            forms.push(encoded[first..behind_last].to_owned());
        }
    }
    forms.dedup();
    forms
}

#[test]
fn a_secret_is_found_in_every_form_it_travels_in() {
    let secrets = ["hunter22-hunter22".to_owned()];
    let seen = |text: String| {
        let found = std::panic::catch_unwind(|| none_is_seen(&secrets, [text.as_str()].into_iter()));
        assert!(found.is_err(), "{text}");
    };
    seen("sent with hunter22-hunter22 there".to_owned());
    for around in [
        "hunter22-hunter22:",
        "hunter22-hunter22:hunter22-hunter22",
        "u:hunter22-hunter22",
        "us:hunter22-hunter22?",
        "usr:hunter22-hunter22",
    ] {
        seen(format!("Basic {}", STANDARD_NO_PAD.encode(around)));
    }
    none_is_seen(&secrets, ["hunter22 hunter22"].into_iter());
}
