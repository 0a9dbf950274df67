//! Debian packages for i386, through an apt state of its own: this system's architectures and
//! packages stay as they are.

use crate::command::output;
use anyhow::{Context, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// An apt state below the cache directory.
pub(super) struct Apt {
    state: PathBuf,
}

/// Where Debian's images and installations keep their sources.
const SOURCES: [&str; 2] = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"];

impl Apt {
    /// Makes the state and reads the package lists, over the network.
    pub(super) fn new(cache: &Path) -> anyhow::Result<Apt> {
        let apt = Apt { state: cache.join("apt") };
        for d in ["lists/partial", "cache/archives/partial", "sources"] {
            let d = apt.state.join(d);
            fs::create_dir_all(&d).with_context(|| format!("cannot make {}", d.display()))?;
        }
        fs::write(apt.state.join("status"), "")?;
        apt.copy_sources()?;
        apt.get("apt-get", &["-qq", "update"]).context("the package lists cannot be fetched")?;
        Ok(apt)
    }

    /// This system's sources, without the security suite, whose i386 index is at times broken.
    fn copy_sources(&self) -> anyhow::Result<()> {
        let readable = |p: &&&str| fs::read_to_string(p).is_ok_and(|t| t.contains("debian"));
        let Some(from) = SOURCES.iter().find(readable) else {
            bail!("no Debian sources: neither {} nor {} names a suite", SOURCES[0], SOURCES[1]);
        };
        let text = fs::read_to_string(from).with_context(|| format!("cannot read {from}"))?;
        let (name, kept) = if from.ends_with(".sources") {
            ("debian.sources", without_security(&text, "\n\n"))
        } else {
            ("debian.list", without_security(&text, "\n"))
        };
        fs::write(self.state.join("sources").join(name), kept)?;
        Ok(())
    }

    fn get(&self, program: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let state = self.state.display();
        let options = [
            "APT::Architecture=i386".to_owned(),
            "APT::Architectures=i386".to_owned(),
            "APT::Get::List-Cleanup=false".to_owned(),
            "APT::Sandbox::User=root".to_owned(),
            "Debug::NoLocking=true".to_owned(),
            "Acquire::Languages=none".to_owned(),
            // without it, a missing network is a warning
            "APT::Update::Error-Mode=any".to_owned(),
            format!("Dir::State={state}"),
            format!("Dir::State::Lists={state}/lists"),
            format!("Dir::State::status={state}/status"),
            format!("Dir::Cache={state}/cache"),
            "Dir::Etc::sourcelist=/dev/null".to_owned(),
            format!("Dir::Etc::sourceparts={state}/sources"),
        ];
        let options = options.iter().flat_map(|o| ["-o", o.as_str()]);
        output(program, options.chain(arguments.iter().copied()), &self.state)
    }

    /// The kernel that the metapackage depends on today.
    pub(super) fn kernel(&self) -> anyhow::Result<String> {
        let text = self.get("apt-cache", &["depends", "linux-image-686"])?;
        let mut words =
            text.lines().filter(|l| l.contains("Depends:")).filter_map(|l| l.split(' ').next_back());
        let kernel = words.find(|w| w.starts_with("linux-image-"));
        kernel.map(str::to_owned).context("linux-image-686 depends on no kernel")
    }

    /// Fetches packages, without what they depend on, and unpacks them into `to`.
    pub(super) fn unpack(&self, packages: &[&str], to: &Path) -> anyhow::Result<()> {
        let mut arguments = vec!["-qq", "download"];
        arguments.extend(packages);
        // `download` writes to the current directory, which is the state's
        self.get("apt-get", &arguments)?;
        self.unpack_all(&self.state, to)
    }

    /// Fetches packages with all that they depend on, and unpacks them into `to`.
    pub(super) fn unpack_with_libraries(&self, packages: &[&str], to: &Path) -> anyhow::Result<()> {
        let mut arguments = vec!["-qq", "--yes", "--download-only", "--no-install-recommends", "install"];
        arguments.extend(packages);
        self.get("apt-get", &arguments)?;
        self.unpack_all(&self.state.join("cache/archives"), to)
    }

    /// Unpacks the packages in `from` and removes them.
    fn unpack_all(&self, from: &Path, to: &Path) -> anyhow::Result<()> {
        let mut packages = fs::read_dir(from)?.map(|e| Ok(e?.path())).collect::<anyhow::Result<Vec<_>>>()?;
        packages.retain(|p| p.extension().is_some_and(|e| e == "deb"));
        packages.sort();
        for package in packages {
            output("dpkg", ["-x".as_ref(), package.as_os_str(), to.as_os_str()], &self.state)?;
            fs::remove_file(&package)?;
        }
        Ok(())
    }
}

/// The text without those of its parts that name the security suite.
fn without_security(text: &str, separator: &str) -> String {
    text.split(separator).filter(|part| !part.contains("security")).collect::<Vec<_>>().join(separator)
}

/// An empty directory.
pub(super) fn empty(directory: &Path) -> anyhow::Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| format!("cannot empty {}", directory.display()))?;
    }
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))
}

#[cfg(test)]
mod tests {
    use super::without_security;

    #[test]
    fn security_suites_are_left_out() {
        let stanzas = "URIs: a/debian\nSuites: x\n\nURIs: a/debian-security\nSuites: x-security";
        assert_eq!(without_security(stanzas, "\n\n"), "URIs: a/debian\nSuites: x");
        assert_eq!(without_security("deb a x main\ndeb a x-security main", "\n"), "deb a x main");
    }
}
