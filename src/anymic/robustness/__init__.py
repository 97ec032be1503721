"""What each microphone, codec and bitrate costs a classifier, anyone's."""
