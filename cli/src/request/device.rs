//! `--device`: devices of the host inside a container.

use bollard_stubs::models::DeviceMapping;

use super::error::{RequestError, flag};

/// Reads one value of `--device`: `PATH[:PATH_INSIDE[:rwm]]`.
///
/// # Errors
/// Names the value and what is wrong with it.
pub(crate) fn parse(spec: &str) -> Result<DeviceMapping, RequestError> {
    read(spec).map_err(|reason| flag("--device", spec, reason))
}

fn read(spec: &str) -> Result<DeviceMapping, String> {
    let (outside, inside, permissions) = match spec.split(':').collect::<Vec<_>>()[..] {
        [path] => (path, path, "rwm"),
        [path, permissions] if is_permissions(permissions) => (path, path, permissions),
        [path, inside] => (path, inside, "rwm"),
        [path, inside, permissions] if is_permissions(permissions) => (path, inside, permissions),
        [_, _, permissions] => return Err(format!("bad mode specified: {permissions}: use letters of 'rwm'")),
        _ => return Err("invalid device specification: give PATH[:PATH_INSIDE[:rwm]]".to_owned()),
    };
    for path in [outside, inside] {
        if !path.starts_with('/') {
            return Err(format!("'{path}' is not an absolute path"));
        }
    }
    Ok(DeviceMapping {
        path_on_host: Some(outside.to_owned()),
        path_in_container: Some(inside.to_owned()),
        cgroup_permissions: Some(permissions.to_owned()),
    })
}

/// Each of `r`, `w` and `m` (mknod) at most once.
fn is_permissions(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 3
        && "rwm".chars().map(|c| text.matches(c).count()).sum::<usize>() == text.len()
        && "rwm".chars().all(|c| text.matches(c).count() <= 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices() {
        for (spec, expected) in [
            ("/dev/null", Ok(("/dev/null", "rwm"))),
            ("/dev/null:/dev/zero", Ok(("/dev/zero", "rwm"))),
            ("/dev/null:rw", Ok(("/dev/null", "rw"))),
            ("/dev/null:/x:r", Ok(("/x", "r"))),
            ("/dev/null:/x:foo", Err("bad mode specified: foo: use letters of 'rwm'")),
            ("/dev/null:/x:rr", Err("bad mode specified: rr: use letters of 'rwm'")),
            ("/a:/b:c:d", Err("invalid device specification: give PATH[:PATH_INSIDE[:rwm]]")),
            ("x", Err("'x' is not an absolute path")),
            ("", Err("'' is not an absolute path")),
        ] {
            let device = read(spec);
            let device = device.as_ref().map(|device| {
                (device.path_in_container.as_deref().unwrap(), device.cgroup_permissions.as_deref().unwrap())
            });
            assert_eq!(device, expected.map_err(str::to_owned).as_ref().map(|pair| *pair), "{spec}");
        }
    }
}
