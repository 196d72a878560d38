//! Every kind of disagreement is found, all at once, with its place.

use schemars::JsonSchema;
use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape is used")]
struct Sample {
    name: At<String>,
    #[serde(default)]
    #[schemars(range(min = 1, max = 9))]
    size: Option<At<u32>>,
    #[serde(default)]
    colour: Option<At<Colour>>,
    #[serde(default)]
    item: Vec<Item>,
    #[serde(default)]
    free: std::collections::BTreeMap<String, At<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape is used")]
struct Item {
    name: At<String>,
    #[serde(default)]
    on: bool,
    #[serde(default)]
    list: Vec<At<String>>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Colour {
    /// Like blood.
    Red,
    /// Like the sky.
    SkyBlue,
}

fn read(text: &str) -> Result<Sample, Problems> {
    let schema = serde_json::to_value(schemars::schema_for!(Sample)).unwrap();
    Document::parse(Path::new("s.toml"), text).and_then(|document| document.read(&schema))
}

#[test]
fn a_document_of_the_right_shape_is_read_with_places() {
    let sample = read(
        "size = 3\nname = \"x\"\ncolour = \"sky_blue\"\n[[item]]\nname = \"a\"\nlist = [\"q\"]\n[free]\nz = \"1\"",
    )
    .unwrap();
    assert_eq!(sample.name.span(), Some(16..19));
    assert_eq!(*sample.name, "x");
}

#[test]
fn every_problem_is_reported_with_its_place() {
    let text = "\
size = 10
colour = \"green\"
nmae = \"x\"
[free]
z = 1
[[item]]
name = \"a\"
on = \"yes\"
list = [\"q\", 1]
[[item]]
zzzzzz = 1
";
    let expected = "\
s.toml: missing key \"name\" in the file
s.toml:1:8: size: expected a number from 1 to 9
s.toml:2:10: colour: expected \"red\" or \"sky_blue\", got \"green\"
s.toml:3:1: unknown key \"nmae\" in the file, did you mean \"name\"?
s.toml:5:5: free.z: expected a string in quotes, got a whole number
s.toml:8:6: item.on: expected true or false, got a string in quotes (item \"a\")
s.toml:9:14: item.list: expected a string in quotes, got a whole number (item \"a\")
s.toml:10:1: missing key \"name\" in [[item]] (item number 2)
s.toml:11:1: unknown key \"zzzzzz\" in [[item]], known keys are list, name, on (item number 2)";
    assert_eq!(read(text).unwrap_err().to_string(), expected);
}

#[test]
fn text_that_is_not_toml_is_reported_with_its_place() {
    let problems = read("name = \"x\"\nsize = = 2\n").unwrap_err();
    assert!(problems.to_string().starts_with("s.toml:2:8: "), "{problems}");
}

#[test]
fn numbers_of_every_spelling_are_read() {
    for (text, size) in [("0x9", 9), ("0b11", 3), ("+5", 5), ("0o7", 7)] {
        assert_eq!(read(&format!("name = \"x\"\nsize = {text}")).unwrap().size.map(|size| *size), Some(size), "{text}");
    }
    assert!(read("name = \"x\"\nsize = 1_0").is_err());
}

proptest::proptest! {
    #[test]
    fn no_text_makes_reading_panic(text in "([\\[\\]a-z=\"{}., \n0-9_\u{e4}-]|name|item|size|\n\\[\\[item\\]\\]\n){0,40}") {
        drop(read(&text).map_err(|problems| problems.to_string()));
    }
}

#[test]
fn numbers_that_fit_no_type_are_refused() {
    for text in ["size = 99999999999999999999999999", "size = -1", "size = 0"] {
        let problems = read(&format!("name = \"x\"\n{text}")).unwrap_err();
        assert!(problems.to_string().contains("expected a number from 1 to 9"), "{problems}");
    }
}
