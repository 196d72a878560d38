//! The PROXY protocol, by which a load balancer says for whom it connects
//! (haproxy's "The PROXY protocol, versions 1 & 2").

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// Why a PROXY header was refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProxyError {
    #[error("the connection broke off inside the PROXY header")]
    Io(#[from] std::io::Error),
    #[error("the connection does not begin with a PROXY header")]
    Missing,
    #[error("the PROXY version 1 line is malformed")]
    Line,
    #[error("the PROXY version 2 header is malformed")]
    Binary,
}

/// Reads one header and not a byte more. `None` when the load balancer speaks for itself (a health check) or for a
/// client it does not name.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<SocketAddr>, ProxyError> {
    let mut start = [0; SIGNATURE.len()];
    stream.read_exact(&mut start).await?;
    if start == *SIGNATURE {
        read_binary(stream).await
    } else if start.starts_with(b"PROXY ") {
        read_line(stream, &start).await
    } else {
        Err(ProxyError::Missing)
    }
}

/// Version 2: 16 bytes of fixed header, then as many as it says.
async fn read_binary(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<SocketAddr>, ProxyError> {
    let mut fixed = [0; 4];
    stream.read_exact(&mut fixed).await?;
    let [version_command, family, high, low] = fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > BINARY_MAX {
        return Err(ProxyError::Binary);
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await?;
    parse_binary(version_command, family, &rest)
}

fn parse_binary(version_command: u8, family: u8, rest: &[u8]) -> Result<Option<SocketAddr>, ProxyError> {
    let local = match version_command {
        0x20 => true,
        0x21 => false,
        _ => return Err(ProxyError::Binary),
    };
    if local {
        // The addresses of a LOCAL connection are to be ignored, whatever they say.
        return Ok(None);
    }
    let (peer, extensions) = match family {
        0x11 => {
            let (block, extensions) = rest.split_first_chunk::<12>().ok_or(ProxyError::Binary)?;
            let [a, b, c, d, _, _, _, _, high, low, ..] = *block;
            let address = IpAddr::V4(Ipv4Addr::new(a, b, c, d));
            (Some(SocketAddr::new(address, u16::from_be_bytes([high, low]))), extensions)
        }
        0x21 => {
            let (block, extensions) = rest.split_first_chunk::<36>().ok_or(ProxyError::Binary)?;
            let (source, ports) = block.split_first_chunk::<16>().ok_or(ProxyError::Binary)?;
            let port = ports.get(16..18).and_then(|port| port.try_into().ok()).ok_or(ProxyError::Binary)?;
            let address = IpAddr::V6(Ipv6Addr::from(*source)).to_canonical();
            (Some(SocketAddr::new(address, u16::from_be_bytes(port))), extensions)
        }
        // UNSPEC: the client is not told and the rest means nothing.
        0x00 => return Ok(None),
        // Datagrams and UNIX sockets do not come over this listener.
        _ => return Err(ProxyError::Binary),
    };
    check_extensions(extensions)?;
    Ok(peer)
}

/// Each is a type, a length of two bytes, and that many bytes; together they fill the header exactly.
fn check_extensions(mut rest: &[u8]) -> Result<(), ProxyError> {
    while let Some(([_kind, high, low], value)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        rest = value.get(length..).ok_or(ProxyError::Binary)?;
    }
    if rest.is_empty() { Ok(()) } else { Err(ProxyError::Binary) }
}

/// Version 1: a line of at most 107 bytes. Read byte by byte, because what follows belongs to TLS.
async fn read_line(stream: &mut (impl AsyncRead + Unpin), start: &[u8]) -> Result<Option<SocketAddr>, ProxyError> {
    let mut line = start.to_vec();
    while !line.ends_with(b"\n") {
        if line.len() >= LINE_MAX {
            return Err(ProxyError::Line);
        }
        line.push(stream.read_u8().await?);
    }
    parse_line(&line)
}

fn parse_line(line: &[u8]) -> Result<Option<SocketAddr>, ProxyError> {
    let line = line.strip_prefix(b"PROXY ").and_then(|line| line.strip_suffix(b"\r\n")).ok_or(ProxyError::Line)?;
    let line = std::str::from_utf8(line).map_err(|_| ProxyError::Line)?;
    if line.contains(['\r', '\n', '\0']) {
        return Err(ProxyError::Line);
    }
    if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        return Ok(None);
    }
    let fields: Vec<&str> = line.split(' ').collect();
    let &[family, source, destination, source_port, destination_port] = fields.as_slice() else {
        return Err(ProxyError::Line);
    };
    let address = |text: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            "TCP6" => text.parse::<Ipv6Addr>().ok().map(|v6| IpAddr::V6(v6).to_canonical()),
            _ => None,
        }
    };
    let (source, _) = address(source).zip(address(destination)).ok_or(ProxyError::Line)?;
    let (port, _) = port(source_port).zip(port(destination_port)).ok_or(ProxyError::Line)?;
    Ok(Some(SocketAddr::new(source, port)))
}

/// Digits without leading zeros, as the specification asks.
fn port(text: &str) -> Option<u16> {
    let plain = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    plain.then(|| text.parse().ok()).flatten()
}

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The longest version 1 line, CRLF included.
const LINE_MAX: usize = 107;

/// Addresses and extensions together; balancers send some hundred bytes.
const BINARY_MAX: usize = 4096;

#[cfg(test)]
mod tests;
