//! The files of recordings, in 3CX's layout.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use hound::{SampleFormat, WavSpec, WavWriter};
use jiff::SignedDuration;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use super::voice::{Conversation, RATE};
use crate::cdr::Recording;

/// The most that the files written first take, which stay, and the most that all others do, of which the newest stay.
const HALF_QUOTA: u64 = 30 * 1024 * 1024;

/// Writes what was said in calls.
#[derive(Debug)]
pub(super) struct Recorder {
    folder: PathBuf,
    longest: SignedDuration,
    seed: u64,
    /// Held while a file is written: one after the other.
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// In the files that stay.
    first: u64,
    /// In those that do not.
    newest: u64,
    files: VecDeque<(PathBuf, u64)>,
}

impl Recorder {
    /// Writes below `folder`; of each call at most the `longest` time.
    pub(super) fn new(folder: PathBuf, longest: Duration, seed: u64) -> Self {
        Self {
            folder,
            longest: SignedDuration::try_from(longest).unwrap_or(SignedDuration::MAX),
            seed,
            kept: Mutex::default(),
        }
    }

    /// Writes the file of a recording, and has the recording end where the file does.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) async fn record(&self, recording: &mut Recording) -> io::Result<()> {
        let (Some(start), Some(end), Some(url)) =
            (recording.start_time, recording.end_time, &recording.recording_url)
        else {
            return Ok(());
        };
        let path = below(&self.folder, url)?;
        let length = end
            .duration_since(start)
            .clamp(SignedDuration::ZERO, self.longest);
        recording.end_time = Some(start + length);
        let seed = self.seed.wrapping_add(recording.id_recording.unsigned_abs());
        let mut kept = self.kept.lock().await;
        let written = spawn_blocking(move || {
            let bytes = write(&path, seed, length)?;
            io::Result::Ok((path, bytes))
        });
        let (path, bytes) = written.await.map_err(io::Error::other)??;
        if kept.first + bytes <= HALF_QUOTA {
            kept.first += bytes;
            return Ok(());
        }
        // So that none after it finds room among the first, and the oldest stay.
        kept.first = HALF_QUOTA;
        kept.newest += bytes;
        kept.files.push_back((path, bytes));
        while kept.newest > HALF_QUOTA {
            let Some((path, bytes)) = kept.files.pop_front() else {
                break;
            };
            kept.newest -= bytes;
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

/// The path of a file below a folder.
fn below(folder: &Path, file: &str) -> io::Result<PathBuf> {
    let file = Path::new(file);
    let beneath = file.components().all(|part| matches!(part, Component::Normal(_)));
    if beneath {
        Ok(folder.join(file))
    } else {
        Err(io::ErrorKind::InvalidFilename.into())
    }
}

/// Writes a file of 16-bit samples on one channel, and says how large it is.
fn write(path: &Path, seed: u64, length: SignedDuration) -> io::Result<u64> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let spec = WavSpec {
        channels: 1,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    let samples = length.as_millis().unsigned_abs() * u128::from(RATE) / 1_000;
    let samples = usize::try_from(samples).unwrap_or(usize::MAX);
    let mut file = WavWriter::create(path, spec).map_err(io::Error::other)?;
    for sample in Conversation::new(seed).take(samples) {
        file.write_sample(sample).map_err(io::Error::other)?;
    }
    file.finalize().map_err(io::Error::other)?;
    Ok(fs::metadata(path)?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(id: i64, url: &str, seconds: i64) -> Recording {
        let start = "2026-02-10T08:00:00Z".parse().unwrap();
        Recording {
            id_recording: id,
            cdr_id: uuid::Uuid::nil(),
            recording_url: Some(url.to_owned()),
            start_time: Some(start),
            end_time: Some(start + SignedDuration::from_secs(seconds)),
            archived: Some(false),
            archived_url: None,
        }
    }

    fn recorder(folder: &Path) -> Recorder {
        Recorder::new(folder.to_owned(), Duration::from_secs(3), 1)
    }

    #[tokio::test]
    async fn a_file_lasts_as_long_as_its_recording_and_no_longer_than_the_longest() {
        let folder = tempfile::tempdir().unwrap();
        let recorder = recorder(folder.path());
        for (id, seconds, expected) in [(1, 2, 2), (2, 600, 3)] {
            let url = format!("104/[Кузнецова, Мария]_104-+7900_{id}.wav");
            let mut row = recording(id, &url, seconds);
            recorder.record(&mut row).await.unwrap();
            let length = row.end_time.unwrap().duration_since(row.start_time.unwrap());
            assert_eq!(length, SignedDuration::from_secs(expected));
            let file = hound::WavReader::open(folder.path().join(url)).unwrap();
            let spec = file.spec();
            assert_eq!(
                (spec.channels, spec.sample_rate, spec.bits_per_sample),
                (1, RATE, 16)
            );
            assert_eq!(i64::from(file.duration()), expected * i64::from(RATE));
        }
    }

    #[tokio::test]
    async fn nothing_is_written_beyond_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let recorder = recorder(&folder.path().join("recordings"));
        for url in ["../a.wav", "/tmp/a.wav", "1/../../a.wav", ""] {
            let written = recorder.record(&mut recording(1, url, 1)).await;
            assert!(written.is_err(), "{url}");
        }
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }

    #[tokio::test]
    async fn the_first_files_and_the_newest_stay() {
        let folder = tempfile::tempdir().unwrap();
        let recorder = recorder(folder.path());
        // Almost nothing is left of either half.
        *recorder.kept.lock().await = Kept {
            first: HALF_QUOTA - 40_000,
            newest: HALF_QUOTA - 70_000,
            files: VecDeque::new(),
        };
        for id in 1..=4 {
            let mut row = recording(id, &format!("1/{id}.wav"), 2);
            recorder.record(&mut row).await.unwrap();
        }
        let exists = |id| folder.path().join(format!("1/{id}.wav")).exists();
        assert_eq!([1, 2, 3, 4].map(exists), [true, false, true, true]);
    }
}
