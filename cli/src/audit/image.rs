//! How the kernel image is mapped, and its memory in the linear map.

use std::fmt;

use serde::Serialize;

use crate::number::Bytes;
use crate::region::{Name, Regions};
use crate::survey::Survey;

/// Bytes of the image by their rights.
#[expect(clippy::struct_field_names, reason = "these are names of JSON, where units are in names")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Image {
    /// Executable.
    code_bytes: u64,
    /// Read-only.
    constant_bytes: u64,
    /// Writable.
    data_bytes: u64,
    /// Of the first two: read-only in the linear map.
    alias_read_only_bytes: u64,
    /// Of the first two: writable in the linear map.
    alias_writable_bytes: u64,
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code_bytes, constant_bytes, data_bytes, .. } = *self;
        let protected = code_bytes + constant_bytes;
        let rest = protected.saturating_sub(self.alias_read_only_bytes + self.alias_writable_bytes);
        write!(
            f,
            "{} code, {} constants, {} data; of code and constants the linear map has {} read-only, {} \
             writable, {} not at all",
            Bytes(code_bytes),
            Bytes(constant_bytes),
            Bytes(data_bytes),
            Bytes(self.alias_read_only_bytes),
            Bytes(self.alias_writable_bytes),
            Bytes(rest),
        )
    }
}

/// How the image is mapped, where it is known which part of the map it is.
pub(super) fn image(survey: &Survey, regions: &Regions) -> Option<Image> {
    let range = regions.get(Name::Image)?.range;
    let mut image = Image::default();
    let mut protected = Vec::new();
    for leaves in survey.within(range).filter(|leaves| leaves.mapped.is_valid()) {
        let rights = leaves.mapped.rights(survey.geometry);
        let bytes = leaves.range.bytes();
        match (rights.writable(), rights.executable()) {
            (true, _) => image.data_bytes += bytes,
            (false, true) => image.code_bytes += bytes,
            (false, false) => image.constant_bytes += bytes,
        }
        if !rights.writable() {
            protected.extend(leaves.output());
        }
    }
    let linear = regions.get(Name::Linear).map(|region| region.range);
    for leaves in linear.into_iter().flat_map(|linear| survey.within(linear)) {
        let Some(output) = leaves.output().filter(|_| leaves.mapped.is_valid()) else { continue };
        for both in protected.iter().filter_map(|part| part.intersection(output)) {
            if leaves.mapped.rights(survey.geometry).writable() {
                image.alias_writable_bytes += both.bytes();
            } else {
                image.alias_read_only_bytes += both.bytes();
            }
        }
    }
    Some(image)
}
