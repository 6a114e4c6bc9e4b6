//! `--chown`: names are those of the image that is copied to.

use std::path::Path;

use images::files::Tree;

use super::StepError;

/// User and group in numbers, of `user[:group]` by names or numbers.
pub(super) fn ids(text: &str, root: &Tree) -> Result<(u32, u32), StepError> {
    users::owner(text, |path| {
        let file = root.regular_file(Path::new(path)).map_err(StepError::file(format!("read /{path} of the image")))?;
        let read = file.map(users::read).transpose();
        let text = read.map_err(|error| StepError::Invalid(format!("can't read /{path} of the image: {error}")))?;
        Ok(text.unwrap_or_default())
    })
}
