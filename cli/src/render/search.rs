//! Results of a search.

use crate::engine::reply::FoundRepository;

use super::ellipsis;
use super::format::{Columns, Row};

/// Fields of a repository that was found.
pub(crate) const COLUMNS: Columns = Columns {
    headings: &[("Name", "NAME"), ("Description", "DESCRIPTION"), ("StarCount", "STARS"), ("IsOfficial", "OFFICIAL")],
    table: "{{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}",
    quiet: "{{.Name}}",
};

/// Characters of a description that a list shows.
const DESCRIPTION_LENGTH: usize = 45;

/// A repository as a line of a list.
pub(crate) fn row(found: &FoundRepository, whole: bool) -> Row {
    let description = found.description.replace(['\n', '\r', '\t'], " ");
    Row::new([
        ("Name", found.name.clone()),
        ("Description", if whole { description } else { ellipsis(&description, DESCRIPTION_LENGTH) }),
        ("StarCount", found.star_count.to_string()),
        ("IsOfficial", if found.is_official { "[OK]" } else { "" }.to_owned()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::format::Format;

    #[test]
    fn as_a_list() {
        let found: Vec<FoundRepository> = serde_json::from_value(serde_json::json!([
            {"name": "nginx", "description": "Official build of Nginx.", "star_count": 20_000, "is_official": true},
            {"name": "team/nginx", "description": "A description that is\nmuch longer than a list can show", "star_count": 3},
        ]))
        .unwrap();
        let rows = found.iter().map(|found| row(found, false));
        insta::assert_snapshot!(Format::parse(None, false, &COLUMNS).render(&COLUMNS, rows).unwrap(), @r"
        NAME         DESCRIPTION                                     STARS     OFFICIAL
        nginx        Official build of Nginx.                        20000     [OK]
        team/nginx   A description that is much longer than a lis…   3
        ");
    }
}
