//! Listeners, certificates and limits.

use std::time::Duration;

use crate::config::file::{Certificate, File, TlsWord};
use crate::edge::{CertificateFiles, Config, Limits, MinTls, TlsConfig};

use super::{Build, days, minutes};

impl Build<'_> {
    pub(super) fn edge(&mut self, file: &File) -> Config {
        let listen = &file.listen;
        if listen.https.is_empty() {
            self.add("listen.https", listen.https.span(), "expected at least one address with a port");
        }
        let https = listen.https.iter().map(|text| self.address("listen.https", text)).collect();
        let redirect = listen.redirect.iter().map(|text| self.address("listen.redirect", text)).collect();
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Config {
            https,
            redirect,
            public_port: listen.public_port.as_ref().map(|port| **port),
            workers: listen.workers.as_ref().map_or(cores, |workers| **workers),
            proxy_protocol_from: self.networks("listen.proxy_protocol_from", &listen.proxy_protocol_from),
            tls: self.tls(file),
            limits: self.limits(file),
            drain: self.span("listen.drain", &listen.drain, Duration::ZERO, minutes(60)),
        }
    }

    fn tls(&mut self, file: &File) -> TlsConfig {
        let tls = &file.tls;
        if tls.certificate.is_empty() {
            self.add("tls.certificate", tls.certificate.span(), "expected at least one certificate");
        }
        let certificates = tls.certificate.iter().map(|pair| self.certificate("tls.certificate", pair)).collect();
        let min_version = match *tls.min_version.value() {
            TlsWord::Tls12 => MinTls::Tls12,
            TlsWord::Tls13 => MinTls::Tls13,
        };
        let ticket_rotation = self.span("tls.ticket_rotation", &tls.ticket_rotation, minutes(1), days(3));
        TlsConfig { certificates, min_version, ticket_rotation }
    }

    /// A certificate and its key; whether they belong together is found out where they are used.
    pub(super) fn certificate(&mut self, key: &str, pair: &Certificate) -> CertificateFiles {
        let certificate = self.file(&format!("{key}.certificate"), &pair.certificate);
        CertificateFiles { certificate, key: self.file(&format!("{key}.key"), &pair.key) }
    }

    fn limits(&mut self, file: &File) -> Limits {
        let limits = &file.limits;
        let second = Duration::from_secs(1);
        let header_bytes = self.size("limits.header_bytes", &limits.header_bytes, 4096, 1 << 20);
        Limits {
            handshake: self.span("limits.handshake", &limits.handshake, second, minutes(2)),
            head: self.span("limits.head", &limits.head, second, minutes(2)),
            body_idle: self.span("limits.body_idle", &limits.body_idle, second, minutes(60)),
            write_idle: self.span("limits.write_idle", &limits.write_idle, second, minutes(60)),
            keepalive_idle: self.span("limits.keepalive_idle", &limits.keepalive_idle, second, minutes(60)),
            tunnel_idle: self.span("limits.tunnel_idle", &limits.tunnel_idle, second, days(1)),
            connections: *limits.connections.value(),
            connections_per_address: *limits.connections_per_address.value(),
            streams: *limits.streams.value(),
            header_bytes: u32::try_from(header_bytes).unwrap_or(u32::MAX),
            header_count: *limits.header_count.value(),
            control_frames: *limits.control_frames.value(),
        }
    }
}
