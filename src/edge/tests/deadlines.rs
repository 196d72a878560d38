//! Every wait for a client ends. Deadlines are short here; "never" is the ten seconds of `read_all`.

use super::*;

async fn short(change: impl FnOnce(&mut Limits)) -> Stand {
    Stand::with(|config| {
        let long = Duration::from_secs(600);
        let limits = &mut config.limits;
        (limits.handshake, limits.head, limits.body_idle) = (long, long, long);
        (limits.write_idle, limits.keepalive_idle) = (long, long);
        change(limits);
    })
    .await
}

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_silent_handshake_is_cut() {
    let stand = short(|limits| limits.handshake = SHORT).await;
    let mut tcp = TcpStream::connect(stand.https).await.unwrap();
    assert_eq!(read_all(&mut tcp).await, "");
    eventually("the seat is given back", || stand.open_connections() == 0).await;
}

#[tokio::test]
async fn a_head_that_drips_gets_408() {
    let stand = short(|limits| limits.head = SHORT).await;
    let mut stream = stand.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHos").await.unwrap();
    let text = read_all(&mut stream).await;
    assert_eq!(statuses(&text), [408]);
    assert_eq!(stand.refused(Refusal::HeadTimeout), 1);
    assert_eq!(stand.seen(), []);
}

#[tokio::test]
async fn a_body_that_stalls_is_cut_and_the_handler_learns_of_it() {
    let stand = short(|limits| limits.body_idle = SHORT).await;
    let mut stream = stand.connect().await;
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nA").await.unwrap();
    assert_eq!(statuses(&read_all(&mut stream).await), [] as [u16; 0]);
    eventually("the seat is given back", || stand.open_connections() == 0).await;
    assert_eq!(stand.seen()[0].body, None);
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let stand = short(|limits| limits.keepalive_idle = SHORT).await;
    let mut busy = stand.connect().await;
    busy.write_all(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    stand.recorder.arrived.notified().await;
    let mut idle = stand.connect().await;
    idle.write_all(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert_eq!(statuses(&read_all(&mut idle).await), [200]);
    let mut unused = stand.connect().await;
    assert_eq!(read_all(&mut unused).await, "");
    stand.recorder.release.notify_one();
    assert_eq!(statuses(&read_all(&mut busy).await), [200]);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut() {
    let stand = short(|limits| limits.write_idle = SHORT).await;
    let mut stream = stand.connect().await;
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    eventually("the request arrived", || stand.seen().len() == 1).await;
    eventually("the seat is given back", || stand.open_connections() == 0).await;
}

#[tokio::test]
async fn a_header_block_that_never_ends_is_cut_in_http2() {
    let stand = short(|limits| limits.head = SHORT).await;
    let mut stream = stand.connect_as("app.test", &[b"h2"]).await;
    // Preface, SETTINGS, then HEADERS on stream 1 without END_HEADERS.
    let bytes =
        [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[0, 0, 0, 4, 0, 0, 0, 0, 0][..], &[0, 0, 1, 1, 1, 0, 0, 0, 1, 0x82]];
    stream.write_all(&bytes.concat()).await.unwrap();
    read_all(&mut stream).await;
    eventually("the seat is given back", || stand.open_connections() == 0).await;
}

#[tokio::test]
async fn an_idle_http2_connection_is_closed() {
    let stand = short(|limits| limits.keepalive_idle = SHORT).await;
    let mut stream = stand.connect_as("app.test", &[b"h2"]).await;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    read_all(&mut stream).await;
    eventually("the seat is given back", || stand.open_connections() == 0).await;
}
