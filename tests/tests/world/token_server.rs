//! A token server as registries send their clients to (Docker Registry v2 authentication via central service), for one user:
//! `ann` with the password `secret`. She may do everything, others may pull from repositories below `open/`.

use std::net::TcpListener;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::{
    Json, Router,
    extract::{RawForm, RawQuery, State},
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    routing::get,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, KeyPair};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};

pub(crate) const ISSUER: &str = "tests";
pub(crate) const SERVICE: &str = "registry";
/// What `ann` is known by once she has logged in.
pub(crate) const IDENTITY: &str = "ann-was-here";

/// Signs tokens.
pub(crate) struct TokenServer {
    key: KeyPair,
    certificate: rcgen::Certificate,
}

impl TokenServer {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["tests".to_owned()]).expect("a name");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { key, certificate }
    }

    /// What registries trust.
    pub(crate) fn certificate(&self) -> String {
        self.certificate.pem()
    }

    /// Serves to the end of the test.
    pub(crate) fn serve(self, listener: TcpListener) {
        serve(
            listener,
            Router::new().route("/token", get(by_password).post(by_identity)).with_state(std::sync::Arc::new(self)),
        );
    }

    fn answer(&self, is_ann: bool, scopes: &[String]) -> Json<Value> {
        let access: Vec<Value> = scopes.iter().filter_map(|scope| granted(is_ann, scope)).collect();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let header = json!({"typ": "JWT", "alg": "ES256", "x5c": [STANDARD.encode(self.certificate.der())]});
        let claims = json!({
            "iss": ISSUER, "sub": if is_ann { "ann" } else { "" }, "aud": SERVICE,
            "iat": now, "nbf": now - 10, "exp": now + 60, "jti": "1", "access": access,
        });
        let text = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.key.serialize_der(), &random);
        let signature = key.expect("a key").sign(&random, text.as_bytes()).expect("a signature");
        Json(json!({"token": format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)), "expires_in": 60}))
    }
}

/// Serves to the end of the test.
pub(crate) fn serve(listener: TcpListener, router: Router) {
    listener.set_nonblocking(true).expect("a socket");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
            axum::serve(listener, router).await.expect("it serves");
        });
    });
}

/// `repository:team/app:pull,push`, as far as it is allowed.
fn granted(is_ann: bool, scope: &str) -> Option<Value> {
    let [kind, name, actions] = scope.split(':').collect::<Vec<_>>()[..] else { return None };
    let is_open = |action: &&str| is_ann || (name.starts_with("open/") && *action == "pull");
    let actions: Vec<&str> = actions.split(',').filter(is_open).collect();
    Some(json!({"type": kind, "name": name, "actions": actions}))
}

fn values(pairs: &[u8], wanted: &str) -> Vec<String> {
    form_urlencoded::parse(pairs).filter(|(key, _)| key == wanted).map(|(_, value)| value.into_owned()).collect()
}

async fn by_password(
    State(server): State<std::sync::Arc<TokenServer>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Value>, StatusCode> {
    let query = query.unwrap_or_default();
    let is_ann = match headers.get(AUTHORIZATION) {
        None => false,
        Some(value) if value.as_bytes() == format!("Basic {}", STANDARD.encode("ann:secret")).as_bytes() => true,
        Some(_) => return Err(StatusCode::UNAUTHORIZED),
    };
    let mut answer = server.answer(is_ann, &values(query.as_bytes(), "scope"));
    if is_ann && values(query.as_bytes(), "offline_token") == ["true"] {
        answer.0["refresh_token"] = IDENTITY.into();
    }
    Ok(answer)
}

async fn by_identity(
    State(server): State<std::sync::Arc<TokenServer>>,
    RawForm(form): RawForm,
) -> Result<Json<Value>, StatusCode> {
    if values(&form, "grant_type") != ["refresh_token"] || values(&form, "refresh_token") != [IDENTITY] {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let scopes: Vec<String> =
        values(&form, "scope").iter().flat_map(|scopes| scopes.split(' ')).map(str::to_owned).collect();
    let Json(answer) = server.answer(true, &scopes);
    Ok(Json(json!({"access_token": answer["token"], "expires_in": 60})))
}
