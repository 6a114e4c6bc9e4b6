//! `HEALTHCHECK` and `--health-*`.

use std::time::Duration;

use images::Healthcheck;

use crate::container::health::HealthSpec;
use crate::error::{Error, Result};
use crate::wire::models::HealthConfig;

/// What isn't said, as Docker has it.
const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
const START_INTERVAL: Duration = Duration::from_secs(5);
const RETRIES: u32 = 3;

/// The request's check with the image's filled in where the request says nothing.
pub(crate) fn merge(asked: Option<HealthConfig>, image: Option<&Healthcheck>) -> Option<HealthConfig> {
    let Some(image) = image else { return asked };
    let asked = asked.unwrap_or_default();
    let number = |asked: Option<i64>, image: i64| asked.into_iter().chain([image]).find(|&number| number != 0);
    Some(HealthConfig {
        test: asked.test.filter(|test| !test.is_empty()).or_else(|| Some(image.test.clone())),
        interval: number(asked.interval, image.interval_nanoseconds),
        timeout: number(asked.timeout, image.timeout_nanoseconds),
        retries: number(asked.retries, image.retries),
        start_period: number(asked.start_period, image.start_period_nanoseconds),
        start_interval: number(asked.start_interval, image.start_interval_nanoseconds),
    })
}

/// The check that a container has; `shell` runs commands that are a text.
pub(crate) fn spec(config: Option<&HealthConfig>, shell: Option<&[String]>) -> Result<Option<HealthSpec>> {
    let Some(config) = config else { return Ok(None) };
    let time = |name: &str, value: Option<i64>, default: Duration| match value.unwrap_or_default() {
        0 => Ok(default),
        value => u64::try_from(value)
            .ok()
            .map(Duration::from_nanos)
            .filter(|time| *time >= Duration::from_millis(1))
            .ok_or_else(|| Error::invalid(format!("{name} in Healthcheck cannot be less than 1ms"))),
    };
    let interval = time("Interval", config.interval, INTERVAL)?;
    let timeout = time("Timeout", config.timeout, TIMEOUT)?;
    let start_period = time("StartPeriod", config.start_period, Duration::ZERO)?;
    let start_interval = time("StartInterval", config.start_interval, START_INTERVAL)?;
    let retries = match config.retries.unwrap_or_default() {
        0 => RETRIES,
        retries => u32::try_from(retries).map_err(|_| match retries {
            ..0 => Error::invalid("Retries in Healthcheck cannot be negative"),
            _ => Error::invalid(format!("Retries in Healthcheck ({retries}) is too large")),
        })?,
    };
    let test = config.test.as_deref().unwrap_or_default();
    let command = match test {
        [] => return Ok(None),
        [kind, ..] if kind == "NONE" => return Ok(None),
        [kind, command @ ..] if kind == "CMD" && !command.is_empty() => command.to_vec(),
        [kind, command @ ..] if kind == "CMD-SHELL" && !command.is_empty() => {
            let usual = ["/bin/sh".to_owned(), "-c".to_owned()];
            [shell.filter(|shell| !shell.is_empty()).unwrap_or(&usual), command].concat()
        }
        [kind] if kind == "CMD" || kind == "CMD-SHELL" => {
            return Err(Error::invalid(format!("the health check names no command after {kind}")));
        }
        [kind, ..] => {
            return Err(Error::invalid(format!(
                "unknown health check type {kind:?}: CMD, CMD-SHELL and NONE are known"
            )));
        }
    };
    Ok(Some(HealthSpec { command, interval, timeout, retries, start_period, start_interval }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn config(value: Value) -> HealthConfig {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_the_request_leaves_open_is_the_images() {
        let image: Healthcheck =
            serde_json::from_value(json!({ "Test": ["CMD", "true"], "Interval": 5_000_000, "Retries": 7 })).unwrap();
        let merged = merge(Some(config(json!({ "Interval": 9_000_000 }))), Some(&image));
        let spec = spec(merged.as_ref(), None).unwrap().unwrap();
        assert_eq!(spec.command, ["true"]);
        assert_eq!((spec.interval, spec.timeout, spec.retries), (Duration::from_millis(9), TIMEOUT, 7));
        assert_eq!(merged.and_then(|merged| merged.start_period), None, "inspect doesn't show what nobody said");
        let off = merge(Some(config(json!({ "Test": ["NONE"] }))), Some(&image));
        assert_eq!(super::spec(off.as_ref(), None).unwrap(), None);
        assert_eq!(merge(None, None), None);
    }

    #[test]
    fn texts_are_run_by_the_shell() {
        let asked = config(json!({ "Test": ["CMD-SHELL", "a && b"] }));
        assert_eq!(spec(Some(&asked), None).unwrap().unwrap().command, ["/bin/sh", "-c", "a && b"]);
        let shell = ["/bin/ash".to_owned(), "-ec".to_owned()];
        assert_eq!(spec(Some(&asked), Some(&shell)).unwrap().unwrap().command, ["/bin/ash", "-ec", "a && b"]);
    }

    #[test]
    fn what_makes_no_check_is_refused() {
        for (asked, text) in [
            (json!({ "Test": ["CMD"] }), "the health check names no command after CMD"),
            (json!({ "Test": ["PING", "x"] }), "unknown health check type \"PING\""),
            (json!({ "Test": ["CMD", "x"], "Interval": 10 }), "Interval in Healthcheck cannot be less than 1ms"),
            (json!({ "Test": ["CMD", "x"], "StartPeriod": -1 }), "StartPeriod in Healthcheck cannot be less than 1ms"),
            (json!({ "Test": ["CMD", "x"], "Retries": -1 }), "Retries in Healthcheck cannot be negative"),
        ] {
            let message = spec(Some(&config(asked)), None).unwrap_err().message();
            assert!(message.starts_with(text), "{message}");
        }
    }
}
