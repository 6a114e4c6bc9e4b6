//! `--secret`: files and variables that a build's steps may read.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::failure::Failure;

/// Headers have room for so much, in base64.
const BYTES_MAX: usize = 128 * 1024;

/// All secrets as the engine's header has them; none without any.
///
/// # Errors
/// Names the flag that is wrong, or whose file can't be read.
pub(crate) fn header(flags: &[String]) -> Result<Option<String>, Failure> {
    let secrets = flags.iter().map(|flag| secret(flag)).collect::<Result<BTreeMap<_, _>, _>>()?;
    if secrets.is_empty() {
        return Ok(None);
    }
    let text = serde_json::json!(secrets).to_string();
    match text.len() > BYTES_MAX {
        true => Err(Failure::Invalid(format!("the secrets are too long: {BYTES_MAX} bytes in base64 are taken"))),
        false => Ok(Some(text)),
    }
}

/// Id and content, in base64, of `id=NAME[,src=FILE|,env=VARIABLE]`.
fn secret(flag: &str) -> Result<(String, String), Failure> {
    let wrong = |reason: String| Failure::Invalid(format!("invalid secret {flag:?}: {reason}"));
    let (mut id, mut source, mut variable, mut kind) = (None, None, None, None);
    for pair in flag.split(',') {
        let (name, value) = pair.split_once('=').ok_or_else(|| wrong(format!("{pair:?} isn't NAME=VALUE")))?;
        match name.to_ascii_lowercase().as_str() {
            "id" => id = Some(value),
            "src" | "source" => source = Some(value),
            "env" => variable = Some(value),
            "type" if matches!(value, "file" | "env") => kind = Some(value),
            "type" => return Err(wrong(format!("type {value:?} is neither file nor env"))),
            _ => return Err(wrong(format!("unknown option {name:?}: id, src, env and type are known"))),
        }
    }
    let id = id.filter(|id| !id.is_empty()).ok_or_else(|| wrong("id is missing".to_owned()))?;
    if kind == Some("env") {
        variable = variable.or(source.take()).or(Some(id));
    }
    // Without a source it is the variable of that name if there is one, else the file.
    let of_id = std::env::var(id).is_ok().then_some(id);
    let content = match (source, variable.or(if source.is_none() && kind.is_none() { of_id } else { None })) {
        (Some(_), Some(_)) => return Err(wrong("src and env exclude each other".to_owned())),
        (None, Some(name)) => {
            std::env::var(name).map_err(|_| wrong(format!("variable {name} isn't set")))?.into_bytes()
        }
        (source, None) => {
            let path = source.unwrap_or(id);
            std::fs::read(path)
                .map_err(|source| Failure::Io { doing: format!("read secret {id} from {path}"), source })?
        }
    };
    Ok((id.to_owned(), STANDARD.encode(content)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_refusals() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "abc").unwrap();
        let flag = format!("id=token,src={}", path.display());
        assert_eq!(header(std::slice::from_ref(&flag)).unwrap().unwrap(), r#"{"token":"YWJj"}"#);
        assert_eq!(header(&[]).unwrap(), None);
        for wrong in ["token", "src=x", "id=x,type=no", "id=x,size=1", "id=x,src=/nowhere", "id=x,env=NOT_SET_HERE"] {
            assert!(header(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
        std::fs::write(&path, vec![b'x'; BYTES_MAX]).unwrap();
        assert!(header(&[flag]).unwrap_err().text().contains("too long"));
    }
}
