//! Parser directives: `# name=value` at the very top.

use super::Problem;

/// What the directives say.
pub(super) struct Directives {
    pub(super) escape: char,
}

/// Front ends whose Dockerfiles are the ones that are understood here.
const FRONT_ENDS: [&str; 2] = ["docker/dockerfile", "docker.io/docker/dockerfile"];

/// Reads the directives; problems come with their line.
pub(super) fn read(text: &str) -> Result<Directives, (usize, Problem)> {
    let mut directives = Directives { escape: '\\' };
    let mut seen: Vec<String> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let Some((name, value)) = directive(line) else { break };
        let name = name.to_ascii_lowercase();
        let wrong = |reason| (index + 1, Problem::Directive { name: name.clone(), value: value.to_owned(), reason });
        if seen.contains(&name) {
            return Err(wrong("it was given before: leave one of them away"));
        }
        match name.as_str() {
            "escape" => {
                directives.escape = match value {
                    "\\" => '\\',
                    "`" => '`',
                    _ => return Err(wrong("write a backslash or a backtick")),
                }
            }
            "syntax" => {
                let repository = value.split(['@', ' ']).next().unwrap_or_default();
                let repository = repository.rsplit_once(':').map_or(repository, |(repository, _)| repository);
                if !FRONT_ENDS.contains(&repository) {
                    return Err(wrong("berth understands Dockerfiles itself, and no other front end's files"));
                }
            }
            // It selects lint rules, of which there are none here.
            "check" => {}
            // The first comment that is no directive ends them.
            _ => break,
        }
        seen.push(name);
    }
    Ok(directives)
}

fn directive(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.trim_start().strip_prefix('#')?.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let is_word = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (is_word && !value.is_empty()).then_some((name, value))
}
