//! What callers and the service behind a proxy speak while it is measured.

/// One protocol on both sides: what each of the benchmarks `proxy`, `proxy-h2` and `proxy-grpc` is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    /// By prior knowledge, without TLS.
    Http2,
    /// Unary calls of a few bytes over such HTTP/2.
    Grpc,
}

impl Protocol {
    pub(super) const ALL: &'static [Self] = &[Self::Http1, Self::Http2, Self::Grpc];

    /// The benchmark's name.
    pub(super) const fn bench(self) -> &'static str {
        match self {
            Self::Http1 => "proxy",
            Self::Http2 => "proxy-h2",
            Self::Grpc => "proxy-grpc",
        }
    }

    /// What stands for HTTP/1.1, or what stands for HTTP/2 and for gRPC, which is nothing else to a configuration.
    pub(super) const fn either<T: Copy>(self, http1: T, http2: T) -> T {
        match self {
            Self::Http1 => http1,
            Self::Http2 | Self::Grpc => http2,
        }
    }
}
