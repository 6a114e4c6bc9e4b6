//! `berth`: the command line of the container host.
#![forbid(unsafe_code)]

mod connect;
mod engine;
mod flags;
mod render;
mod request;

fn main() {
    match flags::parse(std::env::args_os()) {
        Ok(cli) => println!("{cli:?}"),
        Err(rejected) => {
            print!("{}", rejected.text);
            std::process::exit(rejected.status.into());
        }
    }
}
