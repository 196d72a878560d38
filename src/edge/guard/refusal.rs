//! Why the guard ends a connection: one closed list, used alike by answers, metrics and tests.

use std::fmt;

use http::StatusCode;

use crate::telemetry::metrics::Count;

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident $word:literal $status:ident;)*) => {
        /// Why bytes from a client were refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Refusal {
            $($(#[$doc])* $name,)*
        }

        impl Refusal {
            /// Every refusal, for closed lists such as metrics.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The word in metrics, logs and the answer's body.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// The status the client is answered with.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }
        }
    };
}

refusals! {
    /// A line end that is not CRLF (RFC 9112 section 2.2 allows more; upstreams disagree about it).
    LineEnd "line_end" BAD_REQUEST;
    /// The request line is not `METHOD SP target SP HTTP/1.x` (RFC 9112 section 3).
    RequestLine "request_line" BAD_REQUEST;
    /// The method is no token or too long.
    Method "method" BAD_REQUEST;
    /// CONNECT on a listener that does not tunnel.
    Connect "connect" METHOD_NOT_ALLOWED;
    /// The target's form or bytes are not allowed here.
    Target "target" BAD_REQUEST;
    /// The request line is longer than a whole head may be.
    TargetTooLong "target_too_long" URI_TOO_LONG;
    /// HTTP/0.9, HTTP/1.2 and the like.
    Version "version" BAD_REQUEST;
    /// A well-formed version with another major number.
    MajorVersion "major_version" HTTP_VERSION_NOT_SUPPORTED;
    /// A header line without colon, with an empty or ill-formed name, or folded (RFC 9112 section 5).
    HeaderName "header_name" BAD_REQUEST;
    /// NUL, CR or another control character in a header value (RFC 9110 section 5.5).
    HeaderValue "header_value" BAD_REQUEST;
    /// A header that may stand once stands twice.
    RepeatedHeader "repeated_header" BAD_REQUEST;
    /// `Content_Length` and other spellings that some upstreams take for framing headers.
    FramingAlias "framing_alias" BAD_REQUEST;
    /// The head is longer than allowed.
    HeadTooLong "head_too_long" REQUEST_HEADER_FIELDS_TOO_LARGE;
    /// The head has more lines than allowed.
    TooManyHeaders "too_many_headers" REQUEST_HEADER_FIELDS_TOO_LARGE;
    /// Not exactly one `Host` (RFC 9112 section 3.2).
    Host "host" BAD_REQUEST;
    /// `Content-Length` is not a plain number (RFC 9112 section 6.2).
    ContentLength "content_length" BAD_REQUEST;
    /// `Transfer-Encoding` is not exactly `chunked` (RFC 9112 section 6.1).
    TransferEncoding "transfer_encoding" BAD_REQUEST;
    /// `Transfer-Encoding` names a coding that exists and is not served here.
    TransferCoding "transfer_coding" NOT_IMPLEMENTED;
    /// Both lengths at once, or a transfer coding in HTTP/1.0.
    Framing "framing" BAD_REQUEST;
    /// An HTTP/1.0 request with a body whose length is not told.
    LengthRequired "length_required" LENGTH_REQUIRED;
    /// `Expect` with anything but `100-continue`.
    Expectation "expectation" EXPECTATION_FAILED;
    /// The chunked coding of the body is broken (RFC 9112 section 7.1).
    Chunk "chunk" BAD_REQUEST;
    /// The body spends too many bytes on chunk headers.
    ChunkOverhead "chunk_overhead" BAD_REQUEST;
    /// The trailers are ill-formed, too long or too many.
    Trailer "trailer" BAD_REQUEST;
    /// Bytes of the other protocol came before it was accepted.
    EarlyBytes "early_bytes" BAD_REQUEST;
    /// The head did not come in time.
    HeadTimeout "head_timeout" REQUEST_TIMEOUT;
    /// The HTTP library saw another request than the guard did.
    Disagreement "disagreement" BAD_REQUEST;
    /// Too many HTTP/2 frames that carry no request.
    ControlFrames "control_frames" TOO_MANY_REQUESTS;
    /// HTTP/2 frames that no client may send.
    Frame "frame" BAD_REQUEST;
}

impl Refusal {
    /// A number from 1, so that 0 can mean none.
    pub(in crate::edge) const fn code(self) -> u8 {
        self as u8 + 1
    }

    pub(in crate::edge) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code.checked_sub(1)?)).copied()
    }
}

/// How often one worker refused, by reason. Only that worker's thread adds.
pub struct RefusalCounts([Count; Refusal::ALL.len()]);

impl RefusalCounts {
    pub(in crate::edge) fn up(&self, refusal: Refusal) {
        if let Some(count) = self.0.get(refusal as usize) {
            count.up();
        }
    }

    /// How often `refusal` happened.
    #[must_use]
    pub fn of(&self, refusal: Refusal) -> u64 {
        self.0.get(refusal as usize).map_or(0, Count::value)
    }
}

impl Default for RefusalCounts {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Count::default()))
    }
}

impl fmt::Debug for RefusalCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(Refusal::ALL.iter().map(|&refusal| (refusal.word(), self.of(refusal)))).finish()
    }
}
