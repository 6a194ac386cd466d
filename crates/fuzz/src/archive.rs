//! An archive of files: from the boot loader to the files' bytes.

use blockmap_kernel::archive::Archive;

/// Every file lies in the archive, none is met twice, and what is wrong is said in words.
pub(crate) fn feed(bytes: &[u8]) {
    let mut end = bytes.as_ptr();
    let within = bytes.as_ptr_range();
    for file in Archive::new(bytes).files() {
        match file {
            Ok(file) => {
                let content = file.content.as_ptr_range();
                assert!(end <= content.start && content.end <= within.end, "{}", file.name);
                end = content.end;
            }
            Err(error) => assert!(!error.to_string().is_empty(), "an error without words"),
        }
    }
}
