//! Just enough HTML to submit a form: where it goes and what its fields hold.

use url::Url;

/// A form of a page.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    /// The page it stands on.
    pub(crate) page: Url,
    pub(crate) action: Url,
    pub(crate) post: bool,
    pub(crate) fields: Vec<Field>,
}

/// An `input`, or a `button` with a name.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) value: String,
    pub(crate) checked: bool,
}

impl Form {
    /// The forms of a page, in order.
    pub(crate) fn all(page: &Url, html: &str) -> Vec<Self> {
        let starts: Vec<usize> = html.match_indices("<form").map(|(at, _)| at).collect();
        let forms = starts.into_iter().map(|at| {
            let end = html[at..].find("</form>").map_or(html.len(), |length| at + length);
            Self::parse(page, &html[at..end])
        });
        forms.collect()
    }

    /// Whether a script sends this form without anybody looking at it.
    pub(crate) fn sends_itself(&self, html: &str) -> bool {
        let visible = |field: &Field| !matches!(field.kind.as_str(), "hidden" | "submit");
        html.contains("submit()") && !self.fields.iter().any(visible)
    }

    pub(crate) fn has(&self, kind: &str) -> bool {
        self.fields.iter().any(|field| field.kind == kind)
    }

    /// Fills one field.
    #[track_caller]
    pub(crate) fn fill(&mut self, name: &str, value: &str) {
        let field = self.fields.iter_mut().find(|field| field.name == name);
        value.clone_into(&mut field.unwrap_or_else(|| panic!("the form has no field `{name}`")).value);
    }

    /// What a browser would send: text as it stands, of radio buttons the chosen one, of buttons the first.
    pub(crate) fn encoded(&self) -> String {
        let mut out = url::form_urlencoded::Serializer::new(String::new());
        let mut pressed = false;
        for field in self.fields.iter().filter(|field| !field.name.is_empty()) {
            let sent = match field.kind.as_str() {
                "radio" | "checkbox" => field.checked,
                "submit" => !std::mem::replace(&mut pressed, true),
                _ => true,
            };
            if sent {
                out.append_pair(&field.name, &field.value);
            }
        }
        out.finish()
    }

    fn parse(page: &Url, html: &str) -> Self {
        let tag = &html[..html.find('>').unwrap_or(html.len())];
        let action = attribute(tag, "action").unwrap_or_default();
        let post = attribute(tag, "method").is_some_and(|method| method.eq_ignore_ascii_case("post"));
        let mut fields: Vec<Field> = Vec::new();
        for start in ["<input", "<button"] {
            for (at, _) in html.match_indices(start) {
                let tag = &html[at..at + html[at..].find('>').unwrap_or(html.len() - at)];
                let usual = if start == "<button" { "submit" } else { "text" };
                fields.push(Field {
                    name: attribute(tag, "name").unwrap_or_default(),
                    kind: attribute(tag, "type").unwrap_or_else(|| usual.to_owned()),
                    value: attribute(tag, "value").unwrap_or_default(),
                    checked: tag.split_whitespace().any(|word| word == "checked"),
                });
            }
        }
        Self { page: page.clone(), action: page.join(&action).unwrap(), post, fields }
    }
}

/// `name="value"`, with the entities of HTML undone.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, after) = tag.split_once(&format!(" {name}="))?;
    let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
    let raw = match quote {
        Some(quote) => after[1..].split(quote).next()?,
        None => after.split([' ', '/']).next()?,
    };
    let mut text = raw.to_owned();
    for (entity, character) in [
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&lt;", "<"),
        ("&#60;", "<"),
        ("&gt;", ">"),
        ("&#62;", ">"),
        ("&#38;", "&"),
        ("&amp;", "&"),
    ] {
        text = text.replace(entity, character);
    }
    Some(text)
}

#[test]
fn a_form_is_read_and_sent_like_a_browser_does() {
    let page = Url::parse("https://a.test/x").unwrap();
    let html = r#"<p><form method="post" action="/go?a=1&amp;b=2"><input type=hidden name=state value="a&quot;b">
        <input type="radio" name="who" value="1"><input type="radio" name="who" value="2" checked>
        <input name="login"><button name="go" value="yes">Go</button></form>"#;
    let mut form = Form::all(&page, html).remove(0);
    form.fill("login", "alice");
    assert!(form.post);
    assert_eq!(form.action.as_str(), "https://a.test/go?a=1&b=2");
    assert_eq!(form.encoded(), "state=a%22b&who=2&login=alice&go=yes");
    assert!(!form.sends_itself("submit()"));
}
