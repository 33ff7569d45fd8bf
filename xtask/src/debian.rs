//! Debian and its derivatives: which system this is, and its packages.

use std::fs;
use std::process::Command;

use crate::process::{self, Error};

/// The package systems that the tasks support.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Debian, Ubuntu and what derives from them.
    Debian,
    /// Fedora and Red Hat's systems.
    Fedora,
    /// Arch and what derives from it.
    Arch,
    /// Any other Linux.
    OtherLinux,
    /// macOS or Windows.
    Desktop,
}

/// The family of the system this runs on.
pub fn family() -> Family {
    if !cfg!(target_os = "linux") {
        return Family::Desktop;
    }
    let release = fs::read_to_string("/etc/os-release")
        .or_else(|_| fs::read_to_string("/usr/lib/os-release"))
        .unwrap_or_default();
    family_of(&release)
}

/// The family that the text of an os-release file names.
fn family_of(release: &str) -> Family {
    let names: Vec<String> = ["ID", "ID_LIKE"]
        .into_iter()
        .filter_map(|key| field(release, key))
        .flat_map(|value| value.split_whitespace().map(str::to_lowercase))
        .collect();
    let named = |wanted: &[&str]| names.iter().any(|name| wanted.contains(&name.as_str()));
    if named(&["debian", "ubuntu"]) {
        Family::Debian
    } else if named(&["fedora", "rhel", "centos"]) {
        Family::Fedora
    } else if named(&["arch", "archlinux"]) {
        Family::Arch
    } else {
        Family::OtherLinux
    }
}

fn field<'a>(release: &'a str, key: &str) -> Option<&'a str> {
    let value = release.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))?;
    Some(value.trim_matches(['"', '\'']))
}

/// Whether this process may install packages.
pub fn is_root() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|status| effective_user(&status) == Some(0))
}

/// The effective user in the text of a process's status file.
fn effective_user(status: &str) -> Option<u32> {
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    users.split_whitespace().nth(1)?.parse().ok()
}

/// Those of `packages` that are not installed, in their order.
pub fn missing(packages: &[&'static str]) -> Result<Vec<&'static str>, Error> {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat=${Package} ${db:Status-Status}\n"]).args(packages);
    // dpkg-query fails when it does not know one of them, which is an answer too.
    let known = process::capture_any(&mut query)?;
    Ok(not_installed(packages, &known))
}

fn not_installed(packages: &[&'static str], known: &str) -> Vec<&'static str> {
    let installed =
        |package: &str| known.lines().any(|line| line.split_once(' ') == Some((package, "installed")));
    packages.iter().copied().filter(|package| !installed(package)).collect()
}

/// Refreshes apt's lists, trying twice.
pub fn update_lists() -> Result<(), Error> {
    twice(|| process::run(apt_get().arg("update")))
}

/// Installs packages, trying twice. Refuses to remove any other for them.
pub fn install(packages: &[&str]) -> Result<(), Error> {
    twice(|| {
        process::run(
            apt_get().args(["install", "-y", "--no-install-recommends", "--no-remove"]).args(packages),
        )
    })
}

/// The one command that installs packages, for a person to run.
pub fn install_hint(packages: &[&str]) -> String {
    format!("sudo apt-get update && sudo apt-get install -y --no-install-recommends {}", packages.join(" "))
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.args(["-q", "-o", "DPkg::Lock::Timeout=60"]).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn twice(mut action: impl FnMut() -> Result<(), Error>) -> Result<(), Error> {
    action().or_else(|error| {
        eprintln!("    {error}; trying once more");
        action()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_family_comes_from_either_field() {
        let cases = [
            ("NAME=\"x\"\nID=debian\n", Family::Debian),
            ("ID=ubuntu\nID_LIKE=debian\n", Family::Debian),
            ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", Family::Debian),
            ("ID=fedora\n", Family::Fedora),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", Family::Fedora),
            ("ID=arch\n", Family::Arch),
            ("ID=endeavouros\nID_LIKE='arch'\n", Family::Arch),
            ("VERSION_ID=debian\nID=alpine\n", Family::OtherLinux),
            ("", Family::OtherLinux),
        ];
        for (release, expected) in cases {
            assert_eq!(family_of(release), expected, "{release:?}");
        }
    }

    #[test]
    fn the_effective_user_is_the_second_number() {
        let status = "Name:\tx\nUid:\t1000\t0\t1000\t1000\nGid:\t5\t5\t5\t5\n";
        assert_eq!(effective_user(status), Some(0));
        assert_eq!(effective_user("Name:\tx\n"), None);
    }

    #[test]
    fn a_package_that_is_only_configured_or_unknown_is_missing() {
        let known = "libegl1 installed\nlibegl1 not-installed\nlibvulkan1 config-files\n";
        let missing = not_installed(&["libegl1", "libvulkan1", "libgles2"], known);
        assert_eq!(missing, ["libvulkan1", "libgles2"]);
    }
}
