//! Calls that have waited for longer than their callers were ready to wait aren't begun: who gave up on one may have asked for
//! something else since, which it must not overtake.

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use cnm::{Kind, api::BEGIN_BY_HEADER};
use jiff::Timestamp;

use super::refusal::Refusal;

pub(super) async fn refuse_late(request: Request, next: Next) -> Response {
    let Some(said) = request.headers().get(BEGIN_BY_HEADER) else { return next.run(request).await };
    let by: Option<Timestamp> = said.to_str().ok().and_then(|text| text.parse().ok());
    match by {
        Some(by) if Timestamp::now() <= by => next.run(request).await,
        Some(by) => {
            let sentence = format!("the request was to be begun by {by} and netd did not get to it in time: ask again");
            Refusal::from(cnm::Error::new(Kind::Unavailable, sentence)).into_response()
        }
        None => {
            let sentence =
                format!("invalid {BEGIN_BY_HEADER} {said:?}: a time is expected, as in 2026-11-21T10:00:00Z");
            Refusal::from(cnm::Error::invalid(sentence)).into_response()
        }
    }
}
