//! The names of the ethnicities by their codes (QCVN 109 MaDanToc), 01 to 55.

/// In the order of the codes, from 01.
const NAMES: [&str; 55] = [
    "Kinh",
    "Tày",
    "Thái",
    "Hoa",
    "Khmer",
    "Mường",
    "Nùng",
    "Mông",
    "Dao",
    "Gia-rai",
    "Ngái",
    "Ê-đê",
    "Ba-na",
    "Xơ-đăng",
    "Sán Chay",
    "Cơ-ho",
    "Chăm",
    "Sán Dìu",
    "Hrê",
    "Mnông",
    "Ra-glai",
    "Xtiêng",
    "Bru-Vân Kiều",
    "Thổ",
    "Giáy",
    "Cơ-tu",
    "Gié-Triêng",
    "Mạ",
    "Khơ-mú",
    "Co",
    "Ta-ôi",
    "Chơ-ro",
    "Kháng",
    "Xinh-mun",
    "Hà Nhì",
    "Chu-ru",
    "Lào",
    "La Chí",
    "La Ha",
    "Phù Lá",
    "La Hủ",
    "Lự",
    "Lô Lô",
    "Chứt",
    "Mảng",
    "Pà Thẻn",
    "Cơ Lao",
    "Cống",
    "Bố Y",
    "Si La",
    "Pu Péo",
    "Brâu",
    "Ơ-đu",
    "Rơ-măm",
    "Người nước ngoài",
];

/// The name that goes with a code, when there is such a code. The last one is said of foreigners.
pub(super) fn name(code: &str) -> Option<&'static str> {
    let digits = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_digit());
    let number: usize = code.parse().ok().filter(|_| digits)?;
    NAMES.get(number.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{text, validate::ETHNICITIES};

    #[test]
    fn every_code_has_a_name() {
        for number in ETHNICITIES {
            let name = name(&format!("{number:02}")).expect("a name");
            assert_eq!(text::check_name(name), Ok(()), "{number}");
        }
        assert_eq!(["01", "12", "54"].map(name), [Some("Kinh"), Some("Ê-đê"), Some("Rơ-măm")]);
        assert_eq!(["", "0", "1", "00", "56", "+1", "001", "Kinh"].map(name), [None; 8]);
    }
}
