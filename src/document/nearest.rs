//! "Did you mean": the known word that is closest to a mistyped one.

/// The word among `known` that needs the fewest edits to become `typed`, if it is close enough to be meant.
#[must_use]
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Nobody means to write a longer word, and the work grows with its length.
    if typed.len() > 64 {
        return None;
    }
    let most = (typed.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|word| (distance(typed, word), word))
        .filter(|(edits, _)| *edits <= most)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, word)| word)
}

/// Edits (insert, remove, replace, swap neighbours) that turn `a` into `b`: optimal string alignment.
fn distance(a: &str, b: &str) -> usize {
    let fold = |text: &str| text.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect();
    let (a, b): (Vec<char>, Vec<char>) = (fold(a), fold(b));
    let mut before: Vec<usize> = vec![];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (row, ca) in a.iter().enumerate() {
        let mut line = vec![row + 1];
        for (column, cb) in b.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX / 2);
            let mut best = (at(&above, column + 1) + 1).min(at(&line, column) + 1);
            best = best.min(at(&above, column) + usize::from(ca != cb));
            let swapped = row > 0 && column > 0 && a.get(row - 1) == Some(cb) && b.get(column - 1) == Some(ca);
            if swapped {
                best = best.min(at(&before, column - 1) + 1);
            }
            line.push(best);
        }
        before = std::mem::replace(&mut above, line);
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_word_and_nonsense_finds_none() {
        let known = ["upstream", "users", "groups", "host", "path"];
        for (typed, expected) in [
            ("upstrem", Some("upstream")),
            ("user", Some("users")),
            ("grousp", Some("groups")),
            ("Host", Some("host")),
            ("pth", Some("path")),
            ("certificate", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, known), expected, "{typed}");
        }
        assert_eq!(nearest("max-body", ["max_body"]), Some("max_body"));
    }
}
