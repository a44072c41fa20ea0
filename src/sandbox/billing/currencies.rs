//! Codes and signs of currencies.

/// ISO 4217, those in use. Upper case only: whether the API takes others is unknown.
const CODES: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF \
    CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF \
    IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT \
    MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR \
    SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV \
    WST XAF XCD XOF XPF YER ZAR ZMW ZWG";

/// Whether this is the code of a currency.
pub(super) fn is_currency(code: &str) -> bool {
    code.len() == 3 && CODES.split(' ').any(|known| known == code)
}

/// Recorded: the signs of USD, EUR, JPY and PLN. The others are unknown, here they are the code.
pub(super) fn sign(code: &str) -> &str {
    match code {
        "USD" => "$",
        "EUR" => "€",
        "JPY" => "¥",
        "PLN" => "zł",
        _ => code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_currency_is_three_capital_letters_of_the_list() {
        assert!(CODES.split(' ').all(is_currency));
        for wrong in ["", "usd", "US", "USDX", "XXX", "USD EUR", "D A"] {
            assert!(!is_currency(wrong), "{wrong}");
        }
    }
}
