//! `GET /images/get` and `GET /images/{name}/get`: archives of images, written while they are sent.

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use images::{Platform, Reference};
use tokio::sync::oneshot;

use crate::error::{Error, Result};
use crate::image::Images;
use crate::stream::download;
use crate::translate::image as translate;
use crate::wire::query::pairs;

/// What a request wants to have saved.
#[derive(Debug)]
pub(super) struct SaveRequest {
    names: Vec<String>,
    platform: Option<Platform>,
}

impl SaveRequest {
    /// Reads a query, in which `names` come as often as there are any.
    pub(super) fn parse(query: &str) -> Result<Self> {
        let named = pairs(query, &["names"]).filter(|(key, _)| key == "names");
        let names = |(_, list): (_, Cow<'_, str>)| list.split(',').map(str::to_owned).collect::<Vec<_>>();
        let names = named.flat_map(names).filter(|name| !name.is_empty()).collect();
        Ok(Self { names, platform: translate::only_platform(query, "platform")? })
    }

    /// Of the image that the path names.
    pub(super) fn of(name: &str, query: &str) -> Result<Self> {
        Ok(Self { names: vec![name.to_owned()], ..Self::parse(query)? })
    }
}

/// An archive of these images.
pub(super) async fn save(images: Arc<Images>, wanted: SaveRequest) -> Result<Response> {
    let SaveRequest { names, platform } = wanted;
    if names.is_empty() {
        return Err(Error::invalid("no image to save is named: give at least one in names"));
    }
    let (ready, found) = oneshot::channel();
    let body = download::body(move |output| {
        let chosen = images
            .store
            .save(&names)
            .and_then(|saving| platform.as_ref().map_or(Ok(()), |platform| saving.require(platform)).map(|()| saving));
        let saving = match chosen {
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
        for (image, references) in saving.images() {
            images.tell("save", image, references.first().map_or(image.to_string(), Reference::familiar));
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
        assert_eq!(SaveRequest::parse("names=a%3A1&names=b,c").unwrap().names, ["a:1", "b", "c"]);
        assert!(SaveRequest::parse("names=").unwrap().names.is_empty());
        assert_eq!(SaveRequest::of("x", "names=y&a=b").unwrap().names, ["x"]);
    }

    #[test]
    fn platforms_come_as_documents_or_as_people_write_them() {
        for text in
            ["linux%2Farm64%2Fv8", "%7B%22os%22:%22linux%22,%22architecture%22:%22arm64%22,%22variant%22:%22v8%22%7D"]
        {
            let wanted = SaveRequest::parse(&format!("names=a&platform={text}")).unwrap();
            assert_eq!(wanted.platform, Some("linux/arm64/v8".parse().unwrap()));
        }
        let several = SaveRequest::parse("names=a&platform=linux%2Famd64&platform=linux%2Farm64").unwrap_err();
        assert!(several.message().starts_with("multiple platforms are not supported"));
        for wrong in ["x", "%7B%7D"] {
            assert!(
                SaveRequest::parse(&format!("platform={wrong}")).unwrap_err().message().starts_with("invalid platform")
            );
        }
    }
}
