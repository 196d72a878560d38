//! Tests of request bodies that stop coming.

use bytes::Bytes;
use http::Request;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::access::private::testing::*;

/// A body of one piece and then nothing more, not even its end.
struct Halting(Option<Bytes>);

impl http_body::Body for Halting {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.take().map_or(Poll::Pending, |piece| Poll::Ready(Some(Ok(Frame::data(piece)))))
    }
}

/// There is no edge here to end anything: the stream sees by itself that it stands still.
#[tokio::test]
async fn an_http2_upload_that_stands_still_ends_by_itself() {
    for answer in [&b""[..], b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = app_config(&[listener.local_addr().unwrap()]);
        config.upstream.upload_idle = Duration::from_millis(300);
        let gateway = Gateway::start(config).await;
        let upstream = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut got = Vec::new();
            while !got.ends_with(b"first\r\n") {
                assert!(stream.read_buf(&mut got).await.unwrap() > 0);
            }
            stream.write_all(answer).await.unwrap();
            // To the end of the connection, which is not the end of the body.
            let _ = stream.read_to_end(&mut got).await;
            String::from_utf8(got).unwrap()
        });
        let stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
        let (mut send, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let body = Halting(Some(Bytes::from_static(b"first")));
        let response = send.send_request(Request::post("https://wiki.test/").body(body).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let whole = http_body_util::BodyExt::collect(response.into_body()).await;
        if answer.is_empty() {
            assert_eq!((status, whole.unwrap().to_bytes()), (408, Bytes::from_static(b"BodyStalled")));
        } else {
            assert_eq!(status, 200);
            assert!(whole.is_err(), "the response is visibly broken off");
        }
        let got = tokio::time::timeout(Duration::from_secs(5), upstream).await.unwrap().unwrap();
        assert!(got.ends_with("\r\n5\r\nfirst\r\n"), "{got}");
    }
}
