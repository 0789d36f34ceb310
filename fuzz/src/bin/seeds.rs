//! Writes what the fuzzer begins with, from rings that are made for it.

use std::{fs, io, path::Path};

fn main() -> io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (target, name, seed) in slipring_fuzz::seeds() {
        let directory = corpus.join(target);
        fs::create_dir_all(&directory)?;
        fs::write(directory.join(name), seed)?;
    }
    Ok(())
}
