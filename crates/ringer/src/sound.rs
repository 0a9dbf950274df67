//! What the guest plays, in a file.

use anyhow::Context;
use hound::{SampleFormat, WavSpec, WavWriter};
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// A WAV file that grows while the guest plays.
pub(crate) struct Recording {
    file: WavWriter<BufWriter<File>>,
    path: PathBuf,
}

impl Recording {
    /// A new file.
    pub(crate) fn create(path: &Path) -> anyhow::Result<Recording> {
        let spec = WavSpec {
            channels: 1,
            sample_rate: dev::speaker::RATE,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let file = WavWriter::create(path, spec).with_context(|| named(path))?;
        Ok(Recording { file, path: path.to_owned() })
    }

    /// Adds samples.
    pub(crate) fn add(&mut self, samples: &[i16]) -> anyhow::Result<()> {
        let written = samples.iter().try_for_each(|&s| self.file.write_sample(s));
        written.with_context(|| named(&self.path))
    }

    /// Writes the lengths into the head.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        self.file.finalize().with_context(|| named(&self.path))
    }
}

fn named(path: &Path) -> String {
    format!("the recording {}", path.display())
}
