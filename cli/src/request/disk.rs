//! `--blkio-weight-device` and `--device-read-bps` and its like: how much of a disk a container gets.

use bollard_stubs::models::{HostConfig, ResourcesBlkioWeightDevice, ThrottleDevice};

use crate::flags::BlkioFlags;

use super::attachment::some;
use super::error::{RequestError, flag};
use super::quantity;

/// Puts the flags into the request.
///
/// # Errors
/// Names the flag, the value and what is wrong with it.
pub(super) fn set(config: &mut HostConfig, flags: &BlkioFlags) -> Result<(), RequestError> {
    let weights = flags.blkio_weight_device.iter().map(|spec| weight(spec));
    config.blkio_weight = flags.blkio_weight;
    config.blkio_weight_device = some(weights.collect::<Result<_, _>>()?);
    config.blkio_device_read_bps = some(rates("--device-read-bps", &flags.device_read_bps, bytes)?);
    config.blkio_device_write_bps = some(rates("--device-write-bps", &flags.device_write_bps, bytes)?);
    config.blkio_device_read_iops = some(rates("--device-read-iops", &flags.device_read_iops, operations)?);
    config.blkio_device_write_iops = some(rates("--device-write-iops", &flags.device_write_iops, operations)?);
    Ok(())
}

fn weight(spec: &str) -> Result<ResourcesBlkioWeightDevice, RequestError> {
    let read = || {
        let (device, weight) = device_and_value(spec)?;
        // 0 is no weight of its own.
        let weight = weight.parse::<u16>().ok().filter(|weight| matches!(weight, 0 | 10..=1000));
        let weight = weight.ok_or_else(|| format!("invalid weight for device: {spec}: give 10 to 1000"))?;
        Ok(ResourcesBlkioWeightDevice { path: Some(device.to_owned()), weight: Some(weight.into()) })
    };
    read().map_err(|reason: String| flag("--blkio-weight-device", spec, reason))
}

fn rates(
    name: &'static str,
    specs: &[String],
    amount: impl Fn(&str) -> Result<i64, &'static str>,
) -> Result<Vec<ThrottleDevice>, RequestError> {
    let rate = |spec: &String| {
        let (device, rate) = device_and_value(spec)?;
        let rate = amount(rate).map_err(|advice| format!("invalid rate for device: {spec}: {advice}"))?;
        Ok(ThrottleDevice { path: Some(device.to_owned()), rate: Some(rate) })
    };
    specs.iter().map(|spec| rate(spec).map_err(|reason: String| flag(name, spec, reason))).collect()
}

fn bytes(text: &str) -> Result<i64, &'static str> {
    quantity::bytes(text).map_err(|_| "give bytes a second, as in 10mb")
}

fn operations(text: &str) -> Result<i64, &'static str> {
    let number = text.parse().ok().filter(|number| *number >= 0);
    number.ok_or("give operations a second, a whole number")
}

/// `/dev/sda:200`.
fn device_and_value(spec: &str) -> Result<(&str, &str), String> {
    let (device, value) = spec.split_once(':').ok_or_else(|| format!("bad format: {spec}: give DEVICE:VALUE"))?;
    if !device.starts_with("/dev/") {
        return Err(format!("bad format for device path: {spec}: it is one below /dev"));
    }
    Ok((device, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_rate_of_a_device_is_refused() {
        type Change = fn(&mut BlkioFlags) -> &mut Vec<String>;
        let cases: [(Change, &str, &str); 6] = [
            (|flags| &mut flags.device_read_bps, "x", "bad format: x: give DEVICE:VALUE"),
            (|flags| &mut flags.device_read_bps, "/x:1mb", "bad format for device path: /x:1mb: it is one below /dev"),
            (
                |flags| &mut flags.device_write_bps,
                "/dev/a:1z",
                "invalid rate for device: /dev/a:1z: give bytes a second, as in 10mb",
            ),
            (
                |flags| &mut flags.device_read_iops,
                "/dev/a:1mb",
                "invalid rate for device: /dev/a:1mb: give operations a second, a whole number",
            ),
            (
                |flags| &mut flags.device_write_iops,
                "/dev/a:-1",
                "invalid rate for device: /dev/a:-1: give operations a second, a whole number",
            ),
            (
                |flags| &mut flags.blkio_weight_device,
                "/dev/a:5",
                "invalid weight for device: /dev/a:5: give 10 to 1000",
            ),
        ];
        for (field, spec, reason) in cases {
            let mut flags = BlkioFlags::default();
            field(&mut flags).push(spec.to_owned());
            let refusal = set(&mut HostConfig::default(), &flags).unwrap_err();
            let RequestError::Flag { value, reason: said, .. } = refusal else { panic!("{refusal}") };
            assert_eq!((value.as_str(), said.as_str()), (spec, reason));
        }
    }
}
