/// The candidate nearest to `name`, if it is at most two edits away: for "did you mean".
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let length = name.chars().count();
    candidates
        .into_iter()
        // Each edit changes the length by one at most; a name of megabytes needs no table to be far away.
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= 2)
        .map(|candidate| (edit_distance(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 2 && *distance < candidate.chars().count())
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}

/// Optimal string alignment distance: insertions, deletions, replacements, swaps of neighbours.
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let width = b.len() + 1;
    let mut table: Vec<usize> = (0..(a.len() + 1) * width)
        .map(|cell| {
            if cell < width {
                cell
            } else if cell % width == 0 {
                cell / width
            } else {
                0
            }
        })
        .collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (table[(i - 1) * width + j] + 1)
                .min(table[i * width + j - 1] + 1)
                .min(table[(i - 1) * width + j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(table[(i - 2) * width + j - 2] + 1);
            }
            table[i * width + j] = best;
        }
    }
    table[a.len() * width + b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_two_keys_finds_its_name() {
        let names = ["strength", "scale", "seed"];
        assert_eq!(nearest("strenght", names).as_deref(), Some("strength"));
        assert_eq!(nearest("guidance", names), None);
        assert_eq!(nearest("xy", ["ab"]), None);
    }

    #[test]
    fn a_name_of_megabytes_is_far_from_all_without_a_table() {
        // A table of its edits would be larger than the memory of any machine.
        let long = "scale".repeat(1 << 22);
        let candidate = "x".repeat(1 << 22);
        assert_eq!(nearest(&long, ["scale", "seed", &candidate]), None);
    }
}
