"""Tables of clips: manifests, their splits and checks, and the corpora they are made from."""
