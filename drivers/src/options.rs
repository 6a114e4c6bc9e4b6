//! Values of driver options, and the refusals of what isn't one.

use cnm::{Error, Kind};

/// Docker takes what Go's `strconv.ParseBool` takes, and an option without a value for true.
pub(crate) fn parse_bool(option: &str, value: &str) -> Result<bool, Error> {
    match value {
        "" | "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(invalid(option, value, "true or false is expected")),
    }
}

/// The refusal of a wrong value.
pub(crate) fn invalid(option: &str, value: &str, why: &str) -> Error {
    Error::invalid(format!("invalid value {value:?} of option {option}: {why}"))
}

/// What options of endpoints begin with, whatever the driver.
pub(crate) const OPTIONS_OF_ENDPOINTS: &str = "com.docker.network.endpoint.";

/// Options of ours are called so.
const OURS: &str = "berth.";

/// Refuses an option that the driver doesn't know, if its name is of the driver's own (`own`) or of ours. What belongs to
/// others' drivers, as files for several hosts have it, is kept and shown like a label.
pub(crate) fn unknown(driver: &str, own: &str, option: &str) -> Result<(), Error> {
    if option.starts_with(own) || option.starts_with(OURS) {
        return Err(Error::invalid(format!("driver {driver} has no option {option:?}")));
    }
    Ok(())
}

/// The refusal of one of Docker's options that this release can't do.
pub(crate) fn unsupported(option: &str, why: &str) -> Error {
    Error::new(Kind::NotImplemented, format!("option {option} can't be used: {why}"))
}
