//! The country codes of ISO 3166-1 alpha-2, with `XK` for Kosovo, which payment systems use.

const CODES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ \
CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF \
GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW \
KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL \
NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST \
SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW";

/// The code in upper case, when it is one of a country in any case.
pub(super) fn code(given: &str) -> Option<&'static str> {
    // The list is of fixed width and sorted: three bytes an entry.
    let [first, second] = given.as_bytes() else { return None };
    let key = [first.to_ascii_uppercase(), second.to_ascii_uppercase()];
    let (entries, rest) = CODES.as_bytes().as_chunks::<3>();
    let last = entries.len();
    let at = match entries.binary_search_by(|entry| entry[..2].cmp(&key)) {
        Ok(at) => at,
        Err(_) if rest == key => last,
        Err(_) => return None,
    };
    CODES.get(at * 3..at * 3 + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_complete_and_searched_right() {
        let list: Vec<&str> = CODES.split(' ').collect();
        assert_eq!(list.len(), 250);
        assert!(list.is_sorted() && list.iter().all(|listed| code(listed) == Some(listed)));
        for other in ["", "U", "USA", "UK", "AA", "ZZ", "ü"] {
            assert_eq!(code(other), None, "{other}");
        }
        assert_eq!((code("us"), code("Zw")), (Some("US"), Some("ZW")));
    }
}
