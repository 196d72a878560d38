//! Tests of the HTTP/1 guard on bytes, whole and cut anywhere.

use proptest::prelude::*;

use super::*;

const RULES: HeadRules = HeadRules { bytes: 256, lines: 8, targets: Targets::Origin };

/// Reads a head that comes in the given pieces; answers the verdict and how much it covers.
fn in_pieces(bytes: &[u8], cuts: &[usize]) -> Result<Option<(usize, Head)>, Refusal> {
    let mut reader = HeadReader::default();
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).chain([bytes.len()]).collect();
    cuts.sort_unstable();
    for cut in cuts {
        // The guard never gathers more than the cap.
        let seen = &bytes[..cut.min(if cut == bytes.len() { cut } else { RULES.bytes })];
        if let Some(done) = reader.read(seen, &RULES)? {
            return Ok(Some(done));
        }
    }
    Ok(None)
}

fn body_in_pieces(bytes: &[u8], cuts: &[usize]) -> (usize, Option<Refusal>, bool) {
    let mut chunked = Chunked::new();
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).chain([bytes.len()]).collect();
    cuts.sort_unstable();
    let mut from = 0;
    for cut in cuts {
        let (length, refusal) = chunked.follow(&bytes[from..cut.max(from)], &RULES);
        from += length;
        if refusal.is_some() || chunked.is_done() {
            return (from, refusal, chunked.is_done());
        }
    }
    (from, None, false)
}

/// Lines that are good, bad, or nearly one or the other.
fn head() -> impl Strategy<Value = Vec<u8>> {
    let lines = prop::sample::select(vec![
        &b"Host: a\r\n"[..],
        b"Content-Length: 5\r\n",
        b"Content-Length: 05\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Upgrade: websocket\r\n",
        b"X: \x80\xff\r\n",
        b"X : y\r\n",
        b" folded\r\n",
        b"bare: lf\n",
        b"bare: \r cr\r\n",
        b"\r\n",
        b"\r\r\n",
        b"GET / HTTP/1.1\r\n",
        b"Long: 0123456789012345678901234567890123456789012345678901234567890123456789\r\n",
    ]);
    let first = prop::sample::select(vec![
        &b"GET / HTTP/1.1\r\n"[..],
        b"POST /x?y HTTP/1.0\r\n",
        b"CONNECT a:1 HTTP/1.1\r\n",
        b"GET  / HTTP/1.1\r\n",
        b"\r\n",
        b"",
    ]);
    (first, prop::collection::vec(lines, 0..12)).prop_map(|(first, lines)| [first, &lines.concat()].concat())
}

proptest! {
    #[test]
    fn a_verdict_does_not_depend_on_how_the_bytes_are_cut(bytes in head(), cuts in prop::collection::vec(any::<usize>(), 0..8)) {
        prop_assert_eq!(in_pieces(&bytes, &cuts), in_pieces(&bytes, &[]));
    }

    #[test]
    fn no_bytes_make_the_reader_panic_or_read_past_them(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(Some((length, _head))) = in_pieces(&bytes, &[]) {
            prop_assert!(length <= bytes.len());
        }
    }

    #[test]
    fn what_passes_is_what_the_library_reads(bytes in head()) {
        if let Ok(Some((length, head))) = in_pieces(&bytes, &[]) {
            prop_assert!(bytes[..length].ends_with(b"\r\n\r\n"));
            let text = String::from_utf8_lossy(&bytes[..length]).to_ascii_lowercase();
            prop_assert_eq!(text.matches("\nhost:").count(), 1);
            prop_assert_eq!(head.body == BodyLength::Chunked, text.contains("\ntransfer-encoding: chunked\r\n"));
            prop_assert_eq!(head.body == BodyLength::Known(5), text.contains("\ncontent-length: 5\r\n"));
        }
    }

    #[test]
    fn a_chunked_body_is_followed_alike_however_it_is_cut(
        sizes in prop::collection::vec(0_usize..40, 0..6),
        flip in any::<(usize, u8)>(),
        spoil in any::<bool>(),
        cuts in prop::collection::vec(any::<usize>(), 0..8),
    ) {
        let mut bytes = Vec::new();
        for size in sizes.iter().filter(|size| **size > 0) {
            bytes.extend_from_slice(format!("{size:x};ext\r\n{}\r\n", "d".repeat(*size)).as_bytes());
        }
        bytes.extend_from_slice(b"0\r\nX: y\r\n\r\nGET / HTTP/1.1\r\n");
        if spoil {
            let at = flip.0 % bytes.len();
            bytes[at] = flip.1;
        } else {
            prop_assert_eq!(body_in_pieces(&bytes, &cuts), (bytes.len() - 16, None, true));
        }
        prop_assert_eq!(body_in_pieces(&bytes, &cuts), body_in_pieces(&bytes, &[]));
    }
}

#[test]
fn a_forward_proxy_takes_absolute_addresses_and_connect() {
    let rules = HeadRules { targets: Targets::Proxy, ..RULES };
    let read = |line: &str| HeadReader::default().read(format!("{line}\r\nHost: a\r\n\r\n").as_bytes(), &rules);
    let (_, head) = read("CONNECT example.com:443 HTTP/1.1").unwrap().unwrap();
    assert!(head.switches);
    assert!(read("GET http://example.com/x HTTP/1.1").unwrap().is_some());
    assert_eq!(read("CONNECT /x HTTP/1.1"), Err(Refusal::Target));
    assert_eq!(read("CONNECT u@example.com:443 HTTP/1.1"), Err(Refusal::Target));
    assert_eq!(read("GET ftp://example.com/x HTTP/1.1"), Err(Refusal::Target));
}

/// HP-03: every spelling of a framing header is either refused or means exactly itself.
#[test]
fn disguised_framing_headers_are_refused() {
    let names: [&[u8]; 12] = [
        b"Transfer-Encoding ",
        b" Transfer-Encoding",
        b"Transfer-Encoding\t",
        b"Transfer_Encoding",
        b"Transfer.Encoding",
        b"Transfer Encoding",
        b"Transfer\\Encoding",
        b"\x0bTransfer-Encoding",
        b"Transfer-Encoding\0",
        b"Transfer-Encoding\x7f",
        b"\xa0Transfer-Encoding",
        b"Transfer-\xc2\xadEncoding",
    ];
    let values: [&[u8]; 12] = [
        b"xchunked",
        b"chunked\r",
        b"\x0bchunked",
        b"\x0cchunked",
        b"\"chunked\"",
        b"chunk",
        b"chunked,",
        b",chunked",
        b"chunked;q=1",
        b"=?utf-8?B?Y2h1bmtlZA==?=",
        b"\0chunked",
        b"chunked identity",
    ];
    let read = |name: &[u8], value: &[u8]| {
        let bytes = [b"POST / HTTP/1.1\r\nHost: a\r\n", name, b": ", value, b"\r\n\r\n"].concat();
        HeadReader::default().read(&bytes, &RULES)
    };
    for name in names {
        assert!(read(name, b"chunked").is_err(), "{name:?}");
    }
    for value in values {
        assert!(read(b"Transfer-Encoding", value).is_err(), "{value:?}");
    }
    let (_, head) = read(b"tRANSFER-eNCODING", b" \tCHUNKED\t ").unwrap().unwrap();
    assert_eq!(head.body, BodyLength::Chunked);
}
