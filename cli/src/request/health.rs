//! `--health-*`: health checks.

use bollard_stubs::models::HealthConfig;

use crate::flags::create::HealthFlags;

use super::error::{RequestError, flag};
use super::time::go_duration;

/// Reads the flags; without any, the image's check counts.
///
/// # Errors
/// Names the flag that is wrong.
pub(crate) fn parse(flags: &HealthFlags) -> Result<Option<HealthConfig>, RequestError> {
    let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let retries = match flags.health_retries {
        Some(..0) => return Err(RequestError::Invalid("--health-retries cannot be negative".to_owned())),
        retries => retries.filter(|&retries| retries != 0),
    };
    let config = HealthConfig {
        test: text(&flags.health_cmd).map(|command| vec!["CMD-SHELL".to_owned(), command]),
        interval: nanoseconds("--health-interval", &flags.health_interval)?,
        timeout: nanoseconds("--health-timeout", &flags.health_timeout)?,
        retries,
        start_period: nanoseconds("--health-start-period", &flags.health_start_period)?,
        start_interval: nanoseconds("--health-start-interval", &flags.health_start_interval)?,
    };
    match (flags.no_healthcheck, config == HealthConfig::default()) {
        (true, true) => Ok(Some(HealthConfig { test: Some(vec!["NONE".to_owned()]), ..config })),
        (true, false) => Err(RequestError::Conflict("--no-healthcheck conflicts with --health-* options".to_owned())),
        (false, true) => Ok(None),
        (false, false) => Ok(Some(config)),
    }
}

fn nanoseconds(name: &'static str, text: &Option<String>) -> Result<Option<i64>, RequestError> {
    let Some(text) = text else { return Ok(None) };
    let wrong = || flag(name, text, "write a duration such as 30s, 1m30s or 500ms");
    let duration = if text == "0" { Default::default() } else { go_duration(text).ok_or_else(wrong)? };
    i64::try_from(duration.as_nanos()).map(Some).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_become_a_check() {
        let flags = HealthFlags {
            health_cmd: Some("curl -f localhost".into()),
            health_interval: Some("1m30s".into()),
            health_timeout: Some("500ms".into()),
            health_retries: Some(2),
            ..HealthFlags::default()
        };
        let config = parse(&flags).unwrap().unwrap();
        assert_eq!(config.test.unwrap(), ["CMD-SHELL", "curl -f localhost"]);
        assert_eq!((config.interval, config.timeout), (Some(90_000_000_000), Some(500_000_000)));
        assert_eq!(parse(&HealthFlags::default()).unwrap(), None);
        let off = parse(&HealthFlags { no_healthcheck: true, ..HealthFlags::default() }).unwrap().unwrap();
        assert_eq!(off.test.unwrap(), ["NONE"]);
    }

    #[test]
    fn what_makes_no_check_is_refused() {
        let conflict = HealthFlags { no_healthcheck: true, health_retries: Some(1), ..HealthFlags::default() };
        assert_eq!(
            parse(&conflict).unwrap_err().to_string(),
            "conflicting options: --no-healthcheck conflicts with --health-* options"
        );
        let vague = HealthFlags { health_interval: Some("soon".into()), ..HealthFlags::default() };
        assert!(
            parse(&vague).unwrap_err().to_string().starts_with("invalid argument \"soon\" for \"--health-interval\"")
        );
    }
}
