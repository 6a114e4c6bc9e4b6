//! How addresses, routes and neighbours are made.

use cnm::resource::{LinkAddress, Neighbour, Route};

use super::{About, Given, Message, Step, Steps};
use crate::route;

impl Steps for LinkAddress {
    fn make(&self) -> Vec<Step<'_>> {
        let add = |given: &Given<'_>| route::add_address(given.index, self.address);
        vec![Message::to(&self.link.namespace, About::Index(&self.link.name), add).into()]
    }

    fn remove(&self) -> Vec<Step<'_>> {
        let remove = |given: &Given<'_>| route::remove_address(given.index, self.address);
        vec![Message::to(&self.link.namespace, About::Index(&self.link.name), remove).removing().into()]
    }
}

impl Steps for Route {
    fn make(&self) -> Vec<Step<'_>> {
        let add = |given: &Given<'_>| route::add_route(given.index, self);
        vec![Message::to(&self.link.namespace, About::Index(&self.link.name), add).into()]
    }

    fn remove(&self) -> Vec<Step<'_>> {
        let remove = |given: &Given<'_>| route::remove_route(given.index, self);
        vec![Message::to(&self.link.namespace, About::Index(&self.link.name), remove).removing().into()]
    }
}

impl Steps for Neighbour {
    fn make(&self) -> Vec<Step<'_>> {
        let add = |given: &Given<'_>| route::add_neighbour(given.index, self);
        vec![Message::to(&self.link.namespace, About::Index(&self.link.name), add).into()]
    }

    fn remove(&self) -> Vec<Step<'_>> {
        let remove = |given: &Given<'_>| route::remove_neighbour(given.index, self);
        vec![Message::to(&self.link.namespace, About::Index(&self.link.name), remove).removing().into()]
    }
}
