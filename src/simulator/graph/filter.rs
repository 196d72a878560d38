//! `$filter`: comparisons with `and`, `or` and parentheses, as far as Graph's pages show them (reference section 4.2).

use serde_json::Value;

use super::answer::Trouble;
use crate::simulator::time::Moment;

/// A condition on an object.
#[derive(Debug, Clone)]
pub(super) enum Filter {
    Any(Vec<Self>),
    All(Vec<Self>),
    Is(String, Order, Literal),
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
}

/// What a property is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Literal {
    Text(String),
    Time(Moment),
    Bool(bool),
    Null,
}

impl Filter {
    /// Reads a filter.
    pub(super) fn parse(text: &str) -> Result<Self, Trouble> {
        let tokens = tokens(text).ok_or_else(invalid)?;
        let mut reader = Reader { tokens: &tokens, depth: 0 };
        let filter = reader.any().ok_or_else(invalid)?;
        if reader.tokens.is_empty() { Ok(filter) } else { Err(invalid()) }
    }

    /// Whether the object meets the condition.
    pub(super) fn holds(&self, object: &Value) -> bool {
        match self {
            Self::Any(all) => all.iter().any(|one| one.holds(object)),
            Self::All(all) => all.iter().all(|one| one.holds(object)),
            Self::Is(name, order, literal) => compare(object.get(name).unwrap_or(&Value::Null), *order, literal),
        }
    }

    /// Refuses properties that are not among `known`.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Trouble> {
        match self {
            Self::Any(all) | Self::All(all) => all.iter().try_for_each(|one| one.only(known)),
            Self::Is(name, ..) if known.contains(&name.as_str()) => Ok(()),
            Self::Is(name, ..) => Err(Trouble::bad(format!("Invalid filter clause: property '{name}'."))),
        }
    }

    /// The ids of `id eq '..' or id eq '..'`, the only filter delta queries take (reference section 5.1).
    pub(super) fn ids(&self) -> Option<Vec<String>> {
        match self {
            Self::Is(name, Order::Eq, Literal::Text(id)) if name == "id" => Some(vec![id.clone()]),
            Self::Any(all) => all.iter().map(|one| Some(one.ids()?.swap_remove(0))).collect(),
            _ => None,
        }
    }
}

fn compare(value: &Value, order: Order, literal: &Literal) -> bool {
    let ordering = match (value, literal) {
        (Value::String(value), Literal::Text(text)) => Some(value.to_ascii_lowercase().cmp(&text.to_ascii_lowercase())),
        (Value::String(value), Literal::Time(time)) => Moment::parse(value).map(|value| value.cmp(time)),
        (Value::Bool(value), Literal::Bool(other)) => Some(value.cmp(other)),
        (Value::Null, Literal::Null) => Some(std::cmp::Ordering::Equal),
        _ => None,
    };
    let Some(ordering) = ordering else { return order == Order::Ne };
    match order {
        Order::Eq => ordering.is_eq(),
        Order::Ne => ordering.is_ne(),
        Order::Gt => ordering.is_gt(),
        Order::Ge => ordering.is_ge(),
        Order::Lt => ordering.is_lt(),
        Order::Le => ordering.is_le(),
    }
}

/// `(`, `)`, quoted texts with their prefix, and words.
fn tokens(text: &str) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = if matches!(first, '(' | ')') {
            1
        } else {
            let stop = rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '\'')).unwrap_or(rest.len());
            match rest.get(stop..)?.strip_prefix('\'') {
                Some(quoted) => stop + closing_quote(quoted)? + 2,
                None => stop,
            }
        };
        found.push(rest.get(..end)?.to_owned());
        rest = rest.get(end..)?.trim_start();
    }
    Some(found)
}

/// Where a quoted text ends; a quote inside is doubled.
fn closing_quote(text: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.find('\'')?;
        if !text.get(at + 1..)?.starts_with('\'') {
            return Some(at);
        }
        from = at + 2;
    }
}

struct Reader<'a> {
    tokens: &'a [String],
    depth: u8,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<&str> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn skip(&mut self, word: &str) -> bool {
        let is_next = self.tokens.first().is_some_and(|token| token.eq_ignore_ascii_case(word));
        if is_next {
            self.next();
        }
        is_next
    }

    fn any(&mut self) -> Option<Filter> {
        let mut all = vec![self.all()?];
        while self.skip("or") {
            all.push(self.all()?);
        }
        if all.len() == 1 { all.pop() } else { Some(Filter::Any(all)) }
    }

    fn all(&mut self) -> Option<Filter> {
        let mut all = vec![self.one()?];
        while self.skip("and") {
            all.push(self.one()?);
        }
        if all.len() == 1 { all.pop() } else { Some(Filter::All(all)) }
    }

    fn one(&mut self) -> Option<Filter> {
        if self.skip("(") {
            // Parentheses from the network must not exhaust the stack.
            self.depth = self.depth.checked_add(1).filter(|depth| *depth < 32)?;
            let inner = self.any()?;
            self.depth -= 1;
            return self.skip(")").then_some(inner);
        }
        let name = self.next()?.to_owned();
        let order = match self.next()? {
            "eq" => Order::Eq,
            "ne" => Order::Ne,
            "gt" => Order::Gt,
            "ge" => Order::Ge,
            "lt" => Order::Lt,
            "le" => Order::Le,
            _ => return None,
        };
        Some(Filter::Is(name, order, literal(self.next()?)?))
    }
}

/// `'high'`, `microsoft.graph.riskLevel'high'` (reference section 4.2), a date, `true`, `false`, `null`.
fn literal(token: &str) -> Option<Literal> {
    if let Some((_, text)) = token.split_once('\'') {
        return Some(Literal::Text(text.strip_suffix('\'')?.replace("''", "'")));
    }
    match token {
        "true" => Some(Literal::Bool(true)),
        "false" => Some(Literal::Bool(false)),
        "null" => Some(Literal::Null),
        _ => Moment::parse(token).map(Literal::Time),
    }
}

fn invalid() -> Trouble {
    Trouble::bad("Invalid filter clause.")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Filter;

    #[test]
    fn filters_are_read_as_graphs_pages_write_them() {
        let mallory =
            json!({"riskLevel": "high", "riskState": "atRisk", "riskLastUpdatedDateTime": "2026-09-14T10:22:31.5Z"});
        for (text, holds) in [
            ("riskLevel eq 'high'", true),
            ("riskLevel eq microsoft.graph.riskLevel'high'", true),
            ("riskLevel ne 'high' or riskState eq 'atRisk'", true),
            ("(riskLevel eq 'low' or riskLevel eq 'medium') and riskState eq 'atRisk'", false),
            ("riskLastUpdatedDateTime gt 2026-09-14T10:22:31Z", true),
            ("riskLastUpdatedDateTime ge 2026-09-15", false),
        ] {
            assert_eq!(Filter::parse(text).unwrap().holds(&mallory), holds, "{text}");
        }
        for text in ["", "riskLevel", "riskLevel eq", "riskLevel eq 'high", "a eq 'b' and", "(a eq 'b'", "a eq 'b')"] {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
        assert!(Filter::parse(&"(".repeat(100_000)).is_err());
    }
}
