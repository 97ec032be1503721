"""One file a backend, with the codecs that it encodes; found by `anymic.codecs.table`."""
