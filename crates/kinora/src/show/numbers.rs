use std::time::Duration;

/// `142 010`: thin groups of three, for reading.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// `1:38:43`, `0:41`, `5.2 s` below ten seconds.
pub(crate) fn clock_time(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds >= 3600 {
        format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    } else if seconds >= 10 {
        format!("{}:{:02}", seconds / 60, seconds % 60)
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

/// `23.976 fps`, without needless zeros.
pub(crate) fn rate(fps: f64) -> String {
    let text = format!("{fps:.3}");
    format!("{} fps", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_in_the_transcripts() {
        assert_eq!(
            (count(7).as_str(), count(142_010).as_str(), count(1_000_000).as_str()),
            ("7", "142 010", "1 000 000")
        );
        assert_eq!(clock_time(Duration::from_secs(5923)), "1:38:43");
        assert_eq!(clock_time(Duration::from_millis(5230)), "5.2 s");
        assert_eq!(clock_time(Duration::from_secs(41)), "0:41");
        assert_eq!(rate(24000.0 / 1001.0), "23.976 fps");
        assert_eq!(rate(25.0), "25 fps");
    }
}
