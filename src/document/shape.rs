//! Holds a document against the part of JSON Schema that our generated schemas use, and finds every disagreement.

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Document, Problem, nearest};

/// TOML's own largest whole number.
const LARGEST: i128 = i64::MAX as i128;

/// Every disagreement of `document` with `schema`.
pub(super) fn problems(document: &Document<'_>, schema: &Value) -> Vec<Problem> {
    let mut check = Check { document, root: schema, problems: vec![] };
    let place = Place { key: String::new(), header: "the file".to_owned(), entry: String::new() };
    check.table(check.resolved(schema), &place, document.root.get_ref(), document.root.span());
    check.problems
}

/// Where the check is, in the words of somebody who wrote the file.
struct Place {
    /// Dotted key, such as `limits.head`.
    key: String,
    /// The table as its header is written: `[limits]`, `[[app]]`.
    header: String,
    /// For an element of a list of tables: ` (app "wiki")`, else nothing.
    entry: String,
}

impl Place {
    fn child(&self, key: &str) -> Self {
        let key = if self.key.is_empty() { key.to_owned() } else { format!("{}.{key}", self.key) };
        Self { header: format!("[{key}]"), entry: self.entry.clone(), key }
    }

    fn element(&self, index: usize, value: &DeValue<'_>) -> Self {
        let name = value.as_table().and_then(|table| table.get("name")).and_then(|name| name.get_ref().as_str());
        let entry = match name {
            Some(name) => format!(" ({} \"{name}\")", self.key),
            None if value.is_table() => format!(" ({} number {})", self.key, index + 1),
            None => self.entry.clone(),
        };
        Self { key: self.key.clone(), header: format!("[[{}]]", self.key), entry }
    }
}

struct Check<'a> {
    document: &'a Document<'a>,
    root: &'a Value,
    problems: Vec<Problem>,
}

impl<'a> Check<'a> {
    fn value(&mut self, schema: &'a Value, place: &Place, value: &Spanned<DeValue<'_>>) {
        let schema = self.resolved(schema);
        if let Some(words) = words(schema) {
            return self.word(&words, place, value);
        }
        let expected = kind(schema);
        let found = found(value.get_ref());
        if !expected.is_empty() && expected != found {
            let wanted = article(expected);
            self.add(value, format!("{}: expected {wanted}, got {}{}", place.key, article(found), place.entry));
            return;
        }
        match value.get_ref() {
            DeValue::Table(table) => self.table(schema, place, table, value.span()),
            DeValue::Array(list) => {
                let Some(items) = schema.get("items") else { return };
                for (index, item) in list.iter().enumerate() {
                    self.value(items, &place.element(index, item.get_ref()), item);
                }
            }
            DeValue::Integer(number) => {
                let number = i128::from_str_radix(&number.as_str().replace('_', ""), number.radix());
                self.range(schema, place, value, number.unwrap_or(i128::MAX));
            }
            _ => {}
        }
    }

    fn table(&mut self, schema: &'a Value, place: &Place, table: &DeTable<'_>, span: std::ops::Range<usize>) {
        let properties = schema.get("properties").and_then(Value::as_object);
        let known = || properties.into_iter().flat_map(|list| list.keys().map(String::as_str));
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            if let Some(inner) = properties.and_then(|list| list.get(name)) {
                self.value(inner, &place.child(name), value);
                continue;
            }
            match schema.get("additionalProperties") {
                Some(Value::Bool(false)) => {
                    let hint = match nearest(name, known()) {
                        Some(word) => format!("did you mean \"{word}\"?"),
                        None => format!("known keys are {}", known().collect::<Vec<_>>().join(", ")),
                    };
                    let message = format!("unknown key \"{name}\" in {}, {hint}{}", place.header, place.entry);
                    self.problems.push(self.document.problem(Some(key.span()), message));
                }
                Some(inner @ Value::Object(_)) => self.value(inner, &place.child(name), value),
                _ => {}
            }
        }
        let required = schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if !table.contains_key(name) {
                let message = format!("missing key \"{name}\" in {}{}", place.header, place.entry);
                self.problems.push(self.document.problem(Some(span.clone()), message));
            }
        }
    }

    fn word(&mut self, words: &[&str], place: &Place, value: &Spanned<DeValue<'_>>) {
        let (key, entry) = (&place.key, &place.entry);
        let list = words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" or ");
        match value.get_ref().as_str() {
            Some(text) if words.contains(&text) => {}
            Some(text) => self.add(value, format!("{key}: expected {list}, got \"{text}\"{entry}")),
            None => {
                let got = article(found(value.get_ref()));
                self.add(value, format!("{key}: expected {list}, got {got}{entry}"));
            }
        }
    }

    fn range(&mut self, schema: &Value, place: &Place, value: &Spanned<DeValue<'_>>, number: i128) {
        let bound = |name: &str| schema.get(name).and_then(Value::as_i64).map(i128::from);
        // Without an upper bound of its own a number still has to fit the type, which JSON numbers cannot all say.
        let (least, most) = (bound("minimum").unwrap_or(0), bound("maximum").unwrap_or(LARGEST));
        if number < least || number > most {
            let message = format!("{}: expected a number from {least} to {most}{}", place.key, place.entry);
            self.add(value, message);
        }
    }

    /// Follows `$ref`, and sees through the "or null" of optional keys, which TOML cannot write.
    fn resolved(&self, schema: &'a Value) -> &'a Value {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let pointer = reference.strip_prefix('#').unwrap_or(reference);
            return self.root.pointer(pointer).map_or(schema, |inner| self.resolved(inner));
        }
        let options = schema.get("anyOf").and_then(Value::as_array);
        let solid = options.into_iter().flatten().find(|option| kind(option) != "null");
        solid.map_or(schema, |inner| self.resolved(inner))
    }

    fn add(&mut self, value: &Spanned<DeValue<'_>>, message: String) {
        self.problems.push(self.document.problem(Some(value.span()), message));
    }
}

/// The words a closed list allows: `enum`, or `oneOf` with a `const` and a description each.
fn words(schema: &Value) -> Option<Vec<&str>> {
    if let Some(list) = schema.get("enum").and_then(Value::as_array) {
        return Some(list.iter().filter_map(Value::as_str).collect());
    }
    let options = schema.get("oneOf").and_then(Value::as_array)?;
    Some(options.iter().flat_map(option_words).collect())
}

fn option_words(option: &Value) -> Vec<&str> {
    match (option.get("const"), option.get("enum").and_then(Value::as_array)) {
        (Some(word), _) => word.as_str().into_iter().collect(),
        (None, Some(list)) => list.iter().filter_map(Value::as_str).collect(),
        (None, None) => vec![],
    }
}

/// The one type that a schema asks for, `null` aside; nothing when it does not say.
fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or_default()
        }
        _ => "",
    }
}

const fn found(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "string",
        DeValue::Integer(_) => "integer",
        DeValue::Float(_) => "number",
        DeValue::Boolean(_) => "boolean",
        DeValue::Datetime(_) => "date",
        DeValue::Array(_) => "array",
        DeValue::Table(_) => "object",
    }
}

fn article(kind: &str) -> &str {
    match kind {
        "string" => "a string in quotes",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list [...]",
        "object" => "a table",
        "date" => "a date",
        other => other,
    }
}
