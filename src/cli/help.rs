//! `dancu --help`: the commands in groups, which clap does not know.

use clap::Command;

/// Each command, under what it is for.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Clusters", &["node", "cluster", "certs", "dev", "demo", "bench"]),
    ("Whole populations", &["generate", "import"]),
    (
        "The register",
        &["person", "event", "uin", "credential", "eid", "household", "attributes", "procedures", "unit"],
    ),
    ("Who may ask, and who did", &["policy", "consent", "audit"]),
    ("Verification: exit code 0 when it is so, 1 when not", &["verify", "link", "receipt"]),
];

/// The command line with its commands listed in groups; one that no group names comes last.
pub fn grouped(command: Command) -> Command {
    let known: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
    let width = known.iter().map(|name| name.len()).max().unwrap_or_default();
    let grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
    let others: Vec<&str> = known.into_iter().filter(|name| !grouped.contains(name)).collect();
    let mut text = String::new();
    for (title, names) in GROUPS.into_iter().chain([("Others", others.as_slice())]) {
        let about = |name: &&str| command.find_subcommand(name).and_then(Command::get_about);
        let lines = names.iter().filter_map(|name| Some(format!("  {name:width$}  {}\n", about(name)?)));
        let lines: String = lines.collect();
        if !lines.is_empty() {
            text += &format!("\n{title}:\n{lines}");
        }
    }
    command
        .help_template(format!("{{about}}\n\n{{usage-heading}} {{usage}}\n{text}\nOptions:\n{{options}}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_stands_in_one_group() {
        let command = Command::new("x")
            .subcommands(["node", "verify", "other"].map(|name| Command::new(name).about("does it")));
        let help = grouped(command).render_help().to_string();
        for name in ["node", "verify", "other"] {
            assert_eq!(help.matches(&format!("\n  {name} ")).count(), 1, "{help}");
        }
        assert!(!help.contains("Whole populations"), "a group without commands is left out: {help}");
    }
}
