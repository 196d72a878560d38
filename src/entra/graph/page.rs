//! Pages of Graph: where they go on, and items that may be broken one by one.
//!
//! Links: <https://learn.microsoft.com/graph/paging> and <https://learn.microsoft.com/graph/delta-query-overview>.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use super::failure::GraphError;

/// An address on Graph's own origin, used as it came. Its query is opaque and is not shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Link(pub(super) Url);

impl Link {
    /// Reads a link that Graph sent, or that was stored. Anything off the origin of `root` is refused.
    pub(super) fn read(root: &Url, text: &str) -> Result<Self, GraphError> {
        let url = Url::parse(text).map_err(|_| GraphError::Malformed)?;
        let named = !url.username().is_empty() || url.password().is_some();
        if url.origin() != root.origin() || named {
            return Err(GraphError::ForeignLink);
        }
        Ok(Self(url))
    }

    /// The whole address, to be stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({})", self.0.path())
    }
}

/// How a page goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// There is another page.
    More(Link),
    /// All pages are read; ask here for what changes from now on.
    Delta(Link),
    /// All pages are read.
    End,
}

/// One page.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// What could be read, in Graph's order. May be empty although there are more pages.
    pub items: Vec<T>,
    /// How many items, or parts of items, could not be read. The page is incomplete unless this is zero.
    pub broken: usize,
    /// How it goes on.
    pub next: Next,
}

impl<T> Page<T> {
    /// Whether everything Graph sent is in `items`.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.broken == 0
    }
}

/// The pages walked so far, so that a walk ends whatever Graph says.
#[derive(Debug)]
pub struct Walk {
    seen: HashSet<Link>,
    most: usize,
}

impl Walk {
    /// A walk of at most `most` further pages.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { seen: HashSet::new(), most }
    }

    /// Whether `link` may be followed.
    ///
    /// # Errors
    /// [`GraphError::EndlessPages`] if it was followed before, or there have been enough.
    pub fn follow(&mut self, link: &Link) -> Result<(), GraphError> {
        if self.seen.len() >= self.most || !self.seen.insert(link.clone()) {
            return Err(GraphError::EndlessPages);
        }
        Ok(())
    }
}

/// Reads a page; `item` turns the text of one item into a value and says how many of its parts were broken.
pub(super) fn read<T>(
    root: &Url,
    body: &[u8],
    item: impl Fn(&str) -> Option<(T, usize)>,
) -> Result<Page<T>, GraphError> {
    let envelope: Envelope<'_> = serde_json::from_slice(body).map_err(|_| GraphError::Malformed)?;
    let mut page = Page { items: Vec::with_capacity(envelope.value.len()), broken: 0, next: Next::End };
    for raw in envelope.value {
        match item(raw.get()) {
            Some((value, broken)) => {
                page.items.push(value);
                page.broken += broken;
            }
            None => page.broken += 1,
        }
    }
    page.next = match (envelope.next, envelope.delta) {
        (Some(next), _) => Next::More(Link::read(root, &next)?),
        (None, Some(delta)) => Next::Delta(Link::read(root, &delta)?),
        (None, None) => Next::End,
    };
    Ok(page)
}

/// Items stay text until they are read one by one, so that a broken one costs only itself.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    value: Vec<&'a RawValue>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
    #[serde(rename = "@odata.deltaLink")]
    delta: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entra_graph_link_elsewhere_is_refused_and_pages_end() {
        let root = Url::parse("https://graph.microsoft.com/").unwrap();
        for foreign in [
            "https://graph.microsoft.com.evil.example/x",
            "http://graph.microsoft.com/x",
            "https://graph.microsoft.com:8443/x",
            "https://graph.microsoft.com@evil.example/x",
            "https://someone@graph.microsoft.com/x",
        ] {
            assert!(matches!(Link::read(&root, foreign), Err(GraphError::ForeignLink)), "{foreign}");
        }
        let link =
            |n: u32| Link::read(&root, &format!("https://graph.microsoft.com/v1.0/users?$skiptoken={n}")).unwrap();
        assert!(!format!("{:?}", link(7)).contains("skiptoken"));
        let mut walk = Walk::new(2);
        assert!(walk.follow(&link(1)).is_ok());
        assert!(walk.follow(&link(1)).is_err(), "a circle");
        assert!(walk.follow(&link(2)).is_ok());
        assert!(walk.follow(&link(3)).is_err(), "too many");
    }
}
