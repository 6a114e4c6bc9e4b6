//! Names inside a container: `--add-host`, `--link`, `--dns`, `--dns-search`, `--sysctl`.

use std::collections::HashMap;
use std::net::IpAddr;

use super::error::{RequestError, flag};

/// Reads one value of `--add-host`: `NAME:ADDRESS` or `NAME=ADDRESS`, as the API writes it.
///
/// # Errors
/// Names the value and what is wrong with it.
pub(crate) fn extra_host(spec: &str) -> Result<String, RequestError> {
    let wrong = |reason: String| flag("--add-host", spec, reason);
    // An IPv6 address has colons, so `=` divides where there is one.
    let pair = spec.split_once('=').or_else(|| spec.split_once(':'));
    let (name, address) = pair
        .filter(|(name, address)| !name.is_empty() && !address.is_empty())
        .ok_or_else(|| wrong(format!("bad format for add-host: \"{spec}\"")))?;
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    if address != "host-gateway" && bare.parse::<IpAddr>().is_err() {
        return Err(wrong(format!("invalid IP address in add-host: \"{address}\"")));
    }
    Ok(format!("{name}:{bare}"))
}

/// Reads one value of `--link`: `CONTAINER[:NAME]`.
///
/// # Errors
/// Names the value that isn't one or two words.
pub(crate) fn link(text: &str) -> Result<String, RequestError> {
    let (container, name) = text.split_once(':').unwrap_or((text, text));
    if container.is_empty() || name.is_empty() || name.contains(':') {
        return Err(flag("--link", text, format_args!("bad format for links: {text}")));
    }
    Ok(text.to_owned())
}

/// Reads one value of `--dns`.
///
/// # Errors
/// Names the value that isn't an address.
pub(crate) fn dns_server(text: &str) -> Result<String, RequestError> {
    let wrong = || flag("--dns", text, format_args!("IP address is not correctly formatted: {text}"));
    text.trim().parse::<IpAddr>().map(|address| address.to_string()).map_err(|_| wrong())
}

/// Reads one value of `--dns-search`; a single dot stands for no domain.
///
/// # Errors
/// Names the value that isn't a domain.
pub(crate) fn search_domain(text: &str) -> Result<String, RequestError> {
    let domain = text.trim();
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let right = domain == "." || domain.strip_suffix('.').unwrap_or(domain).split('.').all(label);
    if !right || domain.len() > 255 {
        return Err(flag("--dns-search", text, format_args!("{text} is not a valid domain")));
    }
    Ok(domain.to_owned())
}

/// Reads the values of `--sysctl`: parameters of the namespaces that a container has of its own.
///
/// # Errors
/// Names the value that is no such parameter.
pub(crate) fn sysctls(specs: &[String]) -> Result<HashMap<String, String>, RequestError> {
    specs.iter().map(|spec| sysctl(spec)).collect()
}

fn sysctl(spec: &str) -> Result<(String, String), RequestError> {
    const IPC: [&str; 9] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
        "fs.mqueue.",
    ];
    let allowed = |name: &str| {
        name.starts_with("net.")
            || IPC.iter().any(|known| name == *known || (known.ends_with('.') && name.starts_with(known)))
    };
    match spec.split_once('=') {
        Some((name, value)) if allowed(name) => Ok((name.to_owned(), value.to_owned())),
        _ => Err(flag("--sysctl", spec, format_args!("sysctl '{spec}' is not allowed"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for (spec, expected) in [
            ("x:1.2.3.4", Ok("x:1.2.3.4")),
            ("x=1.2.3.4", Ok("x:1.2.3.4")),
            ("x:::1", Ok("x:::1")),
            ("x=[::1]", Ok("x:::1")),
            ("x:host-gateway", Ok("x:host-gateway")),
            ("x", Err("bad format for add-host: \"x\"")),
            ("", Err("bad format for add-host: \"\"")),
            (":1.2.3.4", Err("bad format for add-host: \":1.2.3.4\"")),
            ("x:y", Err("invalid IP address in add-host: \"y\"")),
        ] {
            let expected = expected
                .map(str::to_owned)
                .map_err(|reason| format!("invalid argument \"{spec}\" for \"--add-host\" flag: {reason}"));
            assert_eq!(extra_host(spec).map_err(|error| error.to_string()), expected, "{spec}");
        }
    }

    #[test]
    fn name_servers_and_domains() {
        assert_eq!(dns_server("9.9.9.9").unwrap(), "9.9.9.9");
        assert_eq!(
            dns_server("x").unwrap_err().to_string(),
            "invalid argument \"x\" for \"--dns\" flag: IP address is not correctly formatted: x"
        );
        for right in [".", "example.com", "a.b.", "_tcp.x"] {
            assert!(search_domain(right).is_ok(), "{right}");
        }
        for wrong in ["a b", "", "a..b"] {
            assert!(search_domain(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_parameters_of_namespaces() {
        assert!(
            sysctls(&[
                "net.ipv4.ip_forward=1".to_owned(),
                "kernel.shmmax=1".to_owned(),
                "fs.mqueue.msg_max=9".to_owned()
            ])
            .is_ok()
        );
        for wrong in ["x", "", "=x", "kernel.hostname=x", "vm.swappiness=1", "net.ipv4.ip_forward"] {
            let error = sysctls(&[wrong.to_owned()]).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("invalid argument \"{wrong}\" for \"--sysctl\" flag: sysctl '{wrong}' is not allowed")
            );
        }
    }
}
