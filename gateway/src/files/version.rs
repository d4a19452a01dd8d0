//! The version of a file: its entity tag and its date.
//!
//! Threads: any.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;

/// The state of a file.
pub(super) struct Version {
    pub(super) tag: Option<HeaderValue>,
    /// The time of the last change, in whole seconds as in `Last-Modified`.
    pub(super) modified: Option<SystemTime>,
    /// The file may change again without a new time.
    pub(super) is_recent: bool,
}

/// For how long after a change another change may leave the time as it is. The kernel's clock of files ticks every few
/// milliseconds, but FAT stores steps of two seconds, and NFS and older file systems steps of one.
const TIME_STEP: Duration = Duration::from_secs(2);

/// The last second that an HTTP date can state, at the end of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

impl Version {
    /// The version of a file that was last changed at `modified`.
    ///
    /// A strong tag promises that the bytes are the same. Length and time of the change keep this promise only once the
    /// time is older than the step in which the file system counts: until then, a second change may leave both as they
    /// are. So the tag is weak at first, with another text, and there is no `Last-Modified`: a client that has the
    /// first bytes never gets 304 for the second ones.
    ///
    /// The inode is left out, as it differs between servers that have copies of the same file.
    pub(super) fn new(length: u64, modified: Option<SystemTime>, now: SystemTime) -> Self {
        let Some(modified) = modified else { return Self { tag: None, modified: None, is_recent: true } };
        // A time in the future is recent.
        let is_recent = !now.duration_since(modified).is_ok_and(|age| age > TIME_STEP);
        let (sign, since) = match modified.duration_since(UNIX_EPOCH) {
            Ok(since) => ("", since),
            Err(before) => ("-", before.duration()),
        };
        let (prefix, suffix) = if is_recent { ("W/", "-recent") } else { ("", "") };
        let tag = format!("{prefix}\"{sign}{:x}-{length:x}{suffix}\"", since.as_nanos());
        let has_date = sign.is_empty() && since.as_secs() <= LAST_SECOND;
        Self {
            tag: HeaderValue::try_from(tag).ok(),
            modified: has_date.then(|| UNIX_EPOCH + Duration::from_secs(since.as_secs())),
            is_recent,
        }
    }

    /// The value of `Last-Modified`. It is never in the future, which RFC 9110 §8.8.2.1 forbids: the future is recent.
    pub(super) fn last_modified(&self) -> Option<HeaderValue> {
        let date = self.modified.filter(|_| !self.is_recent)?;
        HeaderValue::try_from(httpdate::fmt_http_date(date)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(length: u64, modified: SystemTime, now: SystemTime) -> String {
        Version::new(length, Some(modified), now).tag.unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn a_tag_is_strong_once_the_last_change_is_old_enough() {
        let modified = UNIX_EPOCH + Duration::from_nanos(0x1_0000_0001);
        assert_eq!(tag(10, modified, modified + Duration::from_secs(3)), "\"100000001-a\"");
        for age in [Duration::ZERO, Duration::from_secs(1), TIME_STEP] {
            assert_eq!(tag(10, modified, modified + age), "W/\"100000001-a-recent\"");
        }
        let future = modified + Duration::from_secs(60);
        assert!(tag(10, future, modified).starts_with("W/"));
    }

    #[test]
    fn a_time_that_no_date_can_state_has_a_tag_alone() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        for modified in [UNIX_EPOCH - Duration::from_secs(1), UNIX_EPOCH + Duration::from_secs(LAST_SECOND + 1)] {
            let version = Version::new(1, Some(modified), now);
            assert!(version.tag.is_some() && version.last_modified().is_none());
        }
        let version = Version::new(1, Some(now), now + Duration::from_secs(3));
        assert_eq!(version.last_modified().unwrap(), "Sun, 09 Sep 2001 01:46:40 GMT");
        assert!(Version::new(1, Some(now), now).last_modified().is_none());
        assert!(Version::new(1, None, now).tag.is_none());
    }
}
