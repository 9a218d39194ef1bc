"""One reader for each kind of file, all behind the same seam: a file in, its records out, one at a time."""
