//! Tests of the PROXY protocol: vectors of both versions and what must not pass.

use proptest::prelude::*;

use super::*;

/// What is read, and what is left for TLS.
async fn read_from(bytes: &[u8]) -> (Result<Option<SocketAddr>, ProxyError>, usize) {
    let mut rest = bytes;
    let result = read(&mut rest).await;
    (result, rest.len())
}

fn binary(version_command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[version_command, family], &length, rest].concat()
}

const V4: [u8; 12] = [192, 0, 2, 7, 127, 0, 0, 1, 0x12, 0x67, 1, 187];

#[tokio::test]
async fn good_headers_name_the_client_and_leave_the_rest() {
    let v6: Vec<u8> = ["2001:db8::7".parse::<Ipv6Addr>().unwrap().octets(), Ipv6Addr::LOCALHOST.octets()].concat();
    let v6 = [v6, vec![0x12, 0x67, 1, 187]].concat();
    let mapped = [&"::ffff:192.0.2.7".parse::<Ipv6Addr>().unwrap().octets()[..], &v6[16..]].concat();
    let with_extension = [&V4[..], &[4, 0, 2, 0, 0]].concat();
    for (header, expected) in [
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n".to_vec(), Some("192.0.2.7:4711")),
        (b"PROXY TCP6 2001:db8::7 ::1 4711 443\r\n".to_vec(), Some("[2001:db8::7]:4711")),
        (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 4711 443\r\n".to_vec(), Some("192.0.2.7:4711")),
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (b"PROXY UNKNOWN anything at all\r\n".to_vec(), None),
        (binary(0x21, 0x11, &V4), Some("192.0.2.7:4711")),
        (binary(0x21, 0x11, &with_extension), Some("192.0.2.7:4711")),
        (binary(0x21, 0x21, &v6), Some("[2001:db8::7]:4711")),
        (binary(0x21, 0x21, &mapped), Some("192.0.2.7:4711")),
        (binary(0x20, 0x00, &[]), None),
        (binary(0x20, 0x11, &V4), None),
        (binary(0x21, 0x00, &[1, 2, 3]), None),
    ] {
        let (result, rest) = read_from(&[&header[..], b"\x16\x03\x01"].concat()).await;
        assert_eq!(result.unwrap(), expected.map(|text| text.parse().unwrap()), "{header:?}");
        assert_eq!(rest, 3, "{header:?}");
    }
}

#[tokio::test]
async fn bad_headers_are_refused() {
    let short_extension = [&V4[..], &[4, 0, 9, 0]].concat();
    let torn_extension = [&V4[..], &[4, 0]].concat();
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
    for header in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\n\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4711\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 443 1\r\n".to_vec(),
        b"PROXY TCP4  192.0.2.7 10.0.0.1 4711 443\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 10.0.0.1 04711 443\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 10.0.0.1 +471 443\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 10.0.0.1 70000 443\r\n".to_vec(),
        b"PROXY TCP4 2001:db8::7 ::1 4711 443\r\n".to_vec(),
        b"PROXY TCP6 192.0.2.7 10.0.0.1 4711 443\r\n".to_vec(),
        b"PROXY UDP4 192.0.2.7 10.0.0.1 4711 443\r\n".to_vec(),
        b"PROXY UNKNOWN\rx\r\n".to_vec(),
        long.into_bytes(),
        binary(0x11, 0x11, &V4),
        binary(0x22, 0x11, &V4),
        binary(0x21, 0x12, &V4),
        binary(0x21, 0x31, &[0; 216]),
        binary(0x21, 0x11, &V4[..11]),
        binary(0x21, 0x21, &V4),
        binary(0x21, 0x11, &short_extension),
        binary(0x21, 0x11, &torn_extension),
        binary(0x21, 0x11, &[0; 5000]),
        binary(0x21, 0x11, &V4)[..20].to_vec(),
        b"PROXY TCP4 192".to_vec(),
        b"".to_vec(),
    ] {
        assert!(read_from(&header).await.0.is_err(), "{header:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(command in any::<u8>(), family in any::<u8>(), rest in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = parse_binary(command, family, &rest);
        let _ = parse_line(&[b"PROXY ", &rest[..], b"\r\n"].concat());
    }
}
