//! What is run, and in which environment.

use super::*;

#[test]
fn command_and_entry_point() {
    let image = json!({ "Entrypoint": ["/entry"], "Cmd": ["serve"] });
    let run = |request: Value| translate_with(image.clone(), &request).unwrap().container.spec.process.args;
    assert_eq!(run(json!({ "Image": "x" })), ["/entry", "serve"]);
    assert_eq!(run(json!({ "Image": "x", "Cmd": ["stop"] })), ["/entry", "stop"]);
    assert_eq!(run(json!({ "Image": "x", "Cmd": "stop" })), ["/entry", "stop"]);
    assert_eq!(run(json!({ "Image": "x", "Entrypoint": ["/other"] })), ["/other"]);
    assert_eq!(run(json!({ "Image": "x", "Entrypoint": ["/other"], "Cmd": ["a"] })), ["/other", "a"]);
    assert_eq!(run(json!({ "Image": "x", "Entrypoint": [""], "Cmd": ["a"] })), ["a"]);
    assert_eq!(run(json!({ "Image": "x", "Entrypoint": [], "Cmd": [] })), ["serve"]);
    let nothing = translate_with(json!({}), &json!({ "Image": "x" })).unwrap_err();
    assert_eq!(nothing.message(), "no command specified");
}

#[test]
fn environment_on_top_of_the_image() {
    let env = |env: Value, tty: bool| made(json!({ "Image": "x", "Env": env, "Tty": tty })).spec.process.env;
    assert_eq!(env(json!(["LANG=de", "A=1", "A=2"]), false), ["HOSTNAME=4ecb1f0e2ac2", "PATH=/bin", "LANG=de", "A=2"]);
    assert_eq!(env(json!(["LANG"]), false), ["HOSTNAME=4ecb1f0e2ac2", "PATH=/bin"]);
    assert_eq!(env(json!(["HOSTNAME=me"]), true), ["TERM=xterm", "PATH=/bin", "LANG=C", "HOSTNAME=me"]);
    let asked = made(json!({ "Image": "x", "Env": ["LANG", "NOTHING", "A=1"] })).asked.config;
    assert_eq!(
        asked.texts("Env").collect::<Vec<_>>(),
        ["PATH=/bin", "LANG", "NOTHING", "A=1"],
        "what was asked for is seen again"
    );
    let bare = translate_with(json!({ "Cmd": ["x"] }), &json!({ "Image": "x" })).unwrap().container;
    assert!(bare.spec.process.env[1].starts_with("PATH=/usr/local/sbin:"));
}

#[test]
fn a_working_directory_is_what_its_text_says() {
    for (text, expected) in [("/srv/", "/srv"), ("/srv//app/./", "/srv/app"), ("/srv/../tmp", "/tmp"), ("/..", "/")] {
        let container = made(json!({ "Image": "x", "WorkingDir": text }));
        assert_eq!(container.spec.process.cwd, expected, "{text}");
        assert_eq!(container.asked.config.text("WorkingDir"), expected, "{text}");
    }
    let of_image = translate_with(json!({ "Cmd": ["x"], "WorkingDir": "/srv/" }), &json!({ "Image": "x" })).unwrap();
    assert_eq!(of_image.container.spec.process.cwd, "/srv");
}
