//! Tests of the tunnel: half-close, idle, cut, close frames.

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, DuplexStream, duplex};

use super::*;

/// A running tunnel: the client's end, the server's end, and its outcome.
fn tunnel(
    cut: &Cut,
    idle: Duration,
    websocket: bool,
) -> (DuplexStream, DuplexStream, tokio::task::JoinHandle<TunnelOutcome>) {
    let (client, near) = duplex(4096);
    let (server, far) = duplex(4096);
    (client, server, tokio::spawn(run_for(near, far, cut.clone(), idle, websocket)))
}

async fn run_for(
    client: impl AsyncRead + AsyncWrite + Unpin,
    server: impl AsyncRead + AsyncWrite + Unpin,
    cut: Cut,
    idle: Duration,
    websocket: bool,
) -> TunnelOutcome {
    run(client, server, cut, &TunnelEnds { idle, closing: Cut::new() }, websocket).await
}

#[tokio::test]
async fn a_websocket_is_told_that_the_gateway_goes_away() {
    let ((mut client, near), (_server, far)) = (duplex(4096), duplex(4096));
    let ends = TunnelEnds { idle: LONG, closing: Cut::new() };
    let closing = ends.closing.clone();
    let running = tokio::spawn(async move { run(near, far, Cut::new(), &ends, true).await });
    closing.raise(CutReason::ShuttingDown);
    let mut told = Vec::new();
    client.read_to_end(&mut told).await.unwrap();
    assert_eq!(told.get(2..4), Some(&1001u16.to_be_bytes()[..]), "{told:?}");
    assert!(matches!(running.await.unwrap().ended_by, TunnelEnd::Cut(CutReason::ShuttingDown)));
}

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn both_directions_are_carried_and_counted_and_half_close_is_passed_on() {
    let (mut client, mut server, running) = tunnel(&Cut::new(), LONG, false);
    let large = vec![7; 1 << 20];
    let writing = async {
        client.write_all(&large).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        answer
    };
    let serving = async {
        let mut request = Vec::new();
        server.read_to_end(&mut request).await.unwrap();
        assert_eq!(request.len(), 1 << 20);
        server.write_all(b"after the client's end").await.unwrap();
        server.shutdown().await.unwrap();
    };
    let (answer, ()) = tokio::join!(writing, serving);
    assert_eq!(answer, b"after the client's end");
    let outcome = running.await.unwrap();
    assert!(matches!(outcome.ended_by, TunnelEnd::Finished), "{outcome:?}");
    assert_eq!((outcome.to_server, outcome.to_client), (1 << 20, 22));
}

#[tokio::test]
async fn a_cut_ends_both_sides_and_tells_a_websocket_client_why() {
    let cut = Cut::new();
    let (mut client, mut server, running) = tunnel(&cut, LONG, true);
    server.write_all(b"\x81\x02hi").await.unwrap();
    let mut frame = [0; 4];
    client.read_exact(&mut frame).await.unwrap();
    cut.raise(CutReason::Revoked);
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"\x88\x09\x03\xf0revoked");
    assert_eq!(server.read(&mut frame).await.unwrap(), 0);
    assert!(matches!(running.await.unwrap().ended_by, TunnelEnd::Cut(CutReason::Revoked)));
}

#[tokio::test]
async fn no_close_frame_is_put_into_the_middle_of_another() {
    let cut = Cut::new();
    let (mut client, mut server, running) = tunnel(&cut, LONG, true);
    server.write_all(b"\x81\x05he").await.unwrap();
    let mut half = [0; 4];
    client.read_exact(&mut half).await.unwrap();
    cut.raise(CutReason::Expired);
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"");
    running.await.unwrap();
}

#[tokio::test]
async fn a_cut_stops_a_stream_that_never_runs_dry() {
    let cut = Cut::new();
    let (near, far) = (tokio::io::repeat(1), tokio::io::repeat(2));
    let client = tokio::io::join(near, tokio::io::sink());
    let server = tokio::io::join(far, tokio::io::sink());
    let running = tokio::spawn(run_for(client, server, cut.clone(), LONG, false));
    tokio::task::yield_now().await;
    cut.raise(CutReason::SignedOut);
    let outcome = tokio::time::timeout(Duration::from_secs(10), running).await.expect("not cut").unwrap();
    assert!(matches!(outcome.ended_by, TunnelEnd::Cut(CutReason::SignedOut)));
}

#[tokio::test(start_paused = true)]
async fn only_a_tunnel_without_traffic_is_ended_as_idle() {
    let idle = Duration::from_secs(60);
    let start = tokio::time::Instant::now();
    let (mut client, mut server, running) = tunnel(&Cut::new(), idle, false);
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(50)).await;
        client.write_all(b"x").await.unwrap();
        server.read_u8().await.unwrap();
    }
    let last = start.elapsed();
    assert!(matches!(running.await.unwrap().ended_by, TunnelEnd::Idle));
    let quiet = start.elapsed() - last;
    assert!(quiet >= idle && quiet <= idle + idle / 4 + Duration::from_secs(1), "{quiet:?}");
}

proptest! {
    #[test]
    fn frame_boundaries_are_found_however_the_bytes_are_cut(
        frames in prop::collection::vec((0_usize..70_000, any::<bool>()), 1..5),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = Vec::new();
        let mut ends = vec![0];
        for (length, masked) in frames {
            let mask = if masked { 0x80 } else { 0 };
            bytes.push(0x82);
            match length {
                0..126 => bytes.push(mask | u8::try_from(length).unwrap()),
                126..65_536 => {
                    bytes.push(mask | 126);
                    bytes.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
                }
                _ => {
                    bytes.push(mask | 127);
                    bytes.extend_from_slice(&(length as u64).to_be_bytes());
                }
            }
            bytes.extend(std::iter::repeat_n(0xff, length + if masked { 4 } else { 0 }));
            ends.push(bytes.len());
        }
        let cut = cut.index(bytes.len());
        let mut follower = Frames::default();
        follower.follow(&bytes[..cut]);
        prop_assert_eq!(follower.allow_close(), ends.contains(&cut));
        follower.follow(&bytes[cut..]);
        prop_assert!(follower.allow_close());
        follower.follow(&websocket::close_frame(1000, "bye"));
        prop_assert!(!follower.allow_close());
    }
}
