//! Reads FFmpeg's `ffmetadata` text: global metadata and chapters, exactly.

use kinora_frame::{Rational, Timestamp};

use super::facts::Chapter;

/// Metadata and chapters of a file.
pub(crate) fn parse(text: &str) -> (Vec<(String, String)>, Vec<Chapter>) {
    let mut metadata = Vec::new();
    let mut chapters: Vec<(Chapter, Rational)> = Vec::new();
    let mut global = true;
    for line in logical_lines(text) {
        match line.as_str() {
            "[CHAPTER]" => {
                global = false;
                let zero = Timestamp::new(0, Rational::ONE);
                let chapter = Chapter {
                    start: zero,
                    end: zero,
                    title: None,
                };
                chapters.push((chapter, Rational::ONE));
                continue;
            }
            line if line.starts_with('[') => {
                global = false;
                continue;
            }
            line if line.starts_with(';') => continue,
            _ => {}
        }
        let Some((key, value)) = key_and_value(&line) else {
            continue;
        };
        if global {
            if key.eq_ignore_ascii_case("encoder") {
                continue;
            }
            metadata.push((key, value));
        } else if let Some((chapter, base)) = chapters.last_mut() {
            match key.as_str() {
                "TIMEBASE" => {
                    *base = value
                        .parse()
                        .ok()
                        .filter(|base: &Rational| base.num() > 0)
                        .unwrap_or(*base);
                }
                "START" => chapter.start = Timestamp::new(value.parse().unwrap_or(0), *base),
                "END" => chapter.end = Timestamp::new(value.parse().unwrap_or(0), *base),
                "title" => chapter.title = Some(value),
                _ => {}
            }
        }
    }
    (metadata, chapters.into_iter().map(|(chapter, _)| chapter).collect())
}

/// Lines with their escapes; an escaped line end belongs to its line.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        if c == '\n' && !escaped {
            lines.push(String::new());
            continue;
        }
        escaped = c == '\\' && !escaped;
        if let Some(line) = lines.last_mut() {
            line.push(c);
        }
    }
    lines
}

fn key_and_value(line: &str) -> Option<(String, String)> {
    let mut parts = [String::new(), String::new()];
    let mut at = 0;
    let mut escaped = false;
    for c in line.chars() {
        match c {
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            '=' if !escaped && at == 0 => at = 1,
            c => parts[at].push(c),
        }
        escaped = false;
    }
    let [key, value] = parts;
    (at == 1).then_some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_and_chapters_keep_every_character() {
        let text = ";FFMETADATA1\ntitle=a\\=b\\; \\#c\\\nd\\\\\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=-5\nEND=1000\ntitle=Two\\; x\n[STREAM]\nlanguage=deu\n";
        let (metadata, chapters) = parse(text);
        assert_eq!(metadata, [("title".to_owned(), "a=b; #c\nd\\".to_owned())]);
        assert_eq!(chapters.len(), 1);
        assert_eq!(chapters[0].start, Timestamp::new(-5, Rational::new(1, 1000).unwrap()));
        assert_eq!(chapters[0].title.as_deref(), Some("Two; x"));
    }
}
