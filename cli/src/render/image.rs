//! Lists of images, and the history of an image.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::engine::reply::{HistoryItem, ImageSummary};

use super::format::{Columns, Row, align};
use super::{ellipsis, human, shown_id};

/// What stands for a name or a tag that isn't there.
const NONE: &str = "<none>";

/// Fields of an image in a list.
pub(crate) const COLUMNS: Columns = Columns {
    headings: &[
        ("Repository", "REPOSITORY"),
        ("Tag", "TAG"),
        ("Digest", "DIGEST"),
        ("ID", "IMAGE ID"),
        ("CreatedSince", "CREATED"),
        ("CreatedAt", "CREATED AT"),
        ("Size", "SIZE"),
        ("Containers", "CONTAINERS"),
        ("SharedSize", "SHARED SIZE"),
        ("UniqueSize", "UNIQUE SIZE"),
    ],
    table: "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}",
    quiet: "{{.ID}}",
};

/// The same with digests.
pub(crate) const COLUMNS_WITH_DIGEST: Columns =
    Columns { table: "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}", ..COLUMNS };

/// Fields of a step in an image's history.
pub(crate) const HISTORY_COLUMNS: Columns = Columns {
    headings: &[
        ("ID", "IMAGE"),
        ("CreatedSince", "CREATED"),
        ("CreatedAt", "CREATED AT"),
        ("CreatedBy", "CREATED BY"),
        ("Size", "SIZE"),
        ("Comment", "COMMENT"),
    ],
    table: "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
    quiet: "{{.ID}}",
};

/// Exact times in place of how long ago, as `--human=false` shows them.
pub(crate) const EXACT_HISTORY_COLUMNS: Columns =
    Columns { table: "{{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}", ..HISTORY_COLUMNS };

/// Characters of a step's command that a list shows.
const STEP_LENGTH: usize = 45;

/// An image as the lines of a list: one for each of its names.
pub(crate) fn rows(image: &ImageSummary, whole: bool, now: Timestamp, zone: &TimeZone) -> Vec<Row> {
    let tags: Vec<(&str, &str)> = image.repo_tags.iter().filter_map(|name| name.rsplit_once(':')).collect();
    let digests: Vec<(&str, &str)> = image.repo_digests.iter().filter_map(|name| name.split_once('@')).collect();
    let digest_of = |repository: &str| {
        digests.iter().find(|(name, _)| *name == repository).map_or(NONE, |(_, digest)| digest).to_owned()
    };
    let names: Vec<(String, String, String)> = match (&tags[..], &digests[..]) {
        ([], []) => vec![(NONE.to_owned(), NONE.to_owned(), NONE.to_owned())],
        ([], digests) => {
            digests.iter().map(|(name, digest)| ((*name).to_owned(), NONE.to_owned(), (*digest).to_owned())).collect()
        }
        (tags, _) => tags.iter().map(|(name, tag)| ((*name).to_owned(), (*tag).to_owned(), digest_of(name))).collect(),
    };
    let known = |number: i64, text: String| if number < 0 { "N/A".to_owned() } else { text };
    names
        .into_iter()
        .map(|(repository, tag, digest)| {
            Row::new([
                ("Repository", repository),
                ("Tag", tag),
                ("Digest", digest),
                ("ID", shown_id(&image.id, whole)),
                ("CreatedSince", human::ago(image.created, now)),
                ("CreatedAt", human::timestamp(image.created, zone)),
                ("Size", human::size(image.size)),
                ("Containers", known(image.containers, image.containers.to_string())),
                ("SharedSize", human::size(image.shared_size)),
                ("UniqueSize", known(image.shared_size, human::size(image.size - image.shared_size))),
            ])
        })
        .collect()
}

/// Each image once: its names one below the other, and beside the last of them what is to be said of the image.
pub(crate) fn tree(images: &[ImageSummary], is_used: impl Fn(&str) -> bool) -> String {
    let mut text = "IMAGE\tID\tDISK USAGE\tEXTRA\n".to_owned();
    for image in images {
        let nameless = || vec![NONE.to_owned()];
        let names = Some(&image.repo_tags).filter(|names| !names.is_empty()).cloned().unwrap_or_else(nameless);
        let used = if is_used(&image.id) { "U" } else { "" };
        // A line without its tabs would begin another table.
        text += &format!(
            "{}\t{}\t{}\t{used}\n",
            names.join("\t\t\t\n"),
            shown_id(&image.id, false),
            human::size(image.size)
        );
    }
    align(&text)
}

/// A step of an image's history as a line of a list.
pub(crate) fn history_row(step: &HistoryItem, whole: bool, readable: bool, now: Timestamp, zone: &TimeZone) -> Row {
    let id = if step.id.starts_with('<') { step.id.clone() } else { shown_id(&step.id, whole) };
    let command = step.created_by.replace('\t', " ");
    let command = if whole { command } else { ellipsis(&command, STEP_LENGTH) };
    let size = if readable { human::size(step.size) } else { step.size.to_string() };
    Row::new([
        ("ID", id),
        ("CreatedSince", human::ago(step.created, now)),
        ("CreatedAt", human::timestamp(step.created, zone)),
        ("CreatedBy", command),
        ("Size", size),
        ("Comment", step.comment.clone()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::format::Format;

    fn now() -> Timestamp {
        Timestamp::from_second(1_767_366_245).unwrap()
    }

    fn summaries() -> Vec<ImageSummary> {
        serde_json::from_value(serde_json::json!([
            {"Id": "sha256:0123456789abcdef", "RepoTags": ["localhost:5000/base:1", "base:1"],
             "RepoDigests": ["base@sha256:feed"], "Created": 1_767_279_845, "Size": 4_270_000, "SharedSize": -1, "Containers": -1},
            {"Id": "sha256:fedcba9876543210", "RepoTags": null, "RepoDigests": [], "Created": 1_767_366_000, "Size": 12},
        ]))
        .unwrap()
    }

    #[test]
    fn images_as_a_tree() {
        insta::assert_snapshot!(tree(&summaries(), |id| id.ends_with("abcdef")), @r"
        IMAGE                   ID             DISK USAGE   EXTRA
        localhost:5000/base:1
        base:1                  0123456789ab   4.27MB       U
        <none>                  fedcba987654   12B
        ");
    }

    #[test]
    fn images() {
        let images = summaries();
        let list = |columns: &Columns| {
            let rows = images.iter().flat_map(|image| rows(image, false, now(), &TimeZone::UTC));
            Format::parse(None, false, columns).render(columns, rows).unwrap()
        };
        insta::assert_snapshot!(list(&COLUMNS), @r"
        REPOSITORY            TAG       IMAGE ID       CREATED         SIZE
        localhost:5000/base   1         0123456789ab   24 hours ago    4.27MB
        base                  1         0123456789ab   24 hours ago    4.27MB
        <none>                <none>    fedcba987654   4 minutes ago   12B
        ");
        insta::assert_snapshot!(list(&COLUMNS_WITH_DIGEST), @r"
        REPOSITORY            TAG       DIGEST        IMAGE ID       CREATED         SIZE
        localhost:5000/base   1         <none>        0123456789ab   24 hours ago    4.27MB
        base                  1         sha256:feed   0123456789ab   24 hours ago    4.27MB
        <none>                <none>    <none>        fedcba987654   4 minutes ago   12B
        ");
    }

    #[test]
    fn history() {
        let steps: Vec<HistoryItem> = serde_json::from_value(serde_json::json!([
            {"Id": "sha256:0123456789abcdef", "Created": 1_767_366_000, "CreatedBy": "CMD [\"/bin/sh\"]", "Size": 0, "Comment": "x"},
            {"Id": "<missing>", "Created": 1_767_366_000, "CreatedBy": "a command that is much longer than a list of steps can show", "Size": 4_270_000},
        ]))
        .unwrap();
        let rows = steps.iter().map(|step| history_row(step, false, true, now(), &TimeZone::UTC));
        let list = Format::parse(None, false, &HISTORY_COLUMNS).render(&HISTORY_COLUMNS, rows).unwrap();
        insta::assert_snapshot!(list, @r#"
        IMAGE          CREATED         CREATED BY                                      SIZE      COMMENT
        0123456789ab   4 minutes ago   CMD ["/bin/sh"]                                 0B        x
        <missing>      4 minutes ago   a command that is much longer than a list of…   4.27MB
        "#);
    }
}
