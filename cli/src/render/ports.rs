//! Published ports in a line, as `ps` shows them: `0.0.0.0:8000-8002->80-82/tcp, 9000/tcp`.

use crate::engine::reply::PortSummary;

/// Ports that follow one another, inside and outside.
struct Run {
    first: PortSummary,
    last: PortSummary,
}

/// All ports in a line, runs of them joined.
pub(crate) fn line(ports: &[PortSummary]) -> String {
    let mut sorted = ports.to_vec();
    sorted.sort_by_key(|port| {
        (port.protocol.clone(), address_order(&port.ip), port.ip.clone(), port.private_port, port.public_port)
    });
    sorted.dedup();
    let mut runs: Vec<Run> = Vec::new();
    for port in sorted {
        match runs.last_mut() {
            Some(run) if follows(&run.last, &port) => run.last = port,
            _ => runs.push(Run { first: port.clone(), last: port }),
        }
    }
    runs.sort_by_key(|run| (run.first.private_port, run.first.protocol.clone(), address_order(&run.first.ip)));
    runs.iter().map(Run::text).collect::<Vec<_>>().join(", ")
}

/// IPv4 before IPv6, as people expect it.
fn address_order(address: &str) -> bool {
    address.contains(':')
}

fn follows(last: &PortSummary, next: &PortSummary) -> bool {
    let outside = if last.public_port == 0 {
        next.public_port == 0
    } else {
        last.public_port.checked_add(1) == Some(next.public_port)
    };
    last.ip == next.ip
        && last.protocol == next.protocol
        && last.private_port.checked_add(1) == Some(next.private_port)
        && outside
}

impl Run {
    fn text(&self) -> String {
        let range = |first: u16, last: u16| if first == last { first.to_string() } else { format!("{first}-{last}") };
        let inside = range(self.first.private_port, self.last.private_port);
        let protocol = &self.first.protocol;
        if self.first.public_port == 0 {
            return format!("{inside}/{protocol}");
        }
        let address = &self.first.ip;
        let address = if address.contains(':') { format!("[{address}]") } else { address.clone() };
        let outside = range(self.first.public_port, self.last.public_port);
        format!("{address}:{outside}->{inside}/{protocol}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(ip: &str, public: u16, private: u16, protocol: &str) -> PortSummary {
        PortSummary { ip: ip.to_owned(), public_port: public, private_port: private, protocol: protocol.to_owned() }
    }

    #[test]
    fn runs_are_joined() {
        for (ports, expected) in [
            (vec![], ""),
            (vec![port("", 0, 80, "tcp")], "80/tcp"),
            (
                vec![port("::", 4000, 80, "tcp"), port("0.0.0.0", 4000, 80, "tcp")],
                "0.0.0.0:4000->80/tcp, [::]:4000->80/tcp",
            ),
            (
                vec![
                    port("0.0.0.0", 8001, 81, "tcp"),
                    port("0.0.0.0", 8000, 80, "tcp"),
                    port("0.0.0.0", 8002, 82, "tcp"),
                ],
                "0.0.0.0:8000-8002->80-82/tcp",
            ),
            (
                vec![port("", 0, 53, "udp"), port("127.0.0.1", 53, 53, "tcp"), port("", 0, 54, "udp")],
                "127.0.0.1:53->53/tcp, 53-54/udp",
            ),
            (
                vec![port("0.0.0.0", 1, 80, "tcp"), port("0.0.0.0", 9, 81, "tcp")],
                "0.0.0.0:1->80/tcp, 0.0.0.0:9->81/tcp",
            ),
        ] {
            assert_eq!(line(&ports), expected);
        }
    }
}
