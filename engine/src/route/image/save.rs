//! `GET /images/get` and `GET /images/{name}/get`: archives of images, written while they are sent.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::oneshot;

use super::tell;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::stream::download;

/// The names in a query: `names` comes as often as there are any.
pub(super) fn names(query: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "names" => names.extend(value.split(',').filter(|name| !name.is_empty()).map(str::to_owned)),
            "platform" if !value.is_empty() => {
                return Err(Error::not_implemented(
                    "choosing a platform to save is not supported by berth yet: images here have one each",
                ));
            }
            _ => {}
        }
    }
    match names.is_empty() {
        true => Err(Error::invalid("no image to save is named: give at least one in names")),
        false => Ok(names),
    }
}

/// An archive of these images.
pub(super) async fn save(engine: Engine, names: Vec<String>) -> Result<Response> {
    let (ready, found) = oneshot::channel();
    let body = download::body(move |output| {
        let saving = match engine.images.save(&names) {
            Ok(saving) => saving,
            Err(error) => {
                ready.send(Err(error)).ok();
                return Ok(());
            }
        };
        if ready.send(Ok(())).is_err() {
            return Ok(());
        }
        saving.write(output)?;
        for name in names {
            tell(&engine, "save", name.clone(), name);
        }
        Ok(())
    });
    found.await.map_err(|_| Error::Interrupted { doing: "saving images" })??;
    Ok(([(CONTENT_TYPE, "application/x-tar")], body).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_one_by_one_or_together() {
        assert_eq!(names("names=a%3A1&names=b,c").unwrap(), ["a:1", "b", "c"]);
        for wrong in ["", "names=", "names=a&platform=x"] {
            assert!(names(wrong).is_err(), "{wrong}");
        }
    }
}
