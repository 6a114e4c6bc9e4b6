//! Other tables' chains that drop what containers send or receive, whatever our table says.

use nftables::{
    schema::{Chain, NfListObject, NfObject, Rule},
    stmt::Statement,
    types::{NfChainPolicy, NfFamily, NfHook},
};

use super::{nft, skeleton::TABLE};
use crate::{Error, ForeignDrop};

/// What `nft -j list ruleset` prints. Its objects are parsed one by one, so that one that this crate doesn't know hides
/// no other.
#[derive(serde::Deserialize)]
struct RuleSet {
    nftables: Vec<serde_json::Value>,
}

/// Base chains of other tables on the forward hook that drop by policy or by a rule without conditions.
pub(crate) fn foreign_drops() -> Result<Vec<ForeignDrop>, Error> {
    let json = nft::list_rule_set()?;
    find(&json).map_err(|error| Error::Answer {
        attempt: "read the host's nftables rules".to_owned(),
        message: error.to_string(),
    })
}

fn find(json: &str) -> serde_json::Result<Vec<ForeignDrop>> {
    let rule_set: RuleSet = serde_json::from_str(json)?;
    let objects: Vec<NfListObject<'_>> = rule_set
        .nftables
        .into_iter()
        .filter_map(|object| match serde_json::from_value(object) {
            Ok(NfObject::ListObject(object)) => Some(object),
            _ => None,
        })
        .collect();
    let rules =
        || objects.iter().filter_map(|object| if let NfListObject::Rule(rule) = object { Some(rule) } else { None });
    let mut drops: Vec<ForeignDrop> = objects
        .iter()
        .filter_map(|object| if let NfListObject::Chain(chain) = object { Some(chain) } else { None })
        .filter(|chain| chain.hook == Some(NfHook::Forward) && !is_ours(chain))
        .filter_map(|chain| {
            let by_policy = chain.policy == Some(NfChainPolicy::Drop);
            let by_rule = rules().any(|rule| is_in(rule, chain) && drops_everything(rule));
            let name = || format!("{} {} {}", family(chain.family), chain.table, chain.name);
            (by_policy || by_rule).then(|| ForeignDrop { chain: name(), by_policy })
        })
        .collect();
    drops.sort();
    Ok(drops)
}

fn is_ours(chain: &Chain<'_>) -> bool {
    matches!(chain.family, NfFamily::INet | NfFamily::Bridge) && chain.table == TABLE
}

fn is_in(rule: &Rule<'_>, chain: &Chain<'_>) -> bool {
    rule.family == chain.family && rule.table == chain.table && rule.chain == chain.name
}

/// Whether a rule drops or rejects whatever gets to it.
fn drops_everything(rule: &Rule<'_>) -> bool {
    let (verdict, rest): (Vec<_>, Vec<_>) =
        rule.expr.iter().partition(|statement| matches!(statement, Statement::Drop(_) | Statement::Reject(_)));
    !verdict.is_empty() && rest.iter().all(|s| matches!(s, Statement::Counter(_) | Statement::Log(_)))
}

fn family(family: NfFamily) -> &'static str {
    match family {
        NfFamily::IP => "ip",
        NfFamily::IP6 => "ip6",
        NfFamily::INet => "inet",
        NfFamily::ARP => "arp",
        NfFamily::Bridge => "bridge",
        NfFamily::NetDev => "netdev",
    }
}
