//! Writes the seeds of the corpus, from rings created for this purpose.

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
