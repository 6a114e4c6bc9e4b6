//! `--gpus`: a request for devices that a driver knows.

use std::collections::HashMap;

use bollard_stubs::models::DeviceRequest;

use super::error::{RequestError, flag};
use super::fields::fields;
use super::pairs;

/// As many as there are.
const ALL: i64 = -1;

/// Reads the value: `all`, a number, or fields such as `count=2` and `"device=0,1"`.
///
/// # Errors
/// Names the value and what is wrong with it.
pub(super) fn parse(spec: &str) -> Result<DeviceRequest, RequestError> {
    read(spec).map_err(|reason| flag("--gpus", spec, reason))
}

fn read(spec: &str) -> Result<DeviceRequest, String> {
    let mut request = DeviceRequest { options: Some(HashMap::new()), ..DeviceRequest::default() };
    let mut seen = Vec::new();
    for field in fields(spec)? {
        let (key, value) = field.split_once('=').unwrap_or(("count", &field));
        if seen.contains(&key.to_owned()) {
            return Err(format!("gpu request key '{key}' can be specified only once"));
        }
        seen.push(key.to_owned());
        let list = || value.split(',').map(str::to_owned).collect::<Vec<_>>();
        match key {
            "count" => request.count = Some(count(value)?),
            "driver" => request.driver = Some(value.to_owned()),
            "device" => request.device_ids = Some(list()),
            "capabilities" => request.capabilities = Some(vec![[list(), vec!["gpu".to_owned()]].concat()]),
            "options" => request.options = Some(pairs::map(&fields(value)?)),
            _ => return Err(format!("unexpected key '{key}' in '{field}'")),
        }
    }
    if request.count.is_none() && request.device_ids.is_none() {
        request.count = Some(1);
    }
    request.capabilities.get_or_insert_with(|| vec![vec!["gpu".to_owned()]]);
    Ok(request)
}

fn count(text: &str) -> Result<i64, String> {
    match text {
        "all" => Ok(ALL),
        number => {
            number.parse().map_err(|_| format!("invalid count ({number}): value must be either \"all\" or an integer"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_request_is_refused() {
        for (spec, reason) in [
            ("some", "invalid count (some): value must be either \"all\" or an integer"),
            ("count=1,count=2", "gpu request key 'count' can be specified only once"),
            ("colour=red", "unexpected key 'colour' in 'colour=red'"),
        ] {
            assert_eq!(read(spec).unwrap_err(), reason);
        }
    }
}
