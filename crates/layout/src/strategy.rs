//! How the sizes of live leaves change.

/// How the sizes of live leaves change, on every CPU that was admitted. Painting, splitting,
/// collapsing and memory that is added later all ask this, and so does the admission of a CPU that
/// comes late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// In place, while every CPU uses them: no CPU aborts or needs the old leaf broken first.
    Live,
    /// With all other CPUs parked where they can't see the change.
    Quiesce,
    /// Never: leaves keep the size they were painted with.
    Pages,
}
