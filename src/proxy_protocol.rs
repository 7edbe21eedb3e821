//! The PROXY protocol, versions 1 and 2: a load balancer names the client whose connection it passes on (haproxy,
//! doc/proxy-protocol.txt). I/O-free.
//!
//! The reader asks only for bytes that certainly belong to the header: the bytes after it are the client's, and may be TLS. A
//! claimed length allocates nothing. Checksums and other TLVs are skipped.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// No header is shorter, and no client's first message either, so a stream without a header is recognised at once.
const FIRST: usize = 8;
/// The longest line of version 1, its end included.
const LONGEST_LINE: usize = 107;
/// The longest header of version 2 that is accepted. Addresses are 216 bytes at most; the rest is for TLVs.
const LONGEST: usize = 4096;
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
const LINE: &[u8] = b"PROXY ";
const VERSION_2: u8 = 0x20;
const LOCAL: u8 = 0;
const PROXY: u8 = 1;
/// TCP over IPv4 and over IPv6.
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

/// Whose connection the header announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announced {
    /// The client of this address.
    Client(SocketAddr),
    /// The sender's own (a health check), or that of a client whose address the header does not give.
    Sender,
}

/// What the bytes so far amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The header is not complete: at least this many more bytes belong to it.
    More(usize),
    /// The header is complete.
    Done(Announced),
}

/// Why the bytes are not a valid header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// Reads a header from its first byte on, as far as it has arrived.
pub fn read(bytes: &[u8]) -> Result<Step, Malformed> {
    let begins = |what: &[u8]| bytes.iter().zip(what).all(|(a, b)| a == b);
    if !begins(&SIGNATURE) && !begins(LINE) {
        return Err(Malformed("the connection does not begin with a PROXY header"));
    }
    if bytes.len() < FIRST {
        return Ok(Step::More(FIRST - bytes.len()));
    }
    if bytes[0] == b'P' { line(bytes) } else { binary(bytes) }
}

fn line(bytes: &[u8]) -> Result<Step, Malformed> {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
        return if bytes.len() < LONGEST_LINE {
            Ok(Step::More(1))
        } else {
            Err(Malformed("the PROXY v1 header line does not end within 107 bytes"))
        };
    };
    let text = bytes[..end].strip_suffix(b"\r").ok_or(Malformed("the PROXY v1 header line must end with CR LF"))?;
    if end + 1 != bytes.len() || text.contains(&b'\r') {
        return Err(Malformed("the PROXY v1 header line has a CR or LF before its end"));
    }
    let text = std::str::from_utf8(text).map_err(|_| Malformed("the PROXY v1 header line is not ASCII text"))?;
    let mut words = text.split(' ').skip(1);
    let family = words.next().unwrap_or_default();
    if family == "UNKNOWN" {
        return Ok(Step::Done(Announced::Sender));
    }
    let all: Vec<&str> = words.collect();
    let [source, destination, source_port, destination_port] = all[..] else {
        return Err(Malformed("the PROXY v1 header line must have two addresses and two ports"));
    };
    let address = |text: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            "TCP6" => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let port = |text: &str| {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        text.parse::<u16>().ok().filter(|_| plain)
    };
    match (address(source), address(destination), port(source_port), port(destination_port)) {
        (Some(address), Some(_), Some(port), Some(_)) => Ok(Step::Done(Announced::Client(SocketAddr::new(address, port)))),
        _ => Err(Malformed("an address or a port in the PROXY v1 header line is invalid")),
    }
}

fn binary(bytes: &[u8]) -> Result<Step, Malformed> {
    let Some(&[version, family, high, low]) = bytes.get(12..16) else { return Ok(Step::More(16 - bytes.len())) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if version & 0xf0 != VERSION_2 {
        return Err(Malformed("the PROXY header has an unknown version"));
    }
    if 16 + length > LONGEST {
        return Err(Malformed("the PROXY v2 header is too long"));
    }
    if bytes.len() < 16 + length {
        return Ok(Step::More(16 + length - bytes.len()));
    }
    let body = &bytes[16..16 + length];
    match version & 0x0f {
        LOCAL => return Ok(Step::Done(Announced::Sender)),
        PROXY => {}
        _ => return Err(Malformed("the PROXY v2 header has an unknown command")),
    }
    if family >> 4 > 3 || family & 0x0f > 2 {
        return Err(Malformed("the PROXY v2 header has an unknown address family"));
    }
    let short = Malformed("the PROXY v2 header is too short for its addresses");
    let port = |at: usize| body.get(at..at + 2).map(|port| u16::from_be_bytes([port[0], port[1]])).ok_or(short);
    let client = match family {
        TCP4 => SocketAddr::new(IpAddr::from(*body.first_chunk::<4>().ok_or(short)?), port(8).and_then(|own| port(10).map(|_| own))?),
        TCP6 => SocketAddr::new(IpAddr::from(*body.first_chunk::<16>().ok_or(short)?), port(32).and_then(|own| port(34).map(|_| own))?),
        // A Unix socket, or an unspecified family.
        _ => return Ok(Step::Done(Announced::Sender)),
    };
    Ok(Step::Done(Announced::Client(client)))
}

/// Writes a header of version 2: a connection of `client` to `server`; without a client, or over a Unix socket, the sender's own.
pub fn header(client: Option<SocketAddr>, server: Option<SocketAddr>) -> Vec<u8> {
    let mut out = SIGNATURE.to_vec();
    let Some((client, server)) = client.zip(server) else {
        // The client can be named even where the server's address is unknown.
        let Some(client) = client else {
            out.extend_from_slice(&[VERSION_2 | LOCAL, 0, 0, 0]);
            return out;
        };
        let unspecified = match client.ip().to_canonical() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        return header(Some(client), Some(SocketAddr::new(unspecified, 0)));
    };
    out.push(VERSION_2 | PROXY);
    match (client.ip().to_canonical(), server.ip().to_canonical()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            out.extend_from_slice(&[TCP4, 0, 12]);
            out.extend_from_slice(&from.octets());
            out.extend_from_slice(&to.octets());
        }
        (from, to) => {
            let wide = |address: IpAddr| match address {
                IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
                IpAddr::V6(address) => address.octets(),
            };
            out.extend_from_slice(&[TCP6, 0, 36]);
            out.extend_from_slice(&wide(from));
            out.extend_from_slice(&wide(to));
        }
    }
    out.extend_from_slice(&client.port().to_be_bytes());
    out.extend_from_slice(&server.port().to_be_bytes());
    out
}

/// Reads `bytes` as they would come over a connection (for fuzzing).
pub fn fuzz_decode(bytes: &[u8]) {
    let _ = read(bytes);
    let mut have = 0;
    // A stream gives what was asked for, and no more.
    while let Ok(Step::More(n)) = read(&bytes[..have]) {
        assert!(n > 0 && have + n <= LONGEST, "a header that never ends");
        if have + n > bytes.len() {
            return;
        }
        have += n;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds exactly what is asked for; what was announced, and what was not read.
    fn feed(bytes: &[u8]) -> Result<(Announced, &[u8]), Malformed> {
        let mut have = 0;
        loop {
            match read(&bytes[..have])? {
                Step::More(n) => have += n,
                Step::Done(announced) => return Ok((announced, &bytes[have..])),
            }
            assert!(have <= bytes.len(), "more was asked for than a header has");
        }
    }

    fn client(text: &str) -> Announced {
        Announced::Client(text.parse().unwrap())
    }

    #[test]
    fn both_versions_name_the_client_and_leave_what_follows() {
        let long = format!("PROXY TCP6 {0} {0} 65535 65535\r\n", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
        for (header, want) in [
            (&b"PROXY TCP4 192.0.2.1 10.0.0.1 56324 3306\r\n"[..], client("192.0.2.1:56324")),
            (b"PROXY TCP6 2001:db8::1 ::1 1 0\r\n", client("[2001:db8::1]:1")),
            (long.as_bytes(), client("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535")),
            (b"PROXY UNKNOWN\r\n", Announced::Sender),
            (b"PROXY UNKNOWN some words that say nothing\r\n", Announced::Sender),
        ] {
            let stream = [header, b"\x16\x03\x01 what follows"].concat();
            assert_eq!(feed(&stream), Ok((want, &b"\x16\x03\x01 what follows"[..])), "{}", String::from_utf8_lossy(header));
        }
        for (from, to, want) in [
            (Some("192.0.2.1:5"), Some("10.0.0.1:3306"), client("192.0.2.1:5")),
            (Some("[2001:db8::1]:5"), Some("10.0.0.1:3306"), client("[2001:db8::1]:5")),
            (Some("192.0.2.1:5"), Some("[::1]:3306"), client("[::ffff:192.0.2.1]:5")),
            (Some("[::ffff:192.0.2.1]:5"), Some("10.0.0.1:1"), client("192.0.2.1:5")),
            (Some("192.0.2.1:5"), None, client("192.0.2.1:5")),
            (None, Some("10.0.0.1:3306"), Announced::Sender),
        ] {
            let address = |text: Option<&str>| text.map(|text| text.parse().unwrap());
            let stream = [header(address(from), address(to)).as_slice(), b"\0\0 what follows"].concat();
            assert_eq!(feed(&stream), Ok((want, &b"\0\0 what follows"[..])));
        }
    }

    #[test]
    fn local_unknown_families_and_tlvs_are_taken_for_what_they_are() {
        let v2 = |version: u8, family: u8, body: &[u8]| {
            let mut out = SIGNATURE.to_vec();
            out.extend_from_slice(&[version, family]);
            out.extend_from_slice(&(body.len() as u16).to_be_bytes());
            out.extend_from_slice(body);
            out
        };
        let v4 = [192, 0, 2, 1, 10, 0, 0, 1, 0, 5, 12, 234];
        let tlv = [&v4[..], &[0x04, 0, 3, 1, 2, 3], &[0xee; 500]].concat();
        assert_eq!(feed(&v2(0x21, 0x11, &tlv)).unwrap().0, client("192.0.2.1:5"));
        for header in [v2(0x20, 0x11, &v4), v2(0x20, 0x00, &[]), v2(0x21, 0x00, &[]), v2(0x21, 0x31, &[0; 216]), v2(0x21, 0x12, &v4)] {
            assert_eq!(feed(&header).unwrap().0, Announced::Sender);
        }
        for (header, why) in [
            (v2(0x21, 0x11, &v4[..11]), "too short"),
            (v2(0x21, 0x21, &[0; 35]), "too short"),
            (v2(0x11, 0x11, &v4), "version"),
            (v2(0x22, 0x11, &v4), "command"),
            (v2(0x21, 0x41, &v4), "family"),
            (v2(0x21, 0x13, &v4), "family"),
            (v2(0x21, 0x11, &[0; 5000]), "too long"),
        ] {
            let error = feed(&header).unwrap_err();
            assert!(error.0.contains(why), "{error}: {header:?}");
        }
    }

    #[test]
    fn what_is_no_header_is_told_by_its_first_bytes() {
        let first = |bytes: &[u8]| read(&bytes[..FIRST.min(bytes.len())]).unwrap_err();
        // A request for TLS of a PostgreSQL client, the answer of a MySQL client, and words.
        for bytes in
            [&[0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f][..], b"\x55\0\0\x01\x8d\xa6\xff\x09", b"GET / HT", b"proxy tc", b"PROXY\tTC", b"\r\n\r\nx"]
        {
            assert!(first(bytes).0.contains("does not begin"));
        }
        for line in [
            "PROXY TCP4 192.0.2.1 10.0.0.1 1\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 1 2 3\r\n",
            "PROXY TCP4 192.0.2.1  10.0.0.1 1 2\r\n",
            "PROXY TCP4 192.0.2.256 10.0.0.1 1 2\r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP6 192.0.2.1 10.0.0.1 1 2\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 65536 2\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 +1 2\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 01 2\r\n",
            "PROXY UDP4 192.0.2.1 10.0.0.1 1 2\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 1 2\n",
            "PROXY \r TCP4\r\n",
        ] {
            assert!(feed(line.as_bytes()).is_err(), "{line}");
        }
        assert!(feed([LINE, &[b'x'; 200]].concat().as_slice()).unwrap_err().0.contains("does not end"));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_end_in_an_answer_of_bounded_length(start in 0usize..3, rest: Vec<u8>) {
            let start = [&b""[..], b"PROXY TCP4 ", b"\r\n\r\n\0\r\nQUIT\n\x21"][start];
            fuzz_decode(&[start, &rest].concat());
        }
    }
}
